/** What `/api/show` would tell of a model, from the files of a store (`GetModelInfo` in server/routes.go of v0.33). */
import { isRecord } from '../artifact/json-text.ts'
import { imageType, type Layer } from '../artifact/manifest.ts'
import { readJsonRecord } from '../artifact/model-content.ts'
import { printedText } from '../artifact/modelfile.ts'
import type { Parameter } from '../artifact/parameters.ts'
import { quoted, wellFormed } from '../artifact/text.ts'
import { fileTypeName } from '../artifact/weights.ts'
import { isOllamaConfigError, OllamaConfigError } from '../errors.ts'
import { type Gguf, readGguf } from '../store/gguf.ts'
import { blobFile, type Layout } from '../store/layout.ts'
import type { StoredModel } from '../store/manifests.ts'
import { damageHint, openBlob, readSmallBlob } from '../store/read-blob.ts'
import type { CallOptions, ModelDetails } from './backend.ts'
import { nonEmpty, textOf } from './responses.ts'
import { capabilitiesOf } from './store-capabilities.ts'

/** @throws {OllamaConfigError} `model-not-found` when a part of it is gone, `store-unreadable`, `invalid-response` for what is damaged */
export async function showStored(
  layout: Layout,
  model: StoredModel,
  { signal }: CallOptions = {},
): Promise<ModelDetails> {
  try {
    return await detailsOf(layout, model, signal)
  } catch (error) {
    if (!isOllamaConfigError(error)) throw error
    const { code, message, hint, cause } = error
    const what = code === 'model-not-found' ? 'is not complete' : 'cannot be read'
    throw new OllamaConfigError(code, `${quoted(model.name)} ${what}. ${message}`, { hint, cause })
  }
}

async function detailsOf(
  layout: Layout,
  { manifest }: StoredModel,
  signal: AbortSignal | undefined,
): Promise<ModelDetails> {
  const { config: configLayer, layers } = manifest
  const of = (...kinds: readonly string[]) =>
    layers.filter(({ mediaType }) => kinds.some((kind) => mediaType === imageType(kind)))
  const textsOf = (list: readonly Layer[]) =>
    Promise.all(list.map(({ digest }) => readSmallBlob(layout, digest, { signal })))
  const factsOf = ({ digest }: Layer) => readFacts(layout, digest, signal)

  const [configs, templates, systems, params, messages, licenses] = await Promise.all([
    textsOf(configLayer === null ? [] : [configLayer]),
    textsOf(of('template', 'prompt')),
    textsOf(of('system')),
    textsOf(of('params')),
    textsOf(of('messages')),
    textsOf(of('license')),
  ])
  const config = configs.map((text) => readRecord(text, 'config')).at(-1) ?? {}
  const format = nonEmpty(config['model_format'])
  const isSafetensors = format === 'safetensors'
  const model = of('model').at(-1)
  const projectors = of('projector')
  const template = templates.at(-1)
  const weights = isWithoutGguf(config) ? undefined : await factsOf(weightsOf(model))
  const projectorFacts = await Promise.all(projectors.map(factsOf))
  return {
    capabilities: capabilitiesOf({
      config,
      weights: format === null || format === 'gguf' ? weights : undefined,
      projectors: projectorFacts,
      template,
    }),
    family: nonEmpty(config['model_family']),
    format,
    parameterSize: nonEmpty(config['model_type']),
    quantization: quantizationOf(config['file_type'], weights),
    // Of tensor files the server's Modelfile has the name of the model instead.
    weightsFile: model === undefined || isSafetensors ? null : blobFile(layout, model.digest),
    weights: [...(model === undefined || isSafetensors ? [] : [model]), ...projectors].map(({ digest }) => digest),
    adapters: of('adapter').map(({ digest }) => digest),
    templateSection: `TEMPLATE ${printedText(template ?? '{{ .Prompt }}')}`,
    renderer: wordOf(config['renderer']),
    parser: wordOf(config['parser']),
    requires: textOf(config['requires']),
    system: textOf(systems.at(-1)),
    license: textOf(licenses.join('\n')),
    messages: readMessages(messages.at(-1)),
    parameters: readParameterLayers(params),
    modelInfo: weights === undefined ? remoteInfo(config) : infoOf(weights),
  }
}

