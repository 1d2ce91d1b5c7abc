/** `initConfig`: writes a first config. What it needs is loaded when it is called. */
import { lstatSync, readFileSync, statSync } from 'node:fs'
import { open, readFile, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import { decodeModelfile } from '../artifact/modelfile.ts'
import { quotedPath } from '../artifact/text.ts'
import { configPlaces, nearestConfig } from '../config/search.ts'
import { OllamaConfigError } from '../errors.ts'
import type { KeptModel } from '../init/draft.ts'
import { hasCode } from '../runtime/transport-error.ts'
import type { ReadyOptions } from './connection.ts'

export type { KeptModel } from '../init/draft.ts'

export interface InitOptions extends ReadyOptions {
  /** Where the config is written, and what a relative `list` is relative to. Default: the working directory. */
  readonly cwd?: string | undefined
  /** Declare what the host or the store has. Not together with `list`. Default: false. */
  readonly fromInstalled?: boolean | undefined
  /** A text file with names of models. Default: `Ollamafile` or `ollama-models.txt`, where there is one of them. */
  readonly list?: string | undefined
  /** Also add scripts to package.json, or tasks to deno.json, where no entry of that name is. Default: false. */
  readonly scripts?: boolean | undefined
  /** Ask no registry whether it has what is installed. Default: false. */
  readonly offline?: boolean | undefined
}

export interface InitResult {
  /** Absolute path of the config that was written; `null` where one was there and only scripts were added. */
  readonly file: string | null
  /** Absolute path of a config further up, which does not count in this folder any more. */
  readonly hides: string | null
  /** `start`: an example, also where nothing is installed. */
  readonly source: 'installed' | 'list' | 'start'
  /** The host, or the folder of the store, that was asked what is installed. */
  readonly asked: string | null
  /** The list, as an absolute path. */
  readonly list: string | null
  /** How many are declared. */
  readonly declared: number
  /** What is installed and could not be declared. */
  readonly kept: readonly KeptModel[]
  readonly scripts: AddedScripts | null
}

export interface AddedScripts {
  /** Absolute path. */
  readonly file: string
  readonly key: 'scripts' | 'tasks'
  /** Name → command. */
  readonly added: Readonly<Record<string, string>>
  /** Names that the file has already; they were left alone. */
  readonly present: readonly string[]
  /** False: the file has comments, and `added` is for its author to put there. */
  readonly written: boolean
}

/**
 * Writes `ollama.config.ts` (`.mts` where package.json says `"type": "commonjs"`): of what is installed, of a list, or
 * an example. Never replaces a file. Where a config is there already and only `scripts` is asked for, these alone are added.
 *
 * @throws {OllamaConfigError} `config-exists`, `file-not-written`, `usage`, and with `fromInstalled` what the host answers
 * @throws {ConfigError} for a list in which a line is no name
 */
export async function initConfig(options: InitOptions = {}): Promise<InitResult> {
  const { cwd = process.cwd(), fromInstalled = false, list, scripts = false, signal } = options
  signal?.throwIfAborted()
  if (fromInstalled && list !== undefined)
    throw new OllamaConfigError('usage', 'Models of a list and installed ones were both asked for', {
      hint: 'drop --from or --from-installed',
    })
  const folder = path.resolve(cwd)
  const present = configPlaces.find((place) => isThere(path.join(folder, place)))
  const isOnlyScripts = present !== undefined && scripts && !fromInstalled && list === undefined
  if (present !== undefined && !isOnlyScripts) throw configExists(path.join(folder, present))
  // Before anything is written, so that all of it can be.
  const edit = scripts ? await (await import('./init-scripts.ts')).prepareScripts(folder) : undefined
  const file = path.join(folder, `ollama.config.${isCommonJs(folder) ? 'mts' : 'ts'}`)
  // Before there is one here.
  const above = present === undefined ? nearestConfig(folder) : undefined
  const text = isOnlyScripts ? undefined : await draft(file, folder, options)
  signal?.throwIfAborted()
  if (text !== undefined) await writeNew(file, text.config)
  await edit?.write()
  return {
    file: text === undefined ? null : file,
    hides: above ?? null,
    source: text?.source ?? 'start',
    asked: text?.asked ?? null,
    list: text?.list ?? null,
    declared: text?.declared ?? 0,
    kept: text?.kept ?? [],
    scripts: edit?.result ?? null,
  }
}

interface Drafted extends Pick<InitResult, 'source' | 'list' | 'declared' | 'kept'> {
  readonly asked?: string
  readonly config: string
}

async function draft(file: string, folder: string, options: InitOptions): Promise<Drafted> {
  const { renderConfig } = await import('../init/render.ts')
  if (options.fromInstalled) {
    const { draftInstalled } = await import('./init-installed.ts')
    const drafted = await draftInstalled(file, options)
    const counts = countsOf(drafted)
    if (counts.declared > 0 || counts.kept.length > 0)
      return { config: renderConfig(drafted), source: 'installed', asked: drafted.asked, list: null, ...counts }
    return { ...(await example()), asked: drafted.asked }
  }
  const { listNames, readModelList } = await import('../init/list.ts')
  const found =
    options.list === undefined ? listNames.filter((name) => isThere(path.join(folder, name))) : [options.list]
  const [name, other] = found
  if (name !== undefined && other !== undefined)
    throw new OllamaConfigError('usage', `There are two lists here: ${name} and ${other}`, {
      hint: `choose one, as in --from ${name}`,
    })
  if (name !== undefined) {
    const list = path.resolve(folder, name)
    const items = readModelList(decodeModelfile(await readList(list)), path.basename(list))
    const drafted = { intro: [`The models of ${path.basename(list)}, which is not read any more.`], items, keep: [] }
    return { config: renderConfig(drafted), source: 'list', list, ...countsOf(drafted) }
  }
  return example()
}

async function example(): Promise<Drafted> {
  const { starter } = await import('../init/starter.ts')
  return { config: starter, source: 'start', list: null, declared: 1, kept: [] }
}

function countsOf({ items, keep }: { readonly items: readonly object[]; readonly keep: readonly KeptModel[] }) {
  return { declared: items.filter((item) => 'declaration' in item).length, kept: keep }
}

/**
 * Whether the package says so. With TypeScript's `verbatimModuleSyntax` no `.ts` file of it may have an `import`; where there is no
 * "type" Node and most settings of TypeScript take such a file, and the name that everybody knows is better.
 */
function isCommonJs(folder: string): boolean {
  const file = path.join(folder, 'package.json')
  const parent = path.dirname(folder)
  try {
    if (!statSync(file, { throwIfNoEntry: false })?.isFile()) return parent !== folder && isCommonJs(parent)
    const parsed: unknown = JSON.parse(readFileSync(file, 'utf8').replace(/^\uFEFF/, ''))
    return typeof parsed === 'object' && parsed !== null && 'type' in parsed && parsed.type === 'commonjs'
  } catch {
    return false
  }
}

/** Also a link that leads nowhere. */
function isThere(file: string): boolean {
  return lstatSync(file, { throwIfNoEntry: false }) !== undefined
}

/** Names have some thirty bytes. */
const maxListBytes = 1024 * 1024

async function readList(file: string): Promise<Uint8Array> {
  const problem = (why: string) =>
    new OllamaConfigError('usage', `The list ${quotedPath(file)} ${why}`, { hint: 'check --from' })
  const stats = await stat(file).catch(() => undefined)
  if (stats === undefined) throw problem('is not there')
  if (!stats.isFile()) throw problem('is no file')
  if (stats.size > maxListBytes) throw problem('is too large for a list of names')
  return readFile(file).catch(() => {
    throw problem('cannot be read')
  })
}

function configExists(file: string): OllamaConfigError {
  return new OllamaConfigError('config-exists', `There is a config already: ${quotedPath(file)}`, {
    hint: 'see what it does with "ollama-config plan", or move it away first',
    details: { file },
  })
}

/** Fails where anything has that name, a link included. */
async function writeNew(file: string, text: string): Promise<void> {
  const { notWritten } = await import('../runtime/atomic-file.ts')
  try {
    const handle = await open(file, 'wx')
    try {
      await handle.writeFile(text)
      await handle.close()
    } catch (error) {
      await handle.close().catch(() => {})
      await rm(file, { force: true }).catch(() => {})
      throw error
    }
  } catch (error) {
    // Another one was quicker.
    throw hasCode(error) && error.code === 'EEXIST' ? configExists(file) : notWritten(file, error)
  }
}
