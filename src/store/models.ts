/** Which of the models in a store a server would list, and their small blobs. */
import { open } from 'node:fs/promises'
import { imageType, shortDigest } from '../artifact/manifest.ts'
import type { Reference } from '../artifact/reference.ts'
import { OllamaConfigError } from '../errors.ts'
import { hasCode } from '../runtime/transport-error.ts'
import { Turns } from '../runtime/turns.ts'
import { blobFile, type Layout } from './layout.ts'
import { type ReadOptions, readManifests, type StoredModel } from './manifests.ts'

/** As plans know it. */
export interface ListedModel {
  readonly name: string
  readonly reference: Reference
  readonly digest: string
  readonly sizeBytes: number
  readonly parentModel?: string
  readonly remoteHost?: string
}

const readsAtOnce = 32
/** Texts of models have some kilobytes; those with many licences, some hundred. */
const maxSmallBytes = 16 * 1024 * 1024

/** @throws {OllamaConfigError} `store-unreadable` */
export async function listModels(
  layout: Layout,
  options: ReadOptions = {},
): Promise<{ readonly models: readonly ListedModel[]; readonly unreadable: readonly string[] }> {
  const { models, damaged } = await readManifests(layout, options)
  const turns = new Turns(readsAtOnce)
  const listed = await Promise.all(models.map((model) => turns.run(() => asListed(layout, model))))
  options.signal?.throwIfAborted()
  return { models: listed.filter((model) => model !== undefined), unreadable: damaged }
}

/** `undefined` for one that a server hides: its config or its template is not to be had. */
async function asListed(layout: Layout, model: StoredModel): Promise<ListedModel | undefined> {
  const { name, reference, digest, sizeBytes, parentModel, manifest } = model
  const { config, layers } = manifest
  const templates = layers.filter(({ mediaType }) => [imageType('template'), imageType('prompt')].includes(mediaType))
  let remoteHost: unknown
  try {
    const [text] = await Promise.all(
      [config, ...templates].map((layer) => layer && readSmallBlob(layout, layer.digest)),
    )
    const value: unknown = text === undefined || text === null ? {} : JSON.parse(text)
    if (typeof value !== 'object' || value === null) return undefined
    remoteHost = 'remote_host' in value ? value.remote_host : undefined
  } catch {
    return undefined
  }
  return {
    name,
    reference,
    digest,
    sizeBytes,
    ...(parentModel === null ? {} : { parentModel }),
    ...(typeof remoteHost === 'string' && remoteHost !== '' ? { remoteHost } : {}),
  }
}

/** The text of a blob that is read as a whole. @throws {OllamaConfigError} `model-not-found`, as a server answers, `store-unreadable` */
export async function readSmallBlob(
  layout: Layout,
  digest: string,
  { signal }: { readonly signal?: AbortSignal | undefined } = {},
): Promise<string> {
  signal?.throwIfAborted()
  const file = blobFile(layout, digest)
  try {
    const handle = await open(file, 'r')
    try {
      const found = await handle.stat()
      if (!found.isFile() || found.size > maxSmallBytes) throw new Error(`it has ${found.size} bytes`)
      return await handle.readFile('utf8')
    } finally {
      await handle.close()
    }
  } catch (error) {
    if (hasCode(error) && error.code === 'ENOENT')
      throw new OllamaConfigError(
        'model-not-found',
        `A part of the model is missing: the blob ${shortDigest(digest)}`,
        {
          hint: '"ollama-config verify --repair" fetches it again',
        },
      )
    const message = error instanceof Error ? error.message : 'unknown error'
    throw new OllamaConfigError('store-unreadable', `The blob ${shortDigest(digest)} cannot be read: ${message}`, {
      hint: 'check the owner and the mode of the store',
      cause: error,
    })
  }
}
