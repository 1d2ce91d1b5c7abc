/** Scripts for npm, or tasks for Deno, that run the commands people type most. */
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { quoted } from '../artifact/text.ts'
import { OllamaConfigError } from '../errors.ts'
import { addEntries } from '../init/scripts.ts'
import { writeFileAtomically } from '../runtime/atomic-file.ts'
import type { AddedScripts } from './init.ts'

const commands = ['plan', 'apply', 'check'] as const

const permissions = '--allow-net --allow-read --allow-env --allow-sys=homedir'

const kinds = [
  { names: ['package.json'], key: 'scripts', program: () => 'ollama-config' },
  {
    names: ['deno.json', 'deno.jsonc'],
    key: 'tasks',
    program: (command: string) =>
      `deno run ${permissions}${command === 'apply' ? ' --allow-write' : ''} npm:ollama-config`,
  },
] as const

export interface PreparedScripts {
  readonly result: AddedScripts
  write(): Promise<void>
}

/** Of package.json where there is one: Deno runs its scripts too. @throws {OllamaConfigError} `usage` */
export async function prepareScripts(folder: string): Promise<PreparedScripts> {
  for (const { names, key, program } of kinds) {
    const name = names.find((one) => existsSync(path.join(folder, one)))
    if (name === undefined) continue
    const file = path.join(folder, name)
    const entries = Object.fromEntries(
      commands.map((command) => [`models:${command}`, `${program(command)} ${command}`]),
    )
    const { text, added, present } = addEntries(await readText(file), key, entries)
    return {
      result: {
        file,
        key,
        added: Object.fromEntries(added.map((one) => [one, entries[one] ?? ''])),
        present,
        written: text !== undefined && added.length > 0,
      },
      write: async () => {
        if (text !== undefined && added.length > 0) await writeFileAtomically(file, text)
      },
    }
  }
  throw new OllamaConfigError('usage', `There is no package.json, deno.json or deno.jsonc in ${quoted(folder)}`, {
    hint: 'leave out --scripts, or make one of them first',
  })
}

async function readText(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((cause: unknown) => {
    throw new OllamaConfigError('usage', `${quoted(file)} cannot be read`, { hint: 'leave out --scripts', cause })
  })
}
