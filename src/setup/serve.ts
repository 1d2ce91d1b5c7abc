/** Starts `ollama serve` so that it goes on after us, with its output in a file. */

import { closeSync, openSync, readSync, statSync } from 'node:fs'
import path from 'node:path'
import { visible } from '../artifact/text.ts'
import { makePrivateFolder } from '../runtime/atomic-file.ts'

export interface StartedServer {
  /** Resolves when it has ended, with words for how. */
  readonly ended: Promise<string>
  /** Where it writes; `undefined` when that cannot be kept. */
  readonly logFile: string | undefined
  /** Ends it: for one that never answered. */
  stop(): void
}

export interface ServeOptions {
  readonly env: Readonly<Record<string, string | undefined>>
  /** Made anew. */
  readonly logFile: string | undefined
}

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
  return { ended, logFile: log === undefined ? undefined : logFile, stop: () => void child.kill('SIGTERM') }
}

/** It may name proxies and paths of this user. */
async function openLog(file: string): Promise<number | undefined> {
  try {
    await makePrivateFolder(path.dirname(file))
    return openSync(file, 'w', 0o600)
  } catch {
    return undefined
  }
}

const tailBytes = 8192
const tailLines = 12

/** The last lines of a log, fit for a terminal and without user info of proxies, which the server prints at its start. */
export function endOfLog(file: string): string {
  const bytes = Buffer.alloc(tailBytes)
  let descriptor: number | undefined
  try {
    descriptor = openSync(file, 'r')
    const length = readSync(descriptor, bytes, 0, tailBytes, Math.max(0, statSync(file).size - tailBytes))
    const lines = bytes
      .toString('utf8', 0, length)
      .split(/\r?\n/)
      .filter((line) => line.trim() !== '')
    return lines
      .slice(-tailLines)
      .map((line) => `  ${visible(line).replaceAll(/\/\/[^/\s]*@/g, '//…@')}`)
      .join('\n')
  } catch {
    return ''
  } finally {
    if (descriptor !== undefined) closeSync(descriptor)
  }
}
