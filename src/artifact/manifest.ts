/**
 * Manifests: which blobs a model is made of. The digest of a model is the SHA-256 of its manifest's bytes, so that the text a
 * registry sent is kept as it was and never printed anew, except where `formatManifest` gives back the very same bytes.
 */
import { OllamaConfigError } from '../errors.ts'
import { isRecord } from './json-text.ts'
import { printable, quoted } from './text.ts'

/** One entry of a manifest: a blob and what it is for. */
export interface Layer {
  readonly mediaType: string
  /** `sha256:` and 64 lower-case hex digits. */
  readonly digest: string
  readonly sizeBytes: number
}

export interface Manifest {
  /** `null` for the few that have none. */
  readonly config: Layer | null
  readonly layers: readonly Layer[]
}

export const manifestMediaType = 'application/vnd.docker.distribution.manifest.v2+json'
export const configMediaType = 'application/vnd.docker.container.image.v1+json'

/** The media type of a layer: `model`, `template`, `params` and so on. */
export function imageType(kind: string): string {
  return `application/vnd.ollama.image.${kind}`
}

/** Real manifests have a dozen layers, those of models in many tensor files some thousand. */
const maxLayers = 100_000

/** Whether the text is `sha256:` and 64 lower-case hex digits. */
export function isDigest(text: string): boolean {
  return /^sha256:[0-9a-f]{64}$/.test(text)
}

/** The first digits, as `ollama list` shows them: `a2aa5b22c6d6`. */
export function shortDigest(digest: string): string {
  return digest.replace(/^sha256:/, '').slice(0, 12)
}

/**
 * Reads a manifest as a registry serves it or a server stores it. Lenient where the server is: unknown keys are ignored, no
 * layers may be `null`. Strict where bytes are counted: each layer has a well-formed digest and a size.
 *
 * @throws {OllamaConfigError} `registry-error`
 */
export function parseManifest(text: string): Manifest {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw notManifest(`it is no JSON (${printable(text, 60)})`)
  }
  if (!isRecord(value)) throw notManifest('it is no JSON object')
  assertSpelling(value)
  const { config = null, layers = null } = value
  if (isRecord(config)) assertSpelling(config)
  if (config === null && layers === null) throw notManifest('it names no layers')
  if (layers !== null && !Array.isArray(layers)) throw notManifest('its layers are no list')
  if (layers !== null && layers.length > maxLayers) throw notManifest(`it has more than ${maxLayers} layers`)
  return {
    // A config without a digest counts as none.
    config: config === null || (isRecord(config) && !config['digest']) ? null : readLayer(config, 'config'),
    layers: (layers ?? []).map((layer: unknown, index: number) => readLayer(layer, `layers[${index}]`)),
  }
}

function readLayer(value: unknown, place: string): Layer {
  if (!isRecord(value)) throw notManifest(`its ${place} is no object`)
  assertSpelling(value)
  const { mediaType, digest, size } = value
  if (typeof mediaType !== 'string') throw notManifest(`its ${place} has no media type`)
  const name = typeof digest === 'string' ? digest.toLowerCase().replace(/^sha256-/, 'sha256:') : ''
  if (!isDigest(name)) throw notManifest(`its ${place} has no SHA-256 digest`)
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) throw notManifest(`its ${place} has no size`)
  return { mediaType: printable(mediaType, 200), digest: name, sizeBytes: size }
}

const keys = ['config', 'layers', 'mediaType', 'digest', 'size', 'from']

/**
 * Go takes a key in any case: where a manifest has one in another, a server reads other blobs than we would.
 *
 * @throws {OllamaConfigError} `registry-error`
 */
export function assertSpelling(value: Readonly<Record<string, unknown>>): void {
  const other = Object.keys(value).find(
    (key) => !keys.includes(key) && keys.some((known) => known.toUpperCase() === key.toUpperCase()),
  )
  if (other !== undefined) throw notManifest(`its key ${quoted(other)} is spelled otherwise`)
}

/** The bytes most registries serve, and Ollama pushes: compact, keys in this order. */
export function formatManifest({ config, layers }: Manifest): string {
  const entry = ({ mediaType, digest, sizeBytes }: Layer) => ({ mediaType, digest, size: sizeBytes })
  return JSON.stringify({
    schemaVersion: 2,
    mediaType: manifestMediaType,
    ...(config === null ? {} : { config: entry(config) }),
    layers: layers.map(entry),
  })
}

/** What a pull fetches, in its order: layers, then the config; a blob that is named twice once. */
export function blobsOf<L extends Layer>({
  config,
  layers,
}: {
  readonly config: L | null
  readonly layers: readonly L[]
}): readonly L[] {
  const blobs = new Map([...layers, ...(config === null ? [] : [config])].map((layer) => [layer.digest, layer]))
  return [...blobs.values()]
}

/** Equal config and layers in equal order: the same model, however the two manifests were printed. */
export function isSameContent(a: Manifest, b: Manifest): boolean {
  const words = ({ config, layers }: Manifest) =>
    [config, ...layers].map((layer) => (layer === null ? '' : `${layer.mediaType} ${layer.digest}`)).join('\n')
  return words(a) === words(b)
}

/** The same blobs for the same purposes, as far as two lists of {@link blobsOf} tell. */
export function isSameBlobs(a: readonly Layer[], b: readonly Layer[]): boolean {
  return isSameContent({ config: null, layers: a }, { config: null, layers: b })
}

/** As a server lists it: a blob that is named twice counts twice. */
export function nominalBytes({ config, layers }: Manifest): number {
  return totalBytes([...layers, ...(config === null ? [] : [config])])
}

export function totalBytes(blobs: readonly Layer[]): number {
  return blobs.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
}

const layerWords: Readonly<Record<string, string>> = {
  model: 'weights',
  tensor: 'weights',
  projector: 'projector',
  adapter: 'adapter',
  draft: 'draft model',
  template: 'template',
  prompt: 'template',
  system: 'system prompt',
  params: 'params',
  messages: 'messages',
  license: 'license',
  json: 'model files',
}

/** What a layer is, in a word for people: `weights`, `template`, `params`. */
export function layerWord({ mediaType }: Layer): string {
  if (mediaType.startsWith('application/vnd.docker.container.image.')) return 'config'
  const kind = /^application\/vnd\.ollama\.image\.([a-z]+)/.exec(mediaType)?.[1] ?? ''
  return Object.hasOwn(layerWords, kind) ? (layerWords[kind] ?? 'other') : 'other'
}

function notManifest(problem: string): OllamaConfigError {
  return new OllamaConfigError('registry-error', `The registry's answer is no manifest: ${problem}`, {
    hint: 'check that the host in the name is a model registry, and not a web page or a sign-in portal',
  })
}
