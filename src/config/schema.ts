/** The shape of a config, checked. Every problem is reported, each with its path, what was expected and what was found. */
import * as v from 'valibot'
import { fitsJson } from '../artifact/json-text.ts'
import type { Diagnostic } from '../errors.ts'
import { isPlugin, isPluginFactory, type Plugin } from '../plugin.ts'
import { suggest } from '../suggest.ts'
import type { Config, ModelParameters } from './config.ts'
import { describe } from './describe.ts'
import { formatPath } from './key-path.ts'
import { asRead } from './loose.ts'

// Names, types and ranges of parameters are checked when they are resolved, by a table of Ollama's own.
const parametersSchema = v.optional(v.custom<ModelParameters>(isPlainObject))
const textsSchema = v.optional(v.lazy((input) => (Array.isArray(input) ? v.array(v.string()) : v.string())))
const functionEntries = {
  name: v.string(),
  // A date is an object, too, but not in JSON.
  arguments: v.custom<Readonly<Record<string, unknown>>>((input) => isPlainObject(asRead(input)) && fitsJson(input)),
}
const callEntries = { function: v.object(functionEntries) }
const messageEntries = {
  role: v.picklist(['system', 'user', 'assistant', 'tool']),
  content: v.string(),
  thinking: v.optional(v.string()),
  images: v.optional(v.array(v.string())),
  tool_calls: v.optional(v.array(v.object(callEntries))),
  tool_name: v.optional(v.string()),
  tool_call_id: v.optional(v.string()),
}

/** The server reads a text as Go does, where a number needs a unit, and a number as seconds. */
const timePattern = /^-?(?:\d+(?:\.\d+)?(?:ms|s|m|h))+$/
const keepAliveSchema = v.optional(
  v.lazy((input) =>
    typeof input === 'number' ? v.pipe(v.number(), v.safeInteger()) : v.pipe(v.string(), v.regex(timePattern)),
  ),
)

const declarationEntries = {
  name: v.string(),
  insecure: v.optional(v.boolean()),
  keepAlive: keepAliveSchema,
  from: v.optional(v.string()),
  gguf: textsSchema,
  aliasOf: v.optional(v.string()),
  modelfile: v.optional(v.string()),
  system: v.optional(v.string()),
  template: v.optional(v.string()),
  parameters: parametersSchema,
  allowUnknownParameters: v.optional(v.boolean()),
  messages: v.optional(v.array(v.pipe(v.custom<object>(isPlainObject), v.object(messageEntries)))),
  license: textsSchema,
  adapters: textsSchema,
  renderer: v.optional(v.string()),
  parser: v.optional(v.string()),
  requires: v.optional(v.string()),
  quantize: v.optional(v.picklist(['F32', 'F16', 'BF16', 'Q8_0', 'Q4_K_M', 'Q4_K_S'])),
}

const defaultsEntries = { parameters: parametersSchema, keepAlive: keepAliveSchema }

const headerEntries = { env: v.string() }

// `lazy` instead of `union`: the problems of an object are then those of the object, not "no option matched".
const modelSchema = v.lazy((input) => (isPlainObject(input) ? v.object(declarationEntries) : v.string()))

const headerSchema = v.lazy((input) => (isPlainObject(input) ? v.object(headerEntries) : v.string()))

const configEntries = {
  models: v.array(modelSchema),
  host: v.optional(v.string()),
  // valibot's objects and records take lists as well.
  headers: v.optional(v.pipe(v.custom<object>(isPlainObject), v.record(v.string(), headerSchema))),
  prune: v.optional(v.union([v.picklist(['undeclared', 'managed']), v.literal(false)])),
  keep: v.optional(v.array(v.string())),
  defaults: v.optional(v.pipe(v.custom<object>(isPlainObject), v.object(defaultsEntries))),
  // What is in a plugin is checked where plugins are used: most configs have none.
  plugins: v.optional(v.array(v.custom<Plugin>(isPlugin))),
  discover: v.optional(v.string()),
  // Editors look for it in JSON files.
  $schema: v.optional(v.string()),
}

