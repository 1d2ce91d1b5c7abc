/** New models, byte for byte as the recorded server stores them: layers, config, manifest. */
import { type Blob, type Content, configMediaType, layerType, type ManifestLayer, sha256 } from './content.ts'
import { type Facts, factsOf, type ModelInfo, modelInfoOf } from './facts.ts'
import { goJson, goMapJson } from './json-body.ts'
import { showName } from './names.ts'
import { type Extras, type ImageConfig, type Installed, lengths, readConfig, type Store } from './store.ts'

export interface DeriveFields {
  system?: string
  template?: string
  license?: string | string[]
  parameters?: Record<string, unknown>
  messages?: Record<string, unknown>[]
  renderer?: string
  parser?: string
  requires?: string
  info?: Record<string, unknown>
}

/** A layer that a new model starts with. */
export interface StartLayer extends ManifestLayer {
  /** The line about it, or nothing. */
  status: string | undefined
  /** Of weights, adapters and projectors. */
  info?: ModelInfo
  /** Came as an uploaded file, which only then is looked at closely. */
  file?: Uint8Array
}

/** What a new model is built from: layers of a base or of files, and what is known before the weights are looked at. */
export interface Start {
  layers: StartLayer[]
  /** The base's config; empty without one. */
  config: ImageConfig
  extras: Extras
}

export interface Built {
  content: Content
  extras: Extras
  /** One line for each layer. */
  statuses: string[]
}

/** Ends a create: as an answer of its own while nothing was sent, else as a line. */
export class CreateFailure extends Error {
  readonly status: number

  constructor(message: string, status = 500) {
    super(message)
    this.status = status
  }
}

/** @throws CreateFailure where the store has lost a layer. */
export function startFrom(base: Installed, store: Store): Start {
  const { content, extras } = base
  const { parentModel, remoteHost, remoteModel, digest, size, ...kept } = extras
  const info = modelInfoOf(base)
  const from = showName(base.name)
  const layers = content.layers.map(({ mediaType, digest, size }): StartLayer => {
    if (!store.blobs.has(digest)) throw new CreateFailure(`stat ${blobPath(digest)}: no such file or directory`)
    const layer = { mediaType, digest, size, from, status: `using existing layer ${digest}` }
    return mediaType === layerType('model') ? { ...layer, info } : layer
  })
  return { layers, config: readConfig(content), extras: { ...kept, modelInfo: info } }
}

export function blobPath(digest: string): string {
  return `$OLLAMA_MODELS/blobs/${digest.replace(':', '-')}`
}

/** Puts new blobs into the store, where they stay even if no manifest ever names them. */
export function assemble(start: Start, fields: DeriveFields, store: Store): Built {
  let layers = [...start.layers]
  const { config, defaults } = newConfig(start, fields)
  const add = (mediaType: string, text: string) => {
    const { isNew, ...layer } = store.put(new TextEncoder().encode(text))
    layers.push({ mediaType, ...layer, status: `${isNew ? 'creating new' : 'using existing'} layer ${layer.digest}` })
  }
  const replace = (kind: string, text: string) => {
    const dropped = layers.filter((layer) => layer.mediaType === layerType(kind))
    layers = layers.filter((layer) => !dropped.includes(layer))
    store.prune(dropped.map((layer) => layer.digest))
    add(layerType(kind), text)
  }
  if (fields.template) {
    if (isUnclosed(fields.template)) throw new CreateFailure('template error: template: :1: unclosed action', 400)
    replace('template', fields.template)
  }
  if (fields.system) replace('system', fields.system)
  // Licenses only ever pile up.
  for (const license of readLicenses(fields.license)) add(layerType('license'), license)
  const inherited = layers.find((layer) => layer.mediaType === layerType('params'))
  const bytes = inherited === undefined ? undefined : store.blobs.get(inherited.digest)?.bytes
  const known = bytes === undefined ? {} : (JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>)
  // Written anew even when nothing is declared: keys sorted, a newline at the end.
  const parameters = { ...known, ...defaults, ...fields.parameters }
  if (Object.keys(parameters).length > 0) replace('params', `${goMapJson(parameters)}\n`)
  const messages = fields.messages ?? []
  if (messages.length > 0) replace('messages', `${goJson(messages.map(storedMessage))}\n`)

  const statuses = layers.map(({ status }) => status).filter((status) => status !== undefined)
  const { isNew, ...stored } = store.put(new TextEncoder().encode(`${goJson(config)}\n`))
  const content = contentOf({ mediaType: configMediaType, ...stored }, layers, store)
  return { content, extras: extrasWith(start.extras, config), statuses }
}

/** What a request says in `info` comes before what the weights say. */
function extrasWith(extras: Extras, config: ImageConfig): Extras {
  const { capabilities: declared = [] } = config
  const { capabilities } = extras
  return {
    ...extras,
    ...(extras.details === undefined ? {} : { details: { ...extras.details, ...lengths(config) } }),
    ...(capabilities === undefined ? {} : { capabilities: [...new Set([...declared, ...capabilities])] }),
  }
}

/** The only mistake in a template that is noticed here. */
function isUnclosed(template: string): boolean {
  return template.lastIndexOf('{{') > template.lastIndexOf('}}')
}

