/** Starts `ollama serve` so that it goes on after us, with its output in a file. */

import type { ChildProcess } from 'node:child_process'
import { closeSync, openSync, readSync, rmSync, statSync } from 'node:fs'
import path from 'node:path'
import { visible } from '../artifact/text.ts'
import { makePrivateFolder } from '../runtime/atomic-file.ts'
import { sleep } from '../runtime/sleep.ts'

/** A server that is asked to end does so in moments. */
const stopMs = 5000

export interface StartedServer {
  /** Resolves when it has ended, with words for how. */
  readonly ended: Promise<string>
  /** Where it writes; `undefined` when that cannot be kept. */
  readonly logFile: string | undefined
  /** Ends it and what it started, and waits for that: for one that never answered. */
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
  const { spawn } = process.getBuiltinModule('node:child_process')
  const output = log ?? 'ignore'
  // A session of its own: the end of the terminal is not its end.
  const child = spawn(file, ['serve'], {
    env: { ...env },
    stdio: ['ignore', output, output],
    detached: true,
    windowsHide: true,
  })
  if (log !== undefined) closeSync(log)
  const ended = new Promise<string>((resolve) => {
    child.on('error', (error) => resolve(`could not be run (${error.message})`))
    child.on('exit', (code, signal) =>
      resolve(code === null ? `was ended by ${signal}` : `ended with exit code ${code}`),
    )
  })
  child.unref()
  const stop = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.ref()
    end(child, 'SIGTERM')
    const over = new AbortController()
    const late = sleep(stopMs, over.signal).then(
      () => end(child, 'SIGKILL'),
      () => {},
    )
    await ended
    over.abort()
    await late
  }
  return { ended, logFile: log === undefined ? undefined : logFile, stop }
}

/** Its session is a group, in which are also the processes that run models. */
function end({ pid }: ChildProcess, name: NodeJS.Signals): void {
  if (pid === undefined) return
  for (const target of process.platform === 'win32' ? [pid] : [-pid, pid]) {
    try {
      process.kill(target, name)
      return
    } catch {
      // It has ended; or, on Deno, a group cannot be named.
    }
  }
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

/**
 * The last lines of a log, fit for a terminal and without user info of proxies, which the server prints at its start. Only whole ones: of
 * a line that is cut nobody could tell what of it is user info.
 */
export function endOfLog(file: string): string {
  const bytes = Buffer.alloc(tailBytes)
  let descriptor: number | undefined
  try {
    descriptor = openSync(file, 'r')
    const start = Math.max(0, statSync(file).size - tailBytes)
    const length = readSync(descriptor, bytes, 0, tailBytes, start)
    const lines = bytes.toString('utf8', 0, length).split(/\r?\n/)
    return lines
      .slice(start > 0 ? 1 : 0, -1)
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
