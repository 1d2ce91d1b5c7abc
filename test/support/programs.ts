/** Stand-ins for programs on PATH: shell scripts in a folder of the test. They run on POSIX systems only. */
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'

export interface Programs {
  /** For `PATH`: the stand-ins, and below them nothing but what scripts need. */
  readonly path: string
  /** Writes a program. Every call of it is noted with its words. */
  add(name: string, script?: string): void
  /** What was called so far, such as `brew install ollama`, in order. */
  calls(): readonly string[]
}

export const posixOnly = { skip: process.platform === 'win32' ? 'stand-ins are shell scripts' : false }

/** @param folder Of the test */
export function standInPrograms(folder: string): Programs {
  const bin = path.join(folder, 'bin')
  const log = path.join(folder, 'calls.txt')
  mkdirSync(bin)
  return {
    path: bin,
    add(name, script = '') {
      const file = path.join(bin, name)
      writeFileSync(file, `#!/bin/sh\necho "${name} $*" >> '${log}'\nPATH=/usr/local/bin:/usr/bin:/bin\n${script}\n`)
      chmodSync(file, 0o755)
    },
    calls: () => (existsSync(log) ? readFileSync(log, 'utf8').trimEnd().split('\n') : []),
  }
}