export const configSchema = v.pipe(v.custom<object>(isPlainObject), v.object(configEntries))

/** What each key wants, in words, for messages and docs. */
export const expectations: Readonly<Record<string, string>> = {
  models: 'a list of model names',
  host: 'an address as text',
  headers: 'an object of header names and values',
  prune: '"undeclared", "managed" or false',
  keep: 'a list of patterns',
  'models[]': 'a model name or an object such as { name: "qwen3:8b" }',
  'models[].name': 'a model name',
  'models[].insecure': 'true or false',
  'models[].keepAlive': 'a time such as "10m", or a whole number of seconds',
  'models[].from': 'the name of the model to start from',
  'models[].gguf': 'the path of a GGUF file, or a list of them',
  'models[].gguf[]': 'the path of a GGUF file',
  'models[].aliasOf': 'the name of a model',
  'models[].modelfile': 'the path of a Modelfile',
  'models[].system': 'text',
  'models[].template': 'text',
  'models[].parameters': 'an object such as { num_ctx: 8192 }',
  'models[].allowUnknownParameters': 'true or false',
  'models[].messages': 'a list such as [{ role: "user", content: "Hello" }]',
  'models[].messages[]': 'an object such as { role: "user", content: "Hello" }',
  'models[].messages[].role': '"system", "user", "assistant" or "tool"',
  'models[].messages[].content': 'text',
  'models[].messages[].thinking': 'text',
  'models[].messages[].images': 'a list of texts',
  'models[].messages[].images[]': 'text',
  'models[].messages[].tool_calls': 'a list such as [{ function: { name: "day", arguments: {} } }]',
  'models[].messages[].tool_calls[]': 'an object such as { function: { name: "day", arguments: {} } }',
  'models[].messages[].tool_calls[].function': 'an object such as { name: "day", arguments: {} }',
  'models[].messages[].tool_calls[].function.name': 'text',
  'models[].messages[].tool_calls[].function.arguments': 'an object that JSON can hold, of no more than 1000 levels',
  'models[].messages[].tool_name': 'text',
  'models[].messages[].tool_call_id': 'text',
  'models[].license': 'text, or a list of texts',
  'models[].license[]': 'text',
  'models[].adapters': 'the path of an adapter, or a list of them',
  'models[].adapters[]': 'the path of an adapter',
  'models[].renderer': 'the name of a renderer',
  'models[].parser': 'the name of a parser',
  'models[].requires': 'a version such as "0.14.0"',
  'models[].quantize': '"F32", "F16", "BF16", "Q8_0", "Q4_K_M" or "Q4_K_S"',
  defaults: 'an object such as { parameters: { temperature: 0.2 } }',
  'defaults.keepAlive': 'a time such as "10m", or a whole number of seconds',
  'defaults.parameters': 'an object such as { temperature: 0.2 }',
  'keep[]': 'a pattern as text',
  plugins: 'a list of plugins',
  'plugins[]': 'a plugin',
  discover: 'the path of a folder',
  $schema: 'the address or the path of a JSON Schema',
  'headers{}': 'text or { env: "NAME_OF_A_VARIABLE" }',
  'headers{}.env': 'the name of an environment variable',
}

/** The problems of `input` as a config; none means that it is one. */
export function checkShape(input: unknown): {
  readonly config: Config | undefined
  readonly problems: readonly Diagnostic[]
} {
  const result = v.safeParse(configSchema, input)
  const unknown = unknownKeys(input)
  if (result.success && unknown.length === 0) return { config: result.output, problems: [] }
  return { config: undefined, problems: [...(result.issues ?? []).map(toDiagnostic), ...unknown] }
}

