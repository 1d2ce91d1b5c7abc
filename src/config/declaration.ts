/** One declaration → how its model is made. Takes any value: of wrong types the schema tells, and every other problem is told too. */
import type { Reference } from '../artifact/reference.ts'
import { quoted } from '../artifact/text.ts'
import type { Build, LocalFile } from '../plan/state.ts'
import type { Message } from './config.ts'
import { asRead } from './loose.ts'
import { makingOfModelfile } from './modelfile.ts'
import { type DeclarationContext, filesAt, type Making, sourceAt, tell } from './origin.ts'
import { checkParameters } from './parameters.ts'

/** What `requires` may say. */
export const versionPattern = /^v?\d+\.\d+\.\d+(?:[-+][\w.+-]+)?$/

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
  const fields: Fields = Object.fromEntries(Object.entries(declaration).map(([key, value]) => [key, asRead(value)]))
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
      return makingOfModelfile(fields['modelfile'], context)
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
  if (requires !== null && !versionPattern.test(requires))
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