/** Models that run elsewhere, and those in many tensor files. */
function isWithoutGguf(config: Readonly<Record<string, unknown>>): boolean {
  const { remote_host, remote_model, model_format, capabilities } = config
  const isRemote = textOf(remote_host) !== null && textOf(remote_model) !== null
  return isRemote || model_format === 'safetensors' || (Array.isArray(capabilities) && capabilities.includes('image'))
}

function weightsOf(model: Layer | undefined): Layer {
  if (model !== undefined) return model
  throw new OllamaConfigError('model-not-found', 'Its manifest names no weights', {
    hint: 'no server can load it either: take it out of the config, and "ollama-config apply --prune" removes it',
  })
}

async function readFacts(layout: Layout, digest: string, signal: AbortSignal | undefined): Promise<Gguf> {
  const { handle, found } = await openBlob(layout, digest, { signal })
  try {
    return await readGguf(handle, found.size, signal)
  } finally {
    await handle.close()
  }
}

function quantizationOf(told: unknown, weights: Gguf | undefined): string | null {
  const word = nonEmpty(told)
  const number = weights?.values.get('general.file_type')
  const name = typeof number === 'number' ? fileTypeName(number) : 'unknown'
  return (word === null || word === 'unknown') && name !== 'unknown' ? name : word
}

/** The two keys that are left out have a place of their own in the server's answer. */
function infoOf({ values, parameterCount }: Gguf): ModelDetails['modelInfo'] {
  const hidden = new Set(['general.name', 'tokenizer.chat_template'])
  const shown = [...values].filter(([key]) => !hidden.has(key))
  return Object.fromEntries([...shown, ['general.parameter_count', parameterCount]])
}

function remoteInfo(config: Readonly<Record<string, unknown>>): ModelDetails['modelInfo'] {
  const { model_family: family, base_name, context_length, embedding_length } = config
  if (textOf(family) === null || textOf(config['remote_host']) === null) return {}
  const lengths = Object.entries({ context_length, embedding_length })
    .filter(([, value]) => typeof value === 'number' && value > 0)
    .map(([key, value]) => [`${family}.${key}`, value])
  return {
    'general.architecture': family,
    ...(textOf(base_name) === null ? {} : { 'general.basename': base_name }),
    ...Object.fromEntries(lengths),
  }
}

function wordOf(value: unknown): string | null {
  const text = nonEmpty(value)
  return text !== null && /^\S+$/.test(text) ? text : null
}

/** A `null` counts as nothing at all, as for a server. */
function readRecord(text: string, what: string): Readonly<Record<string, unknown>> {
  const value = text.trim() === 'null' ? {} : readJsonRecord(text)
  if (value === undefined) throw damaged(what)
  return value
}

function readMessages(text: string | undefined): ModelDetails['messages'] {
  if (text === undefined || text.trim() === 'null') return []
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw damaged('messages')
  }
  if (!Array.isArray(value)) throw damaged('messages')
  return value.map((message: unknown) => {
    if (!isRecord(message)) throw damaged('messages')
    const { role, content } = message
    return { role: stored(role).toLowerCase(), content: stored(content) }
  })
}

/** Text as a server stores it; a field that is not there is empty there. */
function stored(value: unknown): string {
  return typeof value === 'string' ? wellFormed(value) : ''
}

/** A later layer goes over an earlier one, key by key. A list of one item is told as that item, and an empty one not at all. */
function readParameterLayers(texts: readonly string[]): ModelDetails['parameters'] {
  const merged = new Map(texts.flatMap((text) => Object.entries(readRecord(text, 'parameters'))))
  return Object.fromEntries(
    [...merged].flatMap(([key, value]): (readonly [string, Parameter])[] => {
      const list = (Array.isArray(value) ? value : [value])
        .filter(isScalar)
        .map((item) => (typeof item === 'string' ? wellFormed(item) : item))
      const [first] = list
      return first === undefined ? [] : [[key, list.length === 1 ? first : list]]
    }),
  )
}

function isScalar(value: unknown): value is string | number | boolean {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
}

function damaged(what: string): OllamaConfigError {
  return new OllamaConfigError('invalid-response', `Its ${what} are no JSON that a server can read`, {
    hint: damageHint,
  })
}
