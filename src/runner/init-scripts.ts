/** Scripts for npm, or tasks for Deno, that run the commands people type most. */
import { existsSync, statSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { quotedPath } from '../artifact/text.ts'
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
    const before = await readText(file)
    const { text, added, present } = addEntries(before, key, entries)
    return {
      result: {
        file,
        key,
        added: Object.fromEntries(added.map((one) => [one, entries[one] ?? ''])),
        present,
        written: text !== undefined && added.length > 0,
      },
      write: async () => {
        if (text === undefined || added.length === 0) return
        // Listing models and asking registries takes a while, in which an editor or npm may write it.
        if ((await readText(file)) !== before) throw changedMeanwhile(file)
        await writeFileAtomically(file, text)
      },
    }
  }
  throw new OllamaConfigError('usage', `There is no package.json, deno.json or deno.jsonc in ${quotedPath(folder)}`, {
    hint: 'leave out --scripts, or make one of them first',
  })
}

async function readText(file: string): Promise<string> {
  const problem = (why: string, cause?: unknown) =>
    new OllamaConfigError('usage', `${quotedPath(file)} ${why}`, { hint: 'leave out --scripts', cause })
  // Of a pipe the reading would never end.
  if (!statSync(file, { throwIfNoEntry: false })?.isFile()) throw problem('is no file')
  return readFile(file, 'utf8').catch((cause: unknown) => {
    throw problem('cannot be read', cause)
  })
}

function changedMeanwhile(file: string): OllamaConfigError {
  return new OllamaConfigError(
    'file-not-written',
    `${quotedPath(file)} was changed by somebody else meanwhile: it is left as it is`,
    {
      hint: 'run "ollama-config init --scripts" once more',
    },
  )
}
