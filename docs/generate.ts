/**
 * Makes docs/config.md and the JSON Schema of `ollama.config.json`: `npm run docs`. Which keys there are and what they may be is read from
 * the schema that checks configs (src/config/schema.ts), what they mean from the comments that editors show (src/config/config.ts).
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parameterKinds } from '../src/artifact/parameters.ts'
import { versionPattern } from '../src/config/declaration.ts'
import { fits } from '../src/config/parameters.ts'
import { configSchema, expectations } from '../src/config/schema.ts'

export interface Comment {
  readonly text: string
  readonly examples: readonly string[]
  readonly isOptional: boolean
}

const root = new URL('..', import.meta.url)

/** Files that are generated, with what has to be in them. */
export function generatedFiles(): Readonly<Record<string, string>> {
  return {
    'docs/config.md': configPage(),
    'docs/schemas/ollama.config.schema.json': `${print(jsonSchema(), '')}\n`,
  }
}

// --- What editors show ------------------------------------------------------------------------------------------

/** The interfaces of config.ts, by name, with the comment of each key. */
export function readComments(): ReadonlyMap<string, ReadonlyMap<string, Comment>> {
  const source = readFileSync(new URL('src/config/config.ts', root), 'utf8')
  const interfaces = [...source.matchAll(/^export interface (\w+) \{\n(.*?)^\}/gms)]
  return new Map(
    interfaces.map(([, name = '', body = '']) => [
      name,
      new Map(
        [...body.matchAll(/^(?: {2}\/\*\*((?:(?!\*\/).)*)\*\/\n)? {2}readonly ([\w$]+)(\??): /gms)].map(
          ([, comment = '', key = '', mark]) => [key, { ...readComment(comment), isOptional: mark === '?' }],
        ),
      ),
    ]),
  )
}

function readComment(comment: string): Omit<Comment, 'isOptional'> {
  const [text = '', ...examples] = comment.replaceAll(/^\s*\* ?/gm, '').split('@example')
  return { text: oneLine(text), examples: examples.map(oneLine) }
}

function oneLine(text: string): string {
  return text.trim().replaceAll(/\s+/g, ' ')
}

/** Which interface has the comments of an object, by the path of messages. */
const interfaceAt: Readonly<Record<string, string>> = {
  '': 'Config',
  'models[]': 'ModelDeclaration',
  'models[].messages[]': 'Message',
  'models[].messages[].tool_calls[]': 'ToolCall',
  'models[].parameters': 'ModelParameters',
  defaults: 'Defaults',
  'defaults.parameters': 'ModelParameters',
  'headers{}': 'HeaderFromEnvironment',
}

const comments = readComments()

/** @throws where a key has none: an editor would show nothing. */
function commentAt(place: string, key: string): Comment {
  const comment = comments.get(interfaceAt[place] ?? '')?.get(key)
  if (comment === undefined || comment.text === '')
    throw new Error(`${place} ${key} has no comment in src/config/config.ts`)
  return comment
}

// --- The schema ---------------------------------------------------------------------------------------------------

type Json = Readonly<Record<string, unknown>>

/** The part of valibot's schemas that is looked at. */
interface Shape {
  readonly type: string
  readonly wrapped?: Shape
  readonly pipe?: readonly Shape[]
  readonly item?: Shape
  readonly value?: Shape
  readonly entries?: Readonly<Record<string, Shape>>
  readonly options?: readonly (Shape | string)[]
  readonly literal?: unknown
  /** Of a text. */
  readonly requirement?: RegExp
  readonly getter?: (input: unknown) => Shape
}

const shapeOf = (schema: unknown) => schema as Shape // Their types say what comes out of them, not how they are made.

export function jsonSchema(): Json {
  const { type, ...rest } = toJson(shapeOf(configSchema), '')
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $id: 'ollama.config.schema.json',
    title: 'ollama.config.json',
    description: 'The models of an Ollama host, declared. Generated: see docs/config.md.',
    type,
    ...rest,
    $defs: {
      parameters: parameters(false),
      anyParameters: parameters(true),
    },
  }
}