/** All of them: valibot's strict objects tell only of the first. */
function unknownKeys(input: unknown): readonly Diagnostic[] {
  const found: Diagnostic[] = []
  const check = (value: unknown, known: object, path: readonly unknown[]) => {
    if (!isPlainObject(value)) return
    for (const key of Object.keys(value)) if (!Object.hasOwn(known, key)) found.push(unknownKey(key, known, path))
  }
  check(input, configEntries, [])
  if (!isPlainObject(input)) return found
  const { models, headers, defaults } = input
  if (Array.isArray(models)) {
    models.forEach((model, index) => {
      check(model, declarationEntries, ['models', index])
      const messages: unknown = isPlainObject(model) ? model['messages'] : undefined
      if (!Array.isArray(messages)) return
      messages.forEach((message: unknown, at) => {
        const path = ['models', index, 'messages', at]
        check(message, messageEntries, path)
        const calls: unknown = isPlainObject(message) ? message['tool_calls'] : undefined
        if (!Array.isArray(calls)) return
        calls.forEach((call: unknown, number) => {
          check(call, callEntries, [...path, 'tool_calls', number])
          if (isPlainObject(call)) check(call['function'], functionEntries, [...path, 'tool_calls', number, 'function'])
        })
      })
    })
  }
  check(defaults, defaultsEntries, ['defaults'])
  if (isPlainObject(headers)) {
    for (const [name, value] of Object.entries(headers)) check(value, headerEntries, ['headers', name])
  }
  return found
}

function isPlainObject(input: unknown): input is Record<string, unknown> {
  return typeof input === 'object' && input !== null && !Array.isArray(input)
}

function toDiagnostic(issue: v.BaseIssue<unknown>): Diagnostic {
  const keys = (issue.path ?? []).map((item) => item.key)
  const path = formatPath(keys)
  const expected =
    expectations[generalPath(keys)] ??
    (keys.length === 0 ? 'an object such as { models: ["qwen3:8b"] }' : issue.expected)
  // valibot says `undefined` for a key that is not there.
  const missing = issue.received === 'undefined' && keys.length > 0
  const message = missing
    ? `${path} is missing: expected ${expected}`
    : `${path || 'The config'} must be ${expected}: found ${keys[0] === 'headers' ? kindOf(issue.input) : describe(issue.input)}`
  const code = missing ? 'missing-key' : 'wrong-type'
  if (keys[0] === 'plugins' && keys.length === 2) {
    return { severity: 'error', code, ...pluginProblem(issue.input, path) }
  }
  return { severity: 'error', code, message, ...(path === '' ? {} : { path }) }
}

/** The likeliest slip: `plugins: [persona]`, or the module that was imported. */
function pluginProblem(value: unknown, path: string): Pick<Diagnostic, 'message' | 'path' | 'hint'> {
  const isFactory = isPluginFactory(value)
  const found = isFactory ? 'a factory: call it, as in persona()' : describe(value)
  const message = `${path} must be a plugin: found ${found}`
  return isFactory
    ? { message, path }
    : { message, path, hint: 'a plugin is what the function of definePlugin returns' }
}

function unknownKey(key: string, knownKeys: object, parent: readonly unknown[]): Diagnostic {
  const path = formatPath([...parent, key])
  const known = Object.keys(knownKeys)
  const near = suggest(key, known)
  const hint =
    near === undefined ? `known keys are ${known.map((name) => `"${name}"`).join(', ')}` : `did you mean "${near}"?`
  return { severity: 'error', code: 'unknown-key', message: `${path} is not a known key`, path, hint }
}

function generalPath(keys: readonly unknown[]): string {
  if (keys[0] === 'headers' && keys.length > 1) return keys.length === 2 ? 'headers{}' : 'headers{}.env'
  return keys.reduce<string>(
    (path, key) => (typeof key === 'number' ? `${path}[]` : path === '' ? String(key) : `${path}.${String(key)}`),
    '',
  )
}

/** Of a value that may be a secret. */
function kindOf(value: unknown): string {
  return value === null ? 'null' : Array.isArray(value) ? 'a list' : `a value of type ${typeof value}`
}
