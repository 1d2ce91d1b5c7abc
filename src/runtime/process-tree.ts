/** Ends a program together with what it started. */
import { readdirSync, readFileSync } from 'node:fs'

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

/** A process and those that descend from it; the process alone where nobody tells of others. */
function processTree(root: number): ReadonlySet<number> {
  const known = listed()
  const tree = new Set([root])
  // It grows while it is walked through.
  for (const parent of tree) for (const one of known) if (one.parent === parent) tree.add(one.pid)
  return tree
}

interface Listed {
  readonly pid: number
  readonly parent: number
}

function listed(): readonly Listed[] {
  try {
    return process.platform === 'linux' ? listedInProc() : listedByPs()
  } catch {
    // Such as what Deno was not permitted to read.
    return []
  }
}

/** Not by `/proc/PID/task/PID/children`: that leaves out what another thread has started, as with programs in Go. */
function listedInProc(): readonly Listed[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  return pids.flatMap((pid) => {
    try {
      const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
      // proc(5): after the name, which may hold anything, come state and parent.
      const [, parent] = text.slice(text.lastIndexOf(')') + 2).split(' ')
      return [{ pid: Number(pid), parent: Number(parent) }]
    } catch {
      return []
    }
  })
}

function listedByPs(): readonly Listed[] {
  const { spawnSync } = process.getBuiltinModule('node:child_process')
  const { stdout } = spawnSync('/bin/ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8', timeout: 1000 })
  return [...(stdout ?? '').matchAll(/(\d+) +(\d+)/g)].map(([, pid, parent]) => ({
    pid: Number(pid),
    parent: Number(parent),
  }))
}
