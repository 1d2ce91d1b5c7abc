/**
 * What an Ollama server makes of a base and a declaration, byte for byte: layers, config and manifest, and so the digest, before
 * anything is built (server/create.go in v0.33; equal since 0.32.7). Models from files are not here: the server rewrites those.
 */
import { goJson, goMapJson } from './go-json.ts'
import { configMediaType, imageType, type Layer, manifestMediaType } from './manifest.ts'
import type { Parameters } from './parameters.ts'
import { decoderBuffer } from './stored-manifest.ts'
import { fileTypeName, parameterSize, type Weights } from './weights.ts'

/** What a build takes over from its base. */
export interface ModelContent {
  /** In the order of the manifest. */
  readonly layers: readonly Layer[]
  readonly config: ConfigFields
  /** Of its params layer; `null` when it has none. */
  readonly parameters: Readonly<Record<string, unknown>> | null
  readonly weights: Weights
}

/** The fields of a model's config that are handed down. */
export interface ConfigFields {
  readonly modelFormat: string
  readonly renderer: string | null
  readonly parser: string | null
  readonly requires: string | null
  readonly capabilities: readonly string[]
}

/** What a declaration says beyond its base: `null`, like an empty list, means as the base has it. */
export interface BuildFields {
  readonly system: string | null
  readonly template: string | null
  readonly parameters: Parameters
  readonly messages: readonly StoredMessage[]
  /** Added to those of the base. */
  readonly licenses: readonly string[]
  readonly renderer: string | null
  readonly parser: string | null
  readonly requires: string | null
  readonly adapters: readonly { readonly name: string; readonly digest: string; readonly sizeBytes: number }[]
}

/** One message of a conversation, by the server's own names. */
export interface StoredMessage {
  readonly role: string
  readonly content: string
  readonly thinking?: string | undefined
  readonly images?: readonly string[] | undefined
  readonly tool_calls?:
    | readonly { readonly function: { readonly name: string; readonly arguments: Readonly<Record<string, unknown>> } }[]
    | undefined
  readonly tool_name?: string | undefined
  readonly tool_call_id?: string | undefined
}

export interface Derived {
  /** What the server will list. */
  readonly digest: string
  /** Its config comes last. */
  readonly blobs: readonly Layer[]
  /** For what is built from it in turn. */
  readonly content: ModelContent
}

/** The same with its bytes, for whoever is to make it. */
export interface DerivedBytes extends Derived {
  readonly manifestText: string
  /** What is new in it, by digest; what it takes over from the base or from files is not here. */
  readonly texts: ReadonlyMap<string, string>
}

/** Of UTF-8 text: 64 hex digits. */
export type Hash = (text: string) => string

/** Whether what comes of this base can be said at all: one GGUF file of weights, and nothing that the server works over. */
export function isPredictable({ layers, config, weights }: ModelContent): boolean {
  const count = (kind: string) => layers.filter(({ mediaType }) => mediaType === imageType(kind)).length
  return (
    config.modelFormat === 'gguf' &&
    count('model') === 1 &&
    count('draft') === 0 &&
    count('tensor') === 0 &&
    weights.architecture !== '' &&
    Number.isSafeInteger(weights.parameterCount)
  )
}

