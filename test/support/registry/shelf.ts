/** What the registry holds: tags, manifests by digest, blobs by repository. It minds the case, and ignores the host of a name. */
import { blobsInOrder, type Content, describeModel, type ManifestLayer } from '../ollama-server/content.ts'
import { mustRead } from '../ollama-server/names.ts'
import { type BlobBytes, bytesOf } from './blob-bytes.ts'
import type { Access, ServedModel } from './options.ts'

export interface Held {
  spec: ServedModel
  content: Content
}

export interface Repository {
  readonly tags: Map<string, Held>
  /** By `sha256:` digest, those of moved tags too. */
  readonly manifests: Map<string, Held>
  readonly blobs: Set<string>
  access: Access | undefined
  delivery: ServedModel['blobs']
}

/** What a test may want to know of a published model. */
export interface PublishedContent {
  manifest: string
  digest: string
  layers: ManifestLayer[]
  config: ManifestLayer | undefined
}

export class Shelf {
  readonly #repositories = new Map<string, Repository>()
  readonly #blobs = new Map<string, BlobBytes>()

  publish(model: string | ServedModel): void {
    const spec: ServedModel = typeof model === 'string' ? { name: model } : model
    const { repository: key, tag } = keyOf(spec.name)
    const content = describeModel(spec)
    const repository = this.#repositories.get(key) ?? emptyRepository()
    const held = { spec, content }
    const kept = blobsInOrder(content).filter(({ digest }) => spec.lostBlobs?.includes(digest) !== true)
    // Everything is looked at before anything is kept.
    const sources = kept.map((layer) => ({ digest: layer.digest, bytes: this.#bytesFor(layer, held) }))
    for (const { digest, bytes } of sources) {
      this.#blobs.set(digest, bytes)
      repository.blobs.add(digest)
    }
    for (const digest of spec.lostBlobs ?? []) repository.blobs.delete(digest)
    repository.tags.set(tag, held)
    repository.manifests.set(`sha256:${content.digest}`, held)
    repository.access = spec.private === true ? {} : spec.private === false ? undefined : spec.private
    repository.delivery = spec.blobs
    this.#repositories.set(key, repository)
  }

  #bytesFor(layer: ManifestLayer, { spec, content }: Held): BlobBytes {
    const blob = content.blobs.get(layer.digest) ?? { size: layer.size, bytes: undefined, served: undefined }
    // Another model may have brought the bytes already.
    const known = blob.bytes === undefined && spec.fill === undefined ? this.#blobs.get(layer.digest) : undefined
    return known ?? bytesOf(blob, layer, spec.fill)
  }

  unpublish(name: string): void {
    const { repository, tag } = keyOf(name)
    this.#repositories.get(repository)?.tags.delete(tag)
  }

  forget(digest: string): void {
    for (const { manifests } of this.#repositories.values()) manifests.delete(digest)
  }

  loseBlob(digest: string): void {
    for (const { blobs } of this.#repositories.values()) blobs.delete(digest)
    this.#blobs.delete(digest)
  }

  repository(key: string | undefined): Repository | undefined {
    return key === undefined ? undefined : this.#repositories.get(key)
  }

  bytes(digest: string): BlobBytes | undefined {
    return this.#blobs.get(digest)
  }

  get(name: string): Held | undefined {
    const { repository, tag } = keyOf(name)
    return this.#repositories.get(repository)?.tags.get(tag)
  }

  content(name: string): PublishedContent {
    const held = this.get(name)
    if (held === undefined) throw new Error(`test registry: ${name} is not published`)
    const { manifest, digest, layers, config } = held.content
    return { manifest, digest: `sha256:${digest}`, layers, config }
  }
}

export function keyOf(name: string): { repository: string; tag: string } {
  const { namespace, model, tag } = mustRead(name)
  return { repository: `${namespace}/${model}`, tag }
}

function emptyRepository(): Repository {
  return { tags: new Map(), manifests: new Map(), blobs: new Set(), access: undefined, delivery: undefined }
}
