/** Starts a program, and finds words for how it ended: in messages of what went wrong. */
import type { ChildProcess, SpawnOptions } from 'node:child_process'
import { constants } from 'node:os'
import { printable } from '../artifact/text.ts'

export interface StartedProgram {
  /** `undefined` when it could not be started. */
  readonly child: ChildProcess | undefined
  readonly ended: Promise<Ending>
}

export interface Ending {
  /** `null` when a signal ended it, or it could not be started. */
  readonly code: number | null
  /** As in `ended with exit code 1`. */
  readonly how: string
  /** By Ctrl-C, whether it took the signal or let itself be ended by it. */
  readonly interrupted: boolean
}

export function startProgram(file: string, words: readonly string[], options: SpawnOptions): StartedProgram {
  const { spawn } = process.getBuiltinModule('node:child_process')
  let child: ChildProcess
  try {
    child = spawn(file, [...words], options)
  } catch (error) {
    // Node tells of some problems in this way, Deno of all.
    return { child: undefined, ended: Promise.resolve(notStarted(error)) }
  }
  const ended = new Promise<Ending>((resolve) => {
    child.on('error', (error) => resolve(notStarted(error)))
    child.on('exit', (code, signal) =>
      resolve({
        code,
        how: code === null ? `was ended by ${signal}` : `ended with exit code ${code}`,
        interrupted: signal === 'SIGINT' || code === 128 + constants.signals.SIGINT,
      }),
    )
  })
  return { child, ended }
}

function notStarted(error: unknown): Ending {
  const message = error instanceof Error ? printable(error.message, 200) : 'the system says nothing more'
  return { code: null, how: `could not be run (${message})`, interrupted: false }
}