/** @param baseName Its listed name, which the layers carry */
export function predictDerived(base: ModelContent, baseName: string, build: BuildFields, hash: Hash): DerivedBytes {
  const texts = new Map<string, string>()
  const { parameters: brought, ...rendering } = renderingOf(
    base.weights.architecture,
    build.renderer ?? base.config.renderer,
    build.parser ?? base.config.parser,
  )
  const ownConfig: ConfigFields = { ...base.config, ...rendering, requires: build.requires ?? base.config.requires }
  let layers: BuiltLayer[] = [
    ...base.layers.map(({ mediaType, digest, sizeBytes }) => ({ mediaType, digest, size: sizeBytes, from: baseName })),
    ...build.adapters.map(({ name, digest, sizeBytes }) => ({
      mediaType: imageType('adapter'),
      digest,
      size: sizeBytes,
      from: name,
    })),
  ]
  const layerOf = (mediaType: string, text: string): BuiltLayer => {
    const digest = `sha256:${hash(text)}`
    texts.set(digest, text)
    return { mediaType, digest, size: byteLength(text) }
  }
  const replace = (kind: string, text: string) => {
    layers = [...layers.filter(({ mediaType }) => mediaType !== imageType(kind)), layerOf(imageType(kind), text)]
  }
  if (build.template !== null) replace('template', build.template)
  if (build.system !== null) replace('system', build.system)
  for (const license of build.licenses) layers.push(layerOf(imageType('license'), license))
  // Written anew even when nothing is declared.
  const parameters = { ...base.parameters, ...brought, ...build.parameters }
  if (Object.keys(parameters).length > 0) replace('params', `${goMapJson(parameters)}\n`)
  if (build.messages.length > 0) replace('messages', `${goJson(build.messages.map(storedMessage))}\n`)

  const config = layerOf(configMediaType, `${goJson(configOf(base.weights, ownConfig))}\n`)
  const json = goJson({
    schemaVersion: 2,
    mediaType: manifestMediaType,
    config,
    layers: layers.length === 0 ? null : layers,
  })
  return {
    // Where the JSON just fills the buffer of the decoder, the newline behind it was not read.
    digest: `sha256:${hash(decoderBuffer(byteLength(json)) === byteLength(json) ? json : `${json}\n`)}`,
    manifestText: `${json}\n`,
    texts,
    blobs: [...layers, config].map(plainLayer),
    content: {
      layers: layers.map(plainLayer),
      config: ownConfig,
      parameters: Object.keys(parameters).length > 0 ? parameters : null,
      weights: base.weights,
    },
  }
}

interface BuiltLayer {
  readonly mediaType: string
  readonly digest: string
  readonly size: number
  readonly from?: string
}

function plainLayer({ mediaType, digest, size }: BuiltLayer): Layer {
  return { mediaType, digest, sizeBytes: size }
}

interface Rendering {
  readonly renderer: string | null
  readonly parser: string | null
  /** Under those that are declared, and over those of the base. */
  readonly parameters: Parameters
}

/** Some architectures bring a renderer, a parser and where to stop, where neither base nor declaration names both of the first. */
export function renderingOf(architecture: unknown, renderer: string | null, parser: string | null): Rendering {
  if (renderer !== null && parser !== null) return { renderer, parser, parameters: {} }
  const named = (word: string, parameters: Parameters = {}) => ({
    renderer: renderer ?? word,
    parser: parser ?? word,
    parameters,
  })
  switch (architecture) {
    case 'gemma4':
      return named('gemma4', { stop: ['<turn|>'] })
    case 'laguna':
      return named('laguna')
    case 'nemotron_h':
    case 'nemotron_h_moe':
    case 'nemotron_h_omni':
      return named('nemotron-3-nano')
    default:
      return { renderer, parser, parameters: {} }
  }
}

/** What follows from the weights is worked out anew, whatever the base's config says of it. */
function configOf(weights: Weights, { modelFormat, renderer, parser, requires, capabilities }: ConfigFields): object {
  return {
    model_format: modelFormat,
    model_family: weights.architecture,
    model_families: [weights.architecture],
    model_type: parameterSize(weights.parameterCount),
    file_type: fileTypeName(weights.fileType),
    ...(renderer === null ? {} : { renderer }),
    ...(parser === null ? {} : { parser }),
    ...(requires === null ? {} : { requires }),
    ...(capabilities.length === 0 ? {} : { capabilities }),
    architecture: 'amd64',
    os: 'linux',
  }
}

/** Arguments of a call keep their order; everything else has the server's. */
function storedMessage(message: StoredMessage): object {
  const { role, content, thinking, images, tool_calls, tool_name, tool_call_id } = message
  const calls = tool_calls?.map(({ function: { name, arguments: given } }) => ({
    function: { index: 0, name, arguments: given },
  }))
  return { role: role.toLowerCase(), content, thinking, images, tool_calls: calls, tool_name, tool_call_id }
}

function byteLength(text: string): number {
  return new TextEncoder().encode(text).byteLength
}
