/** Finds out what kind of machine this is, for `methodsFor`. */

import { accessSync, constants, existsSync } from 'node:fs'
import path from 'node:path'
import { findProgram, isProgram } from '../runtime/find-program.ts'
import { ownId } from '../runtime/own-id.ts'
import type { Machine } from './methods.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** @param platform As `process.platform` */
export function describeMachine(env: Environment, platform: string): Machine {
  return {
    platform,
    isRoot: ownId() === 0,
    has: (program) => findProgram(program, env, platform) !== undefined,
    hasSystemd: existsSync('/run/systemd/system'),
    ownsLocalBin: isWritable('/usr/local/bin'),
  }
}

/** The program. After an installation on Windows, PATH is still that of before. */
export function findOllama(env: Environment, platform: string): string | undefined {
  const found = findProgram('ollama', env, platform)
  const programs = env['LOCALAPPDATA'] ?? ''
  if (found !== undefined || platform !== 'win32' || programs === '') return found
  const file = path.join(programs, 'Programs', 'Ollama', 'ollama.exe')
  return isProgram(file, true) ? file : undefined
}

function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK)
    return true
  } catch {
    return false
  }
}
