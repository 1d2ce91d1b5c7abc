/** Brings one blob into a store: what is there and right stays, else it is fetched. */

import { stat } from 'node:fs/promises'
import { type Layer, shortDigest } from '../artifact/manifest.ts'
import { formatReference, type Reference } from '../artifact/reference.ts'
import { OllamaConfigError } from '../errors.ts'
import type { DownloadClient } from '../registry/registry.ts'
import { blobFile, type Layout, partialFile } from '../store/layout.ts'
import type { Owner } from '../store/ownership.ts'
import { publishPartial } from '../store/publish.ts'
import type { Downloader } from '../transfer/downloader.ts'
import { removeJournal } from '../transfer/partial.ts'
import { registrySource } from '../transfer/source.ts'
import type { BlobId } from './backend.ts'

export interface BringBlobOptions {
  readonly layout: Layout
  readonly registry: DownloadClient
  readonly downloader: Downloader
  /** Of whose repository it is. */
  readonly reference: Reference
  readonly insecure: boolean
  readonly owner: Owner | undefined
  /** What is not there, or not right, fails. Default: it is fetched. */
  readonly offline?: boolean | undefined
  /** Default: 20 000. */
  readonly silenceMs?: number | undefined
  readonly signal: AbortSignal | undefined
  /** Bytes that are there; runs backwards when it has to begin anew. */
  readonly onProgress?: ((completedBytes: number) => void) | undefined
}

/** A connection that is silent for so long is given up for a new one. */
const defaultSilenceMs = 20_000

/**
 * Of several that want the same blob the first fetches it. What came of it stays when it fails.
 *
 * @throws {OllamaConfigError} as `Downloader.fetch`; a `BlobGoneError` when the registry does not have it
 */
export async function bringBlob(blob: Layer, options: BringBlobOptions): Promise<void> {
  await options.downloader.inTurn(blob.digest, () => bring(blob, options), options.signal)
}

async function bring(blob: Layer, options: BringBlobOptions): Promise<void> {
  const { layout, registry, downloader, reference, insecure, owner, offline, signal, onProgress } = options
  const { silenceMs = defaultSilenceMs } = options
  const { digest, sizeBytes } = blob
  if (await isThere(blob, options)) {
    onProgress?.(sizeBytes)
    return
  }
  if (offline) throw notInStore(reference, digest)
  const file = partialFile(layout, digest)
  const source = registrySource(registry, { reference, insecure, digest, silenceMs })
  await downloader.fetch({ digest, sizeBytes, file, source, onProgress, signal })
  await publishPartial(layout, digest, file, { owner })
  await removeJournal(file).catch(() => {})
}

/** By its size: no byte is read. */
export async function seemsThere(layout: Layout, { digest, sizeBytes }: BlobId): Promise<boolean> {
  const found = await stat(blobFile(layout, digest)).catch(() => undefined)
  return found?.isFile() === true && found.size === sizeBytes
}

/** Only with the right size and the right hash: a pull mends what is damaged. */
async function isThere(blob: Layer, { layout, downloader, signal }: BringBlobOptions): Promise<boolean> {
  const { digest, sizeBytes } = blob
  if (!(await seemsThere(layout, blob))) return false
  try {
    return (await downloader.hash(blobFile(layout, digest), sizeBytes, signal)) === digest
  } catch {
    // What cannot be read is replaced too.
    signal?.throwIfAborted()
    return false
  }
}

/** @param digest Of the part that is not there; left out where nothing is known of the model. */
export function notInStore(reference: Reference, digest?: string): OllamaConfigError {
  const name = formatReference(reference)
  const what = digest === undefined ? `"${name}"` : `The part ${shortDigest(digest)} of "${name}"`
  return new OllamaConfigError('model-not-found', `${what} is not in the store, and --offline was given`, {
    hint: 'leave out --offline to fetch it, or bring the store from a machine that has it',
  })
}
