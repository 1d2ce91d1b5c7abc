/** One declaration → how its model is made. Takes any value: of wrong types the schema tells, and every other problem is told too. */
import { existsSync, statSync } from 'node:fs'
import path from 'node:path'
import type { Parameters } from '../artifact/parameters.ts'
import { parseReference, type Reference } from '../artifact/reference.ts'
import { quoted } from '../artifact/text.ts'
import { type Diagnostic, isOllamaConfigError } from '../errors.ts'
import type { Alias, Build, LocalFile } from '../plan/state.ts'
import type { Message } from './config.ts'
import { problemOf } from './loose.ts'
import { checkParameters } from './parameters.ts'

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

type Fields = Readonly<Record<string, unknown>>

const origins = ['from', 'gguf', 'aliasOf', 'modelfile'] as const
const buildFields = [
  'system',
  'template',
  'parameters',
  'messages',
  'license',
  'adapters',
  'renderer',
  'parser',
  'requires',
  'quantize',
] as const

export function makingOf(declaration: object, context: DeclarationContext): Making {
  const fields: Fields = { ...declaration }
  const has = (key: string) => fields[key] !== undefined
  const written = origins.filter(has)
  const [origin, other] = written
  const details = buildFields.filter(has)
  const { path: place } = context
  if (origin === undefined) {
    if (details[0] !== undefined)
      tell(context, 'missing-key', details[0], 'says how a model is built, but not from what', 'add "from" or "gguf"')
    return {}
  }
  if (other !== undefined) {
    tell(
      context,
      'contradiction',
      other,
      `stands beside ${place}.${origin}: a model has one origin`,
      'drop one of the two',
    )
    return {}
  }
  if (fields['insecure'] === true)
    tell(
      context,
      'contradiction',
      'insecure',
      'is for models that are pulled',
      'declare the base by itself, as { name, insecure: true }',
    )
  if ((origin === 'aliasOf' || origin === 'modelfile') && details[0] !== undefined) {
    const why =
      origin === 'aliasOf' ? 'an alias is a second name and changes nothing' : 'the Modelfile says how it is built'
    const hint =
      origin === 'aliasOf'
        ? `write "from" instead of "aliasOf"`
        : 'move it into the Modelfile, or write the fields here'
    tell(context, 'contradiction', details[0], `does not go with "${origin}": ${why}`, hint)
    return {}
  }
  switch (origin) {
    case 'aliasOf': {
      const source = sourceAt(fields['aliasOf'], 'aliasOf', context)
      return source === undefined ? {} : { recipe: { kind: 'alias', of: source.reference }, source }
    }
    case 'from': {
      const source = sourceAt(fields['from'], 'from', context)
      return source === undefined ? {} : { recipe: buildOf(fields, source.reference, [], context), source }
    }
    case 'gguf':
      if (Array.isArray(fields['gguf']) && fields['gguf'].length === 0)
        tell(context, 'wrong-value', 'gguf', 'names no file', 'name at least one GGUF file')
      return { recipe: buildOf(fields, null, filesAt(fields['gguf'], 'gguf', context), context) }
    case 'modelfile':
      return {}
  }
}

function buildOf(
  fields: Fields,
  from: Reference | null,
  files: readonly LocalFile[],
  context: DeclarationContext,
): Build {
  const adapters = filesAt(fields['adapters'], 'adapters', context)
  if (adapters.length > 1)
    tell(
      context,
      'too-many',
      'adapters',
      'names more than one adapter: Ollama takes one',
      'merge them, or drop all but one',
    )
  const parameters = checkParameters(fields['parameters'], {
    path: `${context.path}.parameters`,
    allowUnknown: fields['allowUnknownParameters'] === true,
    report: context.report,
  })
  const requires = textAt(fields, 'requires')
  if (requires !== null && !/^v?\d+\.\d+\.\d+(?:[-+][\w.+-]+)?$/.test(requires))
    tell(context, 'wrong-value', 'requires', `is no version: ${quoted(requires)}`, 'write it as "0.14.0"')
  return {
    kind: 'build',
    from,
    files,
    adapters,
    system: textAt(fields, 'system'),
    template: textAt(fields, 'template'),
    parameters: { ...context.defaults, ...parameters },
    messages: messagesAt(fields['messages']),
    licenses: textsAt(fields['license']).filter((text) => text !== ''),
    renderer: textAt(fields, 'renderer'),
    parser: textAt(fields, 'parser'),
    requires,
    quantize: textAt(fields, 'quantize'),
    cleared: ['system', 'template', 'messages', 'license'].filter((key) => isEmpty(fields[key])),
  }
}

/** The server takes an empty value for none. */
function isEmpty(value: unknown): boolean {
  return value === '' || (Array.isArray(value) && value.length === 0)
}

function textAt(fields: Fields, key: string): string | null {
  const value = fields[key]
  return typeof value === 'string' && value !== '' ? value : null
}

function textsAt(value: unknown): readonly string[] {
  return [value].flat().filter((item) => typeof item === 'string')
}

/** Their shape is checked elsewhere; whatever is wrong there is told, and nothing is built of it. */
function messagesAt(value: unknown): readonly Message[] {
  return Array.isArray(value) ? value : []
}

/** @param key Where in the declaration */
export function sourceAt(value: unknown, key: string, context: DeclarationContext): Source | undefined {
  if (typeof value !== 'string') return undefined
  const place = `${context.path}.${key}`
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
    context.report(problemOf(error, place))
  }
  return undefined
}

/** Files that are there, each under a name of its own. */
function filesAt(value: unknown, key: string, context: DeclarationContext): readonly LocalFile[] {
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
      tell(context, 'file-not-found', at, `names ${quoted(item)}, which is no file`, 'name the GGUF file itself')
    } else if (found.has(name)) {
      tell(context, 'contradiction', at, `names a second file called ${quoted(name)}`, 'rename one of the two')
    } else {
      found.set(name, { name, file })
    }
  })
  return [...found.values()]
}

function tell(
  { path: place, report }: DeclarationContext,
  code: string,
  key: string,
  problem: string,
  hint: string,
): void {
  report({ severity: 'error', code, path: `${place}.${key}`, message: `${place}.${key} ${problem}`, hint })
}
