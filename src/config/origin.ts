/** Where a declared model starts: another model, or files. What is wrong there is told with its place. */
import { closeSync, existsSync, openSync, readSync, statSync } from 'node:fs'
import path from 'node:path'
import type { Parameters } from '../artifact/parameters.ts'
import { parseReference, type Reference } from '../artifact/reference.ts'
import { hasControl, quoted } from '../artifact/text.ts'
import { type Diagnostic, isOllamaConfigError } from '../errors.ts'
import type { Alias, Build, LocalFile } from '../plan/state.ts'
import { problemOf } from './loose.ts'

export interface DeclarationContext {
  /** Where it is written, such as `models[2]`. */
  readonly path: string
  /** Relative paths start from here. */
  readonly folder: string
  readonly defaults: Parameters
  readonly report: (problem: Diagnostic) => void
}

/** A model that it starts from, and whether its name asks for plain http. */
export interface Source {
  readonly reference: Reference
  readonly insecure: boolean
  /** Where it is named, such as `models[2].from`. */
  readonly path: string
}

/** How a model is made, and the model it starts from; nothing for one that is pulled, or that is too wrong to say. */
export interface Making {
  readonly recipe?: Build | Alias
  readonly source?: Source
}

/** @param key Where in the declaration */
export function sourceAt(value: unknown, key: string, context: DeclarationContext): Source | undefined {
  if (typeof value !== 'string') return undefined
  const place = `${context.path}.${key}`
  // A name may end so, too: only what is there is taken for a file.
  if (/\.gguf$/i.test(value) && existsSync(path.resolve(context.folder, value))) {
    tellOfFile(value, key, context)
    return undefined
  }
  try {
    const { scheme, ...reference } = parseReference(value)
    if (!reference.cloud) return { reference, insecure: scheme === 'http', path: place }
    tell(
      context,
      'cloud-base',
      key,
      `names the cloud model ${quoted(value)}, which has nothing to build from`,
      'use it by its own name',
    )
  } catch (error) {
    if (!isOllamaConfigError(error)) throw error
    if (/^(\.{0,2}\/|~)|\.gguf$/i.test(value)) tellOfFile(value, key, context)
    else context.report(problemOf(error, place))
  }
  return undefined
}

function tellOfFile(value: string, key: string, context: DeclarationContext): void {
  const hint =
    key === 'from'
      ? 'for a file write "gguf" instead of "from"'
      : key === 'aliasOf'
        ? 'name the model that it is another name of; what is made from a file is declared with "gguf"'
        : 'check the path in FROM'
  const problem = `names a file where a model is wanted, or one that is not there: ${quoted(value)}`
  tell(context, 'file-not-found', key, problem, hint)
}

/** Files that are there, each under a name of its own. */
export function filesAt(value: unknown, key: string, context: DeclarationContext, isGguf = true): readonly LocalFile[] {
  const list = [value].flat()
  const found = new Map<string, LocalFile>()
  list.forEach((item: unknown, index) => {
    if (typeof item !== 'string') return
    const at = Array.isArray(value) ? `${key}[${index}]` : key
    const file = path.resolve(context.folder, item)
    const name = path.basename(file)
    if (!existsSync(file)) {
      tell(
        context,
        'file-not-found',
        at,
        `names a file that is not there: ${quoted(item)}`,
        `paths start from ${context.folder}`,
      )
    } else if (!statSync(file).isFile()) {
      tell(
        context,
        'file-not-found',
        at,
        `names ${quoted(item)}, which is no file`,
        `name the ${isGguf ? 'GGUF file' : 'Modelfile'} itself`,
      )
    } else if (hasControl(file)) {
      const problem = `names a file with control characters: ${quoted(item)}`
      tell(context, 'wrong-value', at, problem, 'rename it, or the folder it is in')
    } else if (isGguf && !beginsAsGguf(file)) {
      tell(
        context,
        'wrong-value',
        at,
        `names ${quoted(item)}, which is no GGUF file`,
        'name weights or an adapter in GGUF',
      )
    } else if (found.has(name)) {
      tell(context, 'contradiction', at, `names a second file called ${quoted(name)}`, 'rename one of the two')
    } else {
      found.set(name, { name, file })
    }
  })
  return [...found.values()]
}

export function tell(
  { path: place, report }: DeclarationContext,
  code: string,
  key: string,
  problem: string,
  hint: string,
): void {
  report({ severity: 'error', code, path: `${place}.${key}`, message: `${place}.${key} ${problem}`, hint })
}

/** Told before gigabytes are read, or sent. What cannot be read is told when it is. */
function beginsAsGguf(file: string): boolean {
  const start = Buffer.alloc(4)
  try {
    const descriptor = openSync(file, 'r')
    try {
      readSync(descriptor, start, 0, start.length, 0)
    } finally {
      closeSync(descriptor)
    }
  } catch {
    return true
  }
  return start.toString('latin1') === 'GGUF'
}
