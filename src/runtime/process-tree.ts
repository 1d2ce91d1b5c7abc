/** Ends a program together with what it started. */
import { readFileSync } from 'node:fs'

/** A process and those that descend from it, as far as the system tells, which is on Linux; elsewhere the process alone. */
function processTree(pid: number): readonly number[] {
  let children: string
  try {
    children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
  } catch {
    children = ''
  }
  return [pid, ...(children.match(/\d+/g) ?? []).flatMap((child) => processTree(Number(child)))]
}

export function signalTree(pid: number, name: NodeJS.Signals): void {
  // All are known before the first one ends: what loses its parent is found below it no more.
  for (const one of processTree(pid)) {
    try {
      process.kill(one, name)
    } catch {
      // It has just ended, or belongs to somebody else, as with sudo.
    }
  }
}
