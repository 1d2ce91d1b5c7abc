/** Which of the models in a store a server would list. */
import { stat } from 'node:fs/promises'
import { blobsOf, imageType, type Layer, layerWord, type Manifest } from '../artifact/manifest.ts'
import { readJsonRecord } from '../artifact/model-content.ts'
import { compareText, type Reference } from '../artifact/reference.ts'
import { printable } from '../artifact/text.ts'
import { isOllamaConfigError } from '../errors.ts'
import { hasCode } from '../runtime/transport-error.ts'
import { Turns } from '../runtime/turns.ts'
import { blobFile, type Layout } from './layout.ts'
import { type ReadOptions, readManifests, type StoredModel } from './manifests.ts'
import { readSmallBlob, type SmallBlobOptions } from './read-blob.ts'

/** As plans know it. */
export interface ListedModel {
  readonly name: string
  readonly reference: Reference
  readonly digest: string
  readonly sizeBytes: number
  readonly parentModel?: string
  readonly remoteHost?: string
  /** Which of its blobs are not there, or have another size, for people. Nothing was read for that. */
  readonly damage?: string
}

export interface ListedModels {
  readonly models: readonly ListedModel[]
  /** Names of those of which the manifest, the config or the template cannot be read: nobody knows what they are. */
  readonly unreadable: readonly string[]
  readonly stored: NamedContents
}

export interface NamedContents {
  /** Blobs of each listed version, config last, by its digest. */
  readonly contents: ReadonlyMap<string, readonly Layer[]>
  /**
   * Digests of blobs that models name which are not listed, and of those that are not there; `null` while a manifest cannot be read, or a
   * link among them leads nowhere: nobody knows which blobs it names, and none is removed.
   */
  readonly notFreed: ReadonlySet<string> | null
}

const readsAtOnce = 32

/** @throws {OllamaConfigError} `store-unreadable` */
export async function listModels(layout: Layout, options: ReadOptions = {}): Promise<ListedModels> {
  const { models, damaged, lostLinks } = await readManifests(layout, options)
  const isDamaged = damaged.length > 0 || lostLinks.length > 0
  const turns = new Turns(readsAtOnce)
  const sizes = new BlobSizes(layout)
  const listed = await Promise.all(models.map((model) => turns.run(() => asListed(layout, model, sizes, options))))
  return {
    models: listed.filter((model) => model !== undefined && typeof model !== 'string'),
    unreadable: [...damaged, ...listed.filter((model) => typeof model === 'string')].sort(compareText),
    stored: await namedBy(models, listed, isDamaged, sizes),
  }
}

/** @param listed In the order of the models */
async function namedBy(
  models: readonly StoredModel[],
  listed: readonly (ListedModel | string | undefined)[],
  isDamaged: boolean,
  sizes: BlobSizes,
): Promise<NamedContents> {
  const contents = new Map<string, readonly Layer[]>()
  const notFreed = new Set<string>()
  for (const [index, { digest, manifest }] of models.entries()) {
    const blobs = blobsOf(manifest)
    const isListed = typeof listed[index] === 'object'
    if (isListed) contents.set(digest, blobs)
    for (const blob of blobs) if (!isListed || (await sizes.of(blob.digest)) === 'missing') notFreed.add(blob.digest)
  }
  return { contents, notFreed: isDamaged ? null : notFreed }
}

/**
 * `undefined` for one that a server hides, since its config or its template is gone, or the config is no JSON object; its name when that
 * cannot be told.
 */
async function asListed(
  layout: Layout,
  model: StoredModel,
  sizes: BlobSizes,
  { signal, files }: SmallBlobOptions,
): Promise<ListedModel | string | undefined> {
  const { name, reference, digest, sizeBytes, manifest } = model
  const { config, layers } = manifest
  const templates = layers.filter(({ mediaType }) => [imageType('template'), imageType('prompt')].includes(mediaType))
  try {
    const [text = '{}'] = await Promise.all(
      [...(config === null ? [] : [config]), ...templates].map((layer) =>
        readSmallBlob(layout, layer.digest, { signal, files }),
      ),
    )
    const fields = readJsonRecord(config === null ? '{}' : text)
    if (fields === undefined) return undefined
    const parentModel = oneLine(model.parentModel)
    const remoteHost = oneLine(fields['remote_host'])
    const damage = await damageOf(manifest, sizes)
    return {
      name,
      reference,
      digest,
      sizeBytes,
      ...(parentModel === '' ? {} : { parentModel }),
      ...(remoteHost === '' ? {} : { remoteHost }),
      ...(damage === '' ? {} : { damage }),
    }
  } catch (error) {
    if (!isOllamaConfigError(error)) throw error
    return error.code === 'model-not-found' ? undefined : name
  }
}

/** Of each blob once: models share them. */
class BlobSizes {
  readonly #layout: Layout
  readonly #sizes = new Map<string, Promise<number | 'missing' | undefined>>()

  constructor(layout: Layout) {
    this.#layout = layout
  }

  /** `undefined` when it cannot be told, or is no file: who reads it says why. */
  of(digest: string): Promise<number | 'missing' | undefined> {
    const size =
      this.#sizes.get(digest) ??
      stat(blobFile(this.#layout, digest)).then(
        (found) => (found.isFile() ? found.size : undefined),
        (error: unknown) => (hasCode(error) && error.code === 'ENOENT' ? 'missing' : undefined),
      )
    this.#sizes.set(digest, size)
    return size
  }
}

async function damageOf(manifest: Manifest, sizes: BlobSizes): Promise<string> {
  const found = await Promise.all(
    blobsOf(manifest).map(async (blob) => {
      const size = await sizes.of(blob.digest)
      if (size === undefined || size === blob.sizeBytes) return []
      return [`${layerWord(blob)} (${size === 'missing' ? size : 'wrong size'})`]
    }),
  )
  return [...new Set(found.flat())].join(', ')
}

function oneLine(value: unknown): string {
  return typeof value === 'string' ? printable(value) : ''
}