function toJson(shape: Shape, place: string): Json {
  const { type, wrapped, pipe, item, value, entries = {}, options = [], literal, getter, requirement } = shape
  const inner = pipe?.at(-1)
  if (inner !== undefined && inner !== shape) return toJson(inner, place)
  switch (type) {
    case 'optional':
      return wrapped === undefined ? {} : toJson(wrapped, place)
    case 'string':
      // The server takes an empty text for none.
      return place === 'models[].requires' ? { type, pattern: `^$|${versionPattern.source}` } : { type }
    case 'regex':
      return { type: 'string', pattern: requirement?.source }
    case 'safe_integer':
      return parameterTypes.integer
    case 'boolean':
      return { type }
    case 'picklist':
      return { enum: options }
    case 'literal':
      return { const: literal }
    case 'union':
      return { enum: options.flatMap((option) => valuesOf(option)) }
    case 'array':
      // Plugins are code.
      return place === 'plugins' || item === undefined
        ? { type, maxItems: 0 }
        : { type, items: toJson(item, `${place}[]`) }
    case 'record':
      return { type: 'object', additionalProperties: value === undefined ? true : toJson(value, `${place}{}`) }
    case 'custom':
      // Of a model, a rule below says which.
      return place === 'defaults.parameters' ? { $ref: '#/$defs/parameters' } : { type: 'object' }
    case 'lazy':
      return { anyOf: alternatives(getter, place) }
    case 'object':
      return objectSchema(entries, place)
    default:
      throw new Error(`There is no JSON Schema for "${type}" at ${place}`)
  }
}

function valuesOf(option: Shape | string): readonly unknown[] {
  if (typeof option === 'string') return [option]
  return option.type === 'picklist' ? (option.options ?? []) : [option.literal]
}

/** A lazy schema is chosen by the kind of the value. */
function alternatives(getter: Shape['getter'], place: string): readonly Json[] {
  const kinds = [
    ['string', ''],
    ['array', []],
    ['object', {}],
    ['integer', 0],
  ] as const
  return kinds.flatMap(([kind, example]) => {
    const json = getter === undefined ? {} : toJson(getter(example), place)
    return json['type'] === kind
      ? [place === 'models[].adapters' || place === 'models[].gguf' ? files(json, place) : json]
      : []
  })
}

function files(json: Json, place: string): Json {
  if (json['type'] !== 'array') return json
  return place.endsWith('gguf') ? { ...json, minItems: 1 } : { ...json, maxItems: 1 }
}

function objectSchema(entries: Readonly<Record<string, Shape>>, place: string): Json {
  const properties = Object.entries(entries).map(([key, entry]) => {
    const inner = place === '' ? key : `${place}.${key}`
    // The innermost objects have no interface of their own.
    const isNamed = interfaceAt[place] !== undefined
    return [
      key,
      { ...(isNamed ? { description: plain(commentAt(place, key).text) } : {}), ...toJson(entry, inner) },
    ] as const
  })
  return {
    type: 'object',
    required: Object.keys(entries).filter((key) => entries[key]?.type !== 'optional'),
    properties: Object.fromEntries(properties),
    additionalProperties: false,
    ...(place === 'models[]' ? modelRules(Object.keys(entries)) : {}),
  }
}

const origins = ['from', 'gguf', 'aliasOf', 'modelfile']
const notBuilt = ['name', 'insecure', 'keepAlive', 'allowUnknownParameters', ...origins]

/** One origin, and fields of a build with `from` and `gguf` only. */
function modelRules(keys: readonly string[]): Json {
  const without = (names: readonly string[]) => ({ properties: Object.fromEntries(names.map((name) => [name, false])) })
  const having = (name: string) => ({ required: [name], properties: { [name]: true } })
  return {
    dependentSchemas: Object.fromEntries([
      ...origins.map((origin) => [origin, without(origins.filter((other) => other !== origin))]),
      ...keys.filter((key) => !notBuilt.includes(key)).map((key) => [key, { anyOf: ['from', 'gguf'].map(having) }]),
    ]),
    allOf: [
      when('insecure', without(origins)),
      when('allowUnknownParameters', refersTo('anyParameters'), refersTo('parameters')),
    ],
  }
}

/** Where a key is true. */
function when(key: string, result: Json, otherwise: Json = {}): Json {
  const condition = { required: [key], properties: { [key]: { const: true } } }
  return Object.fromEntries([
    ['if', condition],
    ['then', result],
    ['else', otherwise],
  ])
}

function refersTo(definition: string): Json {
  return { properties: { parameters: { $ref: `#/$defs/${definition}` } } }
}

const parameterTypes = {
  integer: { type: 'integer', minimum: Number.MIN_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER },
  number: { type: 'number' },
  boolean: { type: 'boolean' },
  texts: { type: 'array', items: { type: 'string' } },
} as const

function parameters(isOpen: boolean): Json {
  const scalar = { anyOf: ['string', 'number', 'boolean'].map((type) => ({ type })) }
  return {
    type: 'object',
    properties: Object.fromEntries(
      Object.entries(parameterKinds).map(([name, kind]) => [
        name,
        { description: plain(commentAt('defaults.parameters', name).text), ...parameterTypes[kind] },
      ]),
    ),
    additionalProperties: isOpen ? { anyOf: [...scalar.anyOf, { type: 'array', items: scalar }] } : false,
  }
}

