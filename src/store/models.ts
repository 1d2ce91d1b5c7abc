/** Which of the models in a store a server would list, and their small blobs. */
import { imageType, shortDigest } from '../artifact/manifest.ts'
import { readJsonRecord } from '../artifact/model-content.ts'
import { compareText, type Reference } from '../artifact/reference.ts'
import { printable } from '../artifact/text.ts'
import { isOllamaConfigError, OllamaConfigError } from '../errors.ts'
import { hasCode } from '../runtime/transport-error.ts'
import { Turns } from '../runtime/turns.ts'
import { blobFile, type Layout } from './layout.ts'
import { type ReadOptions, readManifests, type StoredModel } from './manifests.ts'
import { type OpenFile, openRegular, readSmallFile } from './regular-file.ts'

/** As plans know it. */
export interface ListedModel {
  readonly name: string
  readonly reference: Reference
  readonly digest: string
  readonly sizeBytes: number
  readonly parentModel?: string
  readonly remoteHost?: string
}

export interface ListedModels {
  readonly models: readonly ListedModel[]
  /** Names of those of which the manifest, the config or the template cannot be read: nobody knows what they are. */
  readonly unreadable: readonly string[]
}

interface BlobOptions {
  readonly signal?: AbortSignal | undefined
}

const readsAtOnce = 32
/** Texts of models have some kilobytes; those with many licences, some hundred. */
const maxSmallBytes = 16 * 1024 * 1024

/** @throws {OllamaConfigError} `store-unreadable` */
export async function listModels(layout: Layout, options: ReadOptions = {}): Promise<ListedModels> {
  const { models, damaged } = await readManifests(layout, options)
  const turns = new Turns(readsAtOnce)
  const listed = await Promise.all(models.map((model) => turns.run(() => asListed(layout, model, options))))
  return {
    models: listed.filter((model) => model !== undefined && typeof model !== 'string'),
    unreadable: [...damaged, ...listed.filter((model) => typeof model === 'string')].sort(compareText),
  }
}

/** `undefined` for one that a server hides, since its config or its template is gone; its name when that cannot be told. */
async function asListed(
  layout: Layout,
  model: StoredModel,
  { signal }: BlobOptions,
): Promise<ListedModel | string | undefined> {
  const { name, reference, digest, sizeBytes, manifest } = model
  const { config, layers } = manifest
  const templates = layers.filter(({ mediaType }) => [imageType('template'), imageType('prompt')].includes(mediaType))
  try {
    const [text = '{}'] = await Promise.all(
      [...(config === null ? [] : [config]), ...templates].map((layer) =>
        readSmallBlob(layout, layer.digest, { signal }),
      ),
    )
    const fields = readJsonRecord(config === null ? '{}' : text)
    if (fields === undefined) return undefined
    const parentModel = oneLine(model.parentModel)
    const remoteHost = oneLine(fields['remote_host'])
    return {
      name,
      reference,
      digest,
      sizeBytes,
      ...(parentModel === '' ? {} : { parentModel }),
      ...(remoteHost === '' ? {} : { remoteHost }),
    }
  } catch (error) {
    if (!isOllamaConfigError(error)) throw error
    return error.code === 'model-not-found' ? undefined : name
  }
}

function oneLine(value: unknown): string {
  return typeof value === 'string' ? printable(value) : ''
}

/** The text of a blob that is read as a whole. @throws {OllamaConfigError} `model-not-found`, as a server answers, `store-unreadable` */
export async function readSmallBlob(layout: Layout, digest: string, { signal }: BlobOptions = {}): Promise<string> {
  signal?.throwIfAborted()
  const file = blobFile(layout, digest)
  try {
    const { bytes } = await readSmallFile(file, maxSmallBytes)
    return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes)
  } catch (error) {
    throw blobProblem(digest, error)
  }
}

/** For reading in pieces; the caller closes it. @throws {OllamaConfigError} as {@link readSmallBlob} */
export async function openBlob(layout: Layout, digest: string, { signal }: BlobOptions = {}): Promise<OpenFile> {
  signal?.throwIfAborted()
  const file = blobFile(layout, digest)
  try {
    return await openRegular(file)
  } catch (error) {
    throw blobProblem(digest, error)
  }
}

function blobProblem(digest: string, error: unknown): OllamaConfigError {
  if (hasCode(error) && error.code === 'ENOENT') {
    return new OllamaConfigError('model-not-found', `A part of the model is missing: the blob ${shortDigest(digest)}`, {
      hint: 'remove the model and apply again, which fetches it anew',
    })
  }
  const message = error instanceof Error ? printable(error.message, 200) : 'unknown error'
  return new OllamaConfigError('store-unreadable', `The blob ${shortDigest(digest)} cannot be read: ${message}`, {
    hint: 'check the owner and the mode of the store',
    cause: error,
  })
}
