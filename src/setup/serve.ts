/** Starts `ollama serve` so that it goes on after us, with its output in a file. */

import type { ChildProcess } from 'node:child_process'
import { closeSync, fstatSync, openSync, readSync, rmSync } from 'node:fs'
import path from 'node:path'
import { visible } from '../artifact/text.ts'
import { makePrivateFolder } from '../runtime/atomic-file.ts'
import { sleep } from '../runtime/sleep.ts'
import { type Ending, startProgram } from './start-program.ts'

/** A server that is asked to end does so in moments. */
const stopMs = 5000
const stopPauseMs = 20

export interface StartedServer {
  readonly ended: Promise<Ending>
  /** Where it writes; `undefined` when that cannot be kept. */
  readonly logFile: string | undefined
  /** Ends it and what it started, which may outlive it, and waits for that: for one that never answered. */
  stop(): Promise<void>
}

export interface ServeOptions {
  readonly env: Readonly<Record<string, string | undefined>>
  /** Made anew. */
  readonly logFile: string | undefined
}

/**
 * Resolves when it was begun; whether it answers is for the caller to see.
 *
 * @param file The program `ollama`
 */
export async function startServer(file: string, { env, logFile }: ServeOptions): Promise<StartedServer> {
  const log = logFile === undefined ? undefined : await openLog(logFile)
  const output = log ?? 'ignore'
  // A session of its own: the end of the terminal is not its end.
  const { child, ended } = startProgram(file, ['serve'], {
    env: { ...env },
    stdio: ['ignore', output, output],
    detached: true,
    windowsHide: true,
  })
  if (log !== undefined) closeSync(log)
  child?.unref()
  const stop = async () => {
    if (child === undefined) return
    signalGroup(child, 'SIGTERM')
    for (const startMs = performance.now(); signalGroup(child, 0); await sleep(stopPauseMs)) {
      if (performance.now() - startMs < stopMs) continue
      signalGroup(child, 'SIGKILL')
      break
    }
    child.ref()
    await ended
  }
  return { ended, logFile: log === undefined ? undefined : logFile, stop }
}

/**
 * Its session is a group, in which are also the processes that run models.
 *
 * @param name 0 sends nothing
 * @returns False when all of them have ended
 */
function signalGroup({ pid, exitCode, signalCode }: ChildProcess, name: NodeJS.Signals | 0): boolean {
  if (pid === undefined) return false
  // The number of one that has ended may be another's by now; that of a group is taken as long as anybody is in it.
  const itself = exitCode === null && signalCode === null ? [pid] : []
  for (const target of process.platform === 'win32' ? itself : [-pid, ...itself]) {
    try {
      process.kill(target, name)
      return true
    } catch {
      // It has ended; or, on Deno, a group cannot be named.
    }
  }
  return false
}

/** It may name proxies and paths of this user. */
async function openLog(file: string): Promise<number | undefined> {
  try {
    await makePrivateFolder(path.dirname(file))
    // One that runs goes on writing into the old one, and no link is followed.
    rmSync(file, { force: true })
    return openSync(file, 'ax', 0o600)
  } catch {
    return undefined
  }
}

const tailBytes = 8192
const tailLines = 12

export interface EndOfLogOptions {
  /** Whether nobody is in the midst of writing a line, so that a last one without its end is whole too. */
  readonly isComplete: boolean
}

/**
 * The last lines of a log, fit for a terminal and without user info of proxies, which the server prints at its start. Only whole ones: of
 * a line that is cut nobody could tell what of it is user info.
 */
export function endOfLog(file: string, { isComplete }: EndOfLogOptions): string {
  const bytes = Buffer.alloc(tailBytes)
  let descriptor: number | undefined
  try {
    descriptor = openSync(file, 'r')
    const start = Math.max(0, fstatSync(descriptor).size - tailBytes)
    const length = readSync(descriptor, bytes, 0, tailBytes, start)
    const lines = bytes.toString('utf8', 0, length).split(/\r?\n/)
    return lines
      .slice(start > 0 ? 1 : 0, isComplete ? undefined : -1)
      .filter((line) => line.trim() !== '')
      .slice(-tailLines)
      .map((line) => `  ${visible(line).replaceAll(/\/\/[^/\s]*@/g, '//…@')}`)
      .join('\n')
  } catch {
    return ''
  } finally {
    if (descriptor !== undefined) closeSync(descriptor)
  }
}
