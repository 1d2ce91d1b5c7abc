/** From what a test says of a model to its manifest and blobs. What it leaves out follows from the name alone. */
import { createHash } from 'node:crypto'
import { mustRead, showName } from './names.ts'
import type { ModelContent, ServerLayer, ServerModel } from './options.ts'

export const configMediaType = 'application/vnd.docker.container.image.v1+json'
const manifestMediaType = 'application/vnd.docker.distribution.manifest.v2+json'
export const layerType = (kind: string) => `application/vnd.ollama.image.${kind}`

export interface ManifestLayer {
  mediaType: string
  digest: string
  size: number
  from?: string
}

export interface Blob {
  size: number
  bytes: Uint8Array | undefined
  /** What the bytes hash to, where that is not the name they go by. */
  served: string | undefined
}

export interface Content {
  /** Byte for byte what the registry serves and the server stores. */
  manifest: string
  /** 64 hex digits. */
  digest: string
  layers: ManifestLayer[]
  config: ManifestLayer | undefined
  blobs: Map<string, Blob>
}

/** In the order a pull asks for them: layers first, config last. */
export function blobsInOrder(content: Content): ManifestLayer[] {
  return content.config === undefined ? content.layers : [...content.layers, content.config]
}

export function sha256(data: Uint8Array | string): string {
  return createHash('sha256').update(data).digest('hex')
}

/** Manifest, layers and blobs of a model as this module makes them; for a test registry that is to serve the same. */
export function describeModel(model: string | ModelContent | ServerModel): Content {
  const spec: ServerModel = typeof model === 'string' ? { name: model } : model
  const blobs = new Map<string, Blob>()
  const given = spec.layers ?? (spec.manifest === undefined ? madeUpLayers(spec) : [])
  const described = given.map((layer) => ({ kind: layer.mediaType, layer: addBlob(layer, blobs) }))
  const manifest = spec.manifest === undefined ? printManifest(spec, described, blobs) : printGiven(spec.manifest)
  const { layers, config } = readManifest(manifest)
  for (const { digest, size } of [...layers, ...(config === undefined ? [] : [config])]) {
    if (!blobs.has(digest)) blobs.set(digest, { size, bytes: undefined, served: undefined })
  }
  return { manifest, digest: sha256(manifest), layers, config, blobs }
}

function printGiven(manifest: object | string): string {
  return typeof manifest === 'string' ? manifest : JSON.stringify(manifest)
}

function printManifest(
  spec: ServerModel,
  described: { kind: string; layer: ManifestLayer }[],
  blobs: Map<string, Blob>,
): string {
  const config =
    described.find(({ kind }) => kind === configMediaType)?.layer ??
    addBlob({ mediaType: configMediaType, bytes: JSON.stringify(madeUpConfig(spec)) }, blobs)
  const layers = described.filter(({ kind }) => kind !== configMediaType).map(({ layer }) => layer)
  // A manifest made on the host says `null` where there are no layers.
  return JSON.stringify({
    schemaVersion: 2,
    mediaType: manifestMediaType,
    config,
    layers: layers.length === 0 ? null : layers,
  })
}

function addBlob(layer: ServerLayer, blobs: Map<string, Blob>): ManifestLayer {
  const bytes = typeof layer.bytes === 'string' ? new TextEncoder().encode(layer.bytes) : layer.bytes
  const size = layer.size ?? bytes?.length ?? 0
  const digest = layer.digest ?? `sha256:${sha256(bytes ?? `${layer.mediaType} of ${size} bytes`)}`
  blobs.set(digest, { size: bytes?.length ?? size, bytes, served: layer.served })
  const { mediaType, from } = layer
  return { mediaType, digest, size, ...(from === undefined ? {} : { from }) }
}

/** Lenient, as the server is: what is not there counts as none. */
function readManifest(text: string): Pick<Content, 'layers' | 'config'> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return { layers: [], config: undefined }
  }
  const { layers, config } = (value ?? {}) as { layers?: ManifestLayer[] | null; config?: ManifestLayer }
  return { layers: layers ?? [], config: config?.digest ? config : undefined }
}

function madeUpLayers(spec: ServerModel): ServerLayer[] {
  if (spec.remoteHost !== undefined) return []
  const seed = seedOf(spec)
  if (spec.parentModel !== undefined) {
    const base = seedOf({ name: spec.parentModel })
    const from = showName(mustRead(spec.parentModel))
    return [
      { mediaType: layerType('model'), bytes: madeUpWeights(base), from },
      { mediaType: layerType('system'), bytes: `You are ${seed}.` },
    ]
  }
  // No layer is shared by two made-up models: pulls that share one are a danger that a test has to ask for.
  return [
    { mediaType: layerType('model'), bytes: madeUpWeights(seed) },
    { mediaType: layerType('license'), bytes: `Made-up license of ${seed}\n` },
  ]
}

function seedOf({ name, revision }: ModelContent): string {
  const shown = showName(mustRead(name)).toLowerCase()
  return revision === undefined ? shown : `${shown} (${revision})`
}

/** 4096 bytes that look the same on every run. */
function madeUpWeights(seed: string): Uint8Array {
  const text = new TextEncoder().encode(`GGUF weights of ${seed} `)
  return Uint8Array.from({ length: 4096 }, (_, index) => text[index % text.length] ?? 0)
}

function madeUpConfig(spec: ServerModel): object {
  if (spec.remoteHost !== undefined) {
    const remote = { remote_host: spec.remoteHost, remote_model: spec.remoteModel ?? spec.name }
    return { model_format: '', model_family: '', ...remote, base_name: seedOf(spec) }
  }
  return {
    model_format: 'gguf',
    model_family: 'llama',
    model_families: ['llama'],
    model_type: '1.2B',
    file_type: 'Q4_K_M',
    base_name: seedOf(spec),
    architecture: 'amd64',
    os: 'linux',
  }
}
