/** What `/api/show` would tell of a model, from the files of a store. */
import { open } from 'node:fs/promises'
import { imageType, type Layer } from '../artifact/manifest.ts'
import { readJsonRecord } from '../artifact/model-content.ts'
import { printedText } from '../artifact/modelfile.ts'
import type { Parameter } from '../artifact/parameters.ts'
import { printable } from '../artifact/text.ts'
import { OllamaConfigError } from '../errors.ts'
import { hasCode } from '../runtime/transport-error.ts'
import { type Gguf, readGguf } from '../store/gguf.ts'
import { blobFile, type Layout } from '../store/layout.ts'
import type { StoredModel } from '../store/manifests.ts'
import { readSmallBlob } from '../store/models.ts'
import type { CallOptions, ModelDetails } from './backend.ts'

/** @throws {OllamaConfigError} `model-not-found` when a part of it is gone, `store-unreadable`, `invalid-response` for wrong weights */
export async function showStored(
  layout: Layout,
  { name, manifest }: StoredModel,
  { signal }: CallOptions = {},
): Promise<ModelDetails> {
  const { config: configLayer, layers } = manifest
  const of = (...kinds: readonly string[]) =>
    layers.filter(({ mediaType }) => kinds.some((kind) => mediaType === imageType(kind)))
  const textsOf = (list: readonly Layer[]) =>
    Promise.all(list.map(({ digest }) => readSmallBlob(layout, digest, { signal })))
  try {
    const [configText] = await textsOf(configLayer === null ? [] : [configLayer])
    const config = readJsonRecord(configText) ?? {}
    const field = (key: string) => {
      const value = config[key]
      return typeof value === 'string' && value !== '' ? printable(value, 200) : null
    }
    const [templates, systems, params, messages, licenses] = await Promise.all(
      [of('template', 'prompt'), of('system'), of('params'), of('messages'), of('license')].map(textsOf),
    )
    const template = templates?.at(-1)
    const model = of('model').at(-1)
    const projectors = of('projector')
    const isRemote = typeof config['remote_host'] === 'string' && config['remote_host'] !== ''
    const format = field('model_format')
    const gguf =
      model === undefined || isRemote || format === 'safetensors' ? undefined : await factsOf(layout, model, signal)
    return {
      capabilities: capabilitiesOf(config['capabilities'], gguf, projectors.length > 0, template),
      family: field('model_family'),
      format,
      parameterSize: field('model_type'),
      quantization: field('file_type'),
      weightsFile: model === undefined ? null : blobFile(layout, model.digest),
      weights: [...(model === undefined ? [] : [model]), ...projectors].map(({ digest }) => digest),
      adapters: of('adapter').map(({ digest }) => digest),
      templateSection: `TEMPLATE ${printedText(template ?? '{{ .Prompt }}')}`,
      renderer: field('renderer'),
      parser: field('parser'),
      requires: field('requires'),
      system: systems?.at(-1) || null,
      license: licenses === undefined || licenses.length === 0 ? null : licenses.join('\n') || null,
      messages: readMessages(messages?.at(-1)),
      parameters: readParameterLayers(params ?? []),
      modelInfo: gguf === undefined ? {} : modelInfoOf(gguf),
    }
  } catch (error) {
    if (error instanceof OllamaConfigError && error.code === 'model-not-found')
      throw new OllamaConfigError('model-not-found', `"${name}" is not complete. ${error.message}`, {
        hint: error.hint,
      })
    throw error
  }
}

async function factsOf(layout: Layout, { digest }: Layer, signal: AbortSignal | undefined): Promise<Gguf> {
  const file = blobFile(layout, digest)
  const handle = await open(file, 'r').catch(async (error: unknown) => {
    // Says what is wrong in the words for any blob.
    if (hasCode(error)) await readSmallBlob(layout, digest, { signal })
    throw error
  })
  try {
    return await readGguf(handle, (await handle.stat()).size, signal)
  } finally {
    await handle.close()
  }
}

/** The keys that a server leaves out have a place of their own in its answer. */
function modelInfoOf({ values, parameterCount }: Gguf): Readonly<Record<string, unknown>> {
  const hidden = new Set(['general.name', 'tokenizer.chat_template'])
  const shown = [...values].filter(([key]) => !hidden.has(key))
  return { ...Object.fromEntries(shown), 'general.parameter_count': parameterCount }
}

/** As the server finds them, but for those that only its own parsers bring; they inform, and decide nothing. */
function capabilitiesOf(
  configured: unknown,
  gguf: Gguf | undefined,
  hasProjector: boolean,
  template: string | undefined,
): readonly string[] {
  const found = new Set<string>()
  if (Array.isArray(configured))
    for (const item of configured) if (typeof item === 'string') found.add(printable(item, 80))
  if (gguf !== undefined) {
    const architecture = gguf.values.get('general.architecture')
    const has = (key: string) => gguf.values.has(`${architecture}.${key}`)
    if (template === undefined) addChatTemplate(found, gguf.values.get('tokenizer.chat_template'))
    found.add(has('pooling_type') ? 'embedding' : 'completion')
    if (has('vision.block_count')) found.add('vision')
    if (has('audio.block_count')) found.add('audio')
  }
  if (hasProjector) found.add('vision')
  if (template !== undefined) {
    if (/\.Tools\b/.test(template)) found.add('tools')
    if (/\.Suffix\b/.test(template)) found.add('insert')
    if (/\.Thinking\b/.test(template)) found.add('thinking')
  }
  return [...found]
}

function addChatTemplate(found: Set<string>, template: unknown): void {
  if (typeof template !== 'string') return
  if (/tools|tool_call/.test(template)) found.add('tools')
  if (template.includes('<think>') && template.includes('</think>')) found.add('thinking')
}

function readMessages(text: string | undefined): ModelDetails['messages'] {
  let value: unknown
  try {
    value = JSON.parse(text ?? '[]')
  } catch {
    return []
  }
  if (!Array.isArray(value)) return []
  return value.flatMap((message: unknown) => {
    if (typeof message !== 'object' || message === null || !('role' in message)) return []
    const content = 'content' in message ? message.content : ''
    return typeof message.role === 'string'
      ? [{ role: message.role, content: typeof content === 'string' ? content : '' }]
      : []
  })
}

/** A later layer goes over an earlier one, key by key. A list of one item is told as that item, and an empty one not at all. */
function readParameterLayers(texts: readonly string[]): ModelDetails['parameters'] {
  const merged = Object.assign({}, ...texts.map((text) => readJsonRecord(text) ?? {})) as Readonly<
    Record<string, unknown>
  >
  return Object.fromEntries(
    Object.entries(merged).flatMap(([key, value]): (readonly [string, Parameter])[] => {
      const list = (Array.isArray(value) ? value : [value]).filter(isScalar)
      const [first] = list
      return first === undefined ? [] : [[key, list.length === 1 ? first : list]]
    }),
  )
}

function isScalar(value: unknown): value is string | number | boolean {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
}
