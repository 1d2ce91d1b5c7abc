/** Brings one blob into a store: what is there and right stays, else it is fetched. */
import { stat } from 'node:fs/promises'
import type { Layer } from '../artifact/manifest.ts'
import type { Reference } from '../artifact/reference.ts'
import type { DownloadClient } from '../registry/registry.ts'
import { blobFile, type Layout, partialFile } from '../store/layout.ts'
import type { Owner } from '../store/ownership.ts'
import { publishPartial } from '../store/publish.ts'
import type { Downloader } from '../transfer/downloader.ts'
import { removeJournal } from '../transfer/partial.ts'
import { registrySource } from '../transfer/source.ts'

export interface BringBlobOptions {
  readonly layout: Layout
  readonly registry: DownloadClient
  readonly downloader: Downloader
  /** Of whose repository it is. */
  readonly reference: Reference
  readonly insecure: boolean
  readonly owner: Owner | undefined
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
  await options.downloader.inTurn(blob.digest, () => bring(blob, options))
}

async function bring(blob: Layer, options: BringBlobOptions): Promise<void> {
  const { layout, registry, downloader, reference, insecure, owner, signal, onProgress } = options
  const { silenceMs = defaultSilenceMs } = options
  const { digest, sizeBytes } = blob
  if (await isThere(blob, options)) {
    onProgress?.(sizeBytes)
    return
  }
  const file = partialFile(layout, digest)
  const source = registrySource(registry, { reference, insecure, digest, silenceMs })
  await downloader.fetch({ digest, sizeBytes, file, source, onProgress, signal })
  await publishPartial(layout, digest, file, { owner })
  await removeJournal(file).catch(() => {})
}

/** By its size: no byte is read. */
export async function seemsThere(layout: Layout, { digest, sizeBytes }: Layer): Promise<boolean> {
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
