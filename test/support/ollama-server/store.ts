/** The server's model directory, in memory: manifests by name, blobs by digest. */
import { type Blob, blobsInOrder, type Content, describeModel, sha256 } from './content.ts'
import { mustRead, type Name, nameKey, showName } from './names.ts'
import type { ModelContent, ServerModel } from './options.ts'

/** What the manifest does not tell and a test may set. */
export type Extras = Omit<ServerModel, 'name' | 'manifest' | 'layers' | 'revision' | 'modifiedAt' | 'lostBlobs'>

export interface Installed {
  name: Name
  content: Content
  extras: Extras
  modifiedAt: string
}

export interface ListEntry {
  name: string
  model: string
  digest: string
  size: number
  details: Record<string, unknown>
  [key: string]: unknown
}

export interface ImageConfig {
  model_format?: string
  model_family?: string
  model_families?: string[]
  model_type?: string
  file_type?: string
  remote_host?: string
  remote_model?: string
  capabilities?: string[]
  context_length?: number
  embedding_length?: number
  requires?: string
  renderer?: string
  parser?: string
}

export class Store {
  readonly blobs = new Map<string, Blob>()
  readonly #models = new Map<string, Installed>()
  // Each change is a second after the one before: the listing's order is by whole seconds and random within one.
  #clock = Date.UTC(2026, 0, 1)

  get(name: Name): Installed | undefined {
    return this.#models.get(nameKey(name))
  }

  all(): Installed[] {
    return [...this.#models.values()]
  }

  names(): Name[] {
    return this.all().map((model) => model.name)
  }

  /** Puts a model in as if it had been there all along, with every blob the manifest names. */
  install(model: string | ServerModel): void {
    const spec: ServerModel = typeof model === 'string' ? { name: model } : model
    const content = describeModel(spec)
    for (const [digest, blob] of content.blobs) this.blobs.set(digest, blob)
    for (const digest of spec.lostBlobs ?? []) this.blobs.delete(digest)
    this.write(mustRead(spec.name), content, extrasOf(spec), spec.modifiedAt)
  }

  write(name: Name, content: Content, extras: Extras, modifiedAt?: string): void {
    this.#clock = Math.max(this.#clock, modifiedAt === undefined ? 0 : Math.floor(Date.parse(modifiedAt) / 1000) * 1000)
    this.#clock += 1000
    const stamp = modifiedAt ?? new Date(this.#clock).toISOString().replace('.000Z', '.123456789Z')
    const key = nameKey(name)
    const known = this.#models.get(key)
    this.#models.set(key, { name: known?.name ?? name, content, extras, modifiedAt: stamp })
  }

  /** What is there already stays as it is. */
  put(bytes: Uint8Array): { digest: string; size: number; isNew: boolean } {
    const digest = `sha256:${sha256(bytes)}`
    const isNew = !this.blobs.has(digest)
    if (isNew) this.blobs.set(digest, { size: bytes.length, bytes, served: undefined })
    return { digest, size: bytes.length, isNew }
  }

  /** Takes the manifest away, and then every blob of it that no other manifest names. */
  remove(name: Name): boolean {
    const found = this.#models.get(nameKey(name))
    if (found === undefined) return false
    this.#models.delete(nameKey(name))
    this.prune(blobsInOrder(found.content).map((layer) => layer.digest))
    return true
  }

  prune(digests: readonly string[]): void {
    const used = new Set(this.all().flatMap(({ content }) => blobsInOrder(content).map((layer) => layer.digest)))
    for (const digest of digests) if (!used.has(digest)) this.blobs.delete(digest)
  }

  isComplete({ content }: Installed): boolean {
    return blobsInOrder(content).every((layer) => this.blobs.has(layer.digest))
  }

  /** Newest first, by whole seconds. */
  list(): ListEntry[] {
    const second = (model: Installed) => Math.floor(Date.parse(model.modifiedAt) / 1000)
    return this.all()
      .sort((a, b) => second(b) - second(a))
      .map(listEntry)
  }
}

export function extrasOf(spec: ModelContent | ServerModel): Extras {
  const { name, manifest, layers, revision, modifiedAt, lostBlobs, ...extras } = spec as ServerModel
  return extras
}

export function listEntry(model: Installed): ListEntry {
  const { content, extras } = model
  const config = readConfig(content)
  const remoteModel = extras.remoteModel ?? config.remote_model
  const remoteHost = extras.remoteHost ?? config.remote_host
  const sizes = blobsInOrder(content).reduce((sum, layer) => sum + layer.size, 0)
  const shown = showName(model.name)
  const capabilities =
    extras.capabilities ??
    config.capabilities ??
    (remoteHost === undefined && content.config !== undefined ? ['completion'] : undefined)
  return {
    name: shown,
    model: shown,
    ...(remoteModel === undefined ? {} : { remote_model: remoteModel }),
    ...(remoteHost === undefined ? {} : { remote_host: remoteHost }),
    modified_at: model.modifiedAt,
    size: extras.size ?? sizes,
    digest: extras.digest ?? content.digest,
    details: {
      ...shortDetails(model),
      ...lengths(config),
      ...extras.details,
    },
    ...(capabilities === undefined ? {} : { capabilities }),
  }
}

export function lengths(config: ImageConfig): Record<string, number> {
  return {
    ...(config.context_length ? { context_length: config.context_length } : {}),
    ...(config.embedding_length ? { embedding_length: config.embedding_length } : {}),
  }
}

/** As `/api/show` gives them, which leaves the two lengths out. */
export function shortDetails({ content, extras }: Installed): Record<string, unknown> {
  const config = readConfig(content)
  const weights = content.layers.find((layer) => layer.mediaType.endsWith('.image.model'))
  return {
    parent_model: weights?.from ?? extras.parentModel ?? '',
    format: config.model_format ?? '',
    family: config.model_family ?? '',
    families: config.model_families ?? null,
    parameter_size: config.model_type ?? '',
    quantization_level: config.file_type ?? '',
  }
}

export function readConfig(content: Content): ImageConfig {
  const bytes = content.config === undefined ? undefined : content.blobs.get(content.config.digest)?.bytes
  if (bytes === undefined) return {}
  try {
    return JSON.parse(new TextDecoder().decode(bytes)) as ImageConfig
  } catch {
    return {}
  }
}