function readLicenses(license: unknown): string[] {
  if (license === undefined || license === '') return []
  const licenses = typeof license === 'string' ? [license] : license
  const isList = Array.isArray(licenses) && licenses.every((item) => typeof item === 'string')
  if (isList) return licenses
  throw new CreateFailure(`json: cannot unmarshal ${typeof license} into Go value of type []string`)
}

function contentOf(config: ManifestLayer, layers: StartLayer[], store: Store): Content {
  const listed = layers.map(({ mediaType, digest, size, from }): ManifestLayer => {
    return { mediaType, digest, size, ...(from === undefined ? {} : { from }) }
  })
  const json = goJson({
    schemaVersion: 2,
    mediaType: 'application/vnd.docker.distribution.manifest.v2+json',
    config,
    layers: listed.length === 0 ? null : listed,
  })
  const blobs = new Map<string, Blob>()
  for (const { digest, size } of [config, ...listed]) {
    blobs.set(digest, store.blobs.get(digest) ?? { size, bytes: undefined, served: undefined })
  }
  // The reported digest leaves the final newline out where the JSON just fills the decoder's buffer.
  const fills = bufferSizes.includes(Buffer.byteLength(json))
  return { manifest: `${json}\n`, digest: sha256(fills ? json : `${json}\n`), layers: listed, config, blobs }
}

const bufferSizes = [512, 1536, 3584, 7680, 15872, 32256]

/** Families whose renderer and parser the server knows; with them may come parameters. */
const rendered: Record<string, { renderer: string; parser: string; parameters?: Record<string, unknown> }> = {
  gemma4: { renderer: 'gemma4', parser: 'gemma4', parameters: { stop: ['<turn|>'] } },
  laguna: { renderer: 'laguna', parser: 'laguna' },
  nemotron_h: { renderer: 'nemotron-3-nano', parser: 'nemotron-3-nano' },
  nemotron_h_moe: { renderer: 'nemotron-3-nano', parser: 'nemotron-3-nano' },
  nemotron_h_omni: { renderer: 'nemotron-3-nano', parser: 'nemotron-3-nano' },
}

/** Undefined keys are dropped by the printer, which is why their order stands here. */
function newConfig(
  { layers, config: base }: Start,
  fields: DeriveFields,
): { config: ImageConfig; defaults: Record<string, unknown> } {
  const info = readInfo(fields.info)
  const weights = layers
    .filter((layer) => layer.mediaType === layerType('model'))
    .map((layer): Facts => factsOf(layer.info ?? {}, base))
  const families = [info.model_family || [], weights.flatMap((facts) => facts.families)].flat()
  const capabilities = [...(base.capabilities ?? []), ...info.capabilities]
  let renderer = fields.renderer || base.renderer || undefined
  let parser = fields.parser || base.parser || undefined
  let defaults: Record<string, unknown> = {}
  for (const { family } of weights) {
    const known = renderer === undefined || parser === undefined ? rendered[family] : undefined
    renderer ??= known?.renderer
    parser ??= known?.parser
    defaults = { ...defaults, ...known?.parameters }
  }
  const config = {
    model_format: base.model_format || (weights.length > 0 ? 'gguf' : ''),
    model_family: info.model_family || (weights[0]?.family ?? ''),
    model_families: families.length === 0 ? null : families,
    model_type: info.parameter_size || (weights[0]?.modelType ?? ''),
    file_type: info.quantization_level || (weights[0]?.fileType ?? ''),
    renderer,
    parser,
    requires: fields.requires || base.requires || undefined,
    capabilities: capabilities.length === 0 ? undefined : capabilities,
    context_length: info.context_length || undefined,
    embedding_length: info.embedding_length || undefined,
    base_name: info.base_name || undefined,
    architecture: 'amd64',
    os: 'linux',
  }
  return { config: config as ImageConfig, defaults }
}

function readInfo(info: Record<string, unknown> = {}) {
  const text = (key: string): string => {
    const value = info[key] ?? ''
    if (typeof value === 'string') return value
    throw new CreateFailure(`info field "${key}" must be a string`, 400)
  }
  const number = (key: string): number => {
    const value = info[key] ?? 0
    if (typeof value !== 'number') throw new CreateFailure(`info field "${key}" must be a number`, 400)
    if (Number.isInteger(value) && value >= 0) return value
    throw new CreateFailure(`info field "${key}" must be a non-negative integer`, 400)
  }
  const { capabilities } = info
  return {
    capabilities: Array.isArray(capabilities) ? capabilities.map((item) => (typeof item === 'string' ? item : '')) : [],
    model_family: text('model_family'),
    base_name: text('base_name'),
    quantization_level: text('quantization_level'),
    parameter_size: text('parameter_size'),
    context_length: number('context_length'),
    embedding_length: number('embedding_length'),
  }
}

function storedMessage(message: Record<string, unknown>): object {
  const { role, content, thinking, images, tool_calls, tool_name, tool_call_id } = message
  const calls = (tool_calls as { function: { name: string; arguments: unknown } }[] | undefined)?.map(
    ({ function: called }) => ({ function: { index: 0, name: called.name, arguments: called.arguments } }),
  )
  return {
    role: String(role).toLowerCase(),
    content,
    thinking,
    images,
    tool_calls: calls,
    tool_name,
    tool_call_id,
  }
}