/** As the formatter of this repository has it: a list of plain values stays on a line where it fits. */
function print(value: unknown, indent: string): string {
  const inner = `${indent}  `
  const block = (open: string, items: readonly string[], close: string) =>
    items.length === 0 ? open + close : `${open}\n${items.map((item) => inner + item).join(',\n')}\n${indent}${close}`
  if (Array.isArray(value)) {
    const line = `[${value.map((item) => JSON.stringify(item)).join(', ')}]`
    const isPlain = value.every((item) => typeof item !== 'object')
    return isPlain && line.length < 80
      ? line
      : block(
          '[',
          value.map((item) => print(item, inner)),
          ']',
        )
  }
  if (!isJson(value)) return JSON.stringify(value)
  return block(
    '{',
    Object.entries(value).map(([key, item]) => `${JSON.stringify(key)}: ${print(item, inner)}`),
    '}',
  )
}

/** Editors show the descriptions of a JSON Schema as they are. */
function plain(text: string): string {
  return text.replaceAll('`', '')
}

// --- The page -----------------------------------------------------------------------------------------------------

const sections: readonly (readonly [place: string, title: string, intro: string])[] = [
  ['', 'The config', 'What `defineConfig` takes, and what `ollama.config.json` holds.'],
  ['models[]', 'A model', 'An item of `models`. A text is the same as `{ name }`.'],
  [
    'models[].parameters',
    'Parameters',
    '`parameters` of a model, and of `defaults`. Names and types are checked, since the server checks neither.',
  ],
  ['models[].messages[]', 'A message', 'An item of `messages`.'],
  ['defaults', 'Defaults', 'The object `defaults`.'],
  ['headers{}', 'A header from the environment', 'A value of `headers` that is no text.'],
]

function configPage(): string {
  return [
    '# Config reference',
    '',
    'Every key of `ollama.config.ts`. Editors show the same texts. Generated by `npm run docs`.',
    '',
    'A config is the default export of `ollama.config.{ts,mts,js,mjs}`, or `ollama.config.json`, which begins with',
    '',
    '```json',
    '{ "$schema": "./node_modules/ollama-config/docs/schemas/ollama.config.schema.json", "models": ["all-minilm"] }',
    '```',
    '',
    ...sections.flatMap(([place, title, intro]) => [`## ${title}`, '', intro, '', ...rowsOf(place), '']),
  ]
    .join('\n')
    .trimEnd()
    .concat('\n')
}

function rowsOf(place: string): readonly string[] {
  const keys = keysAt(place)
  const rows = keys.map((key) => {
    const { text, isOptional } = commentAt(place, key)
    return `| \`${key}\` | ${cell(wantedAt(place, key))}${isOptional ? '' : '; needed'} | ${cell(text)} |`
  })
  const examples = keys.flatMap((key) => commentAt(place, key).examples)
  const code = examples.length === 0 ? [] : ['', '```ts', ...examples, '```']
  return ['| key | value | |', '| --- | --- | --- |', ...rows, ...code]
}

/** The keys that the schema knows there. */
export function keysAt(place: string): readonly string[] {
  if (place.endsWith('parameters')) return Object.keys(parameterKinds)
  const found = objects(jsonSchema()).get(place)
  if (found === undefined) throw new Error(`The schema has no object at ${place}`)
  return found
}

/** The keys of every object of a JSON Schema, by the path of messages. */
export function objects(schema: Json, place = ''): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, readonly string[]>()
  const walk = (value: unknown, at: string) => {
    for (const [inner, keys] of isJson(value) ? objects(value, at) : []) found.set(inner, keys)
  }
  const { properties, items, additionalProperties, anyOf } = schema
  if (isJson(properties)) {
    found.set(place, Object.keys(properties))
    for (const [key, value] of Object.entries(properties)) walk(value, place === '' ? key : `${place}.${key}`)
  }
  walk(items, `${place}[]`)
  walk(additionalProperties, `${place}{}`)
  for (const option of Array.isArray(anyOf) ? anyOf : []) walk(option, place)
  return found
}

function isJson(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function wantedAt(place: string, key: string): string {
  const kind = place.endsWith('parameters') ? parameterKinds[key] : undefined
  const wanted = kind === undefined ? expectations[place === '' ? key : `${place}.${key}`] : fits[kind].wanted
  if (wanted === undefined) throw new Error(`src/config/schema.ts does not say what ${place}.${key} wants`)
  return wanted
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|')
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [file, text] of Object.entries(generatedFiles())) writeFileSync(new URL(file, root), text)
}
