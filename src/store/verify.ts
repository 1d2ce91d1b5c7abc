/** Whether the blobs of models are what their digests say: every byte is read, on all cores. */
import { stat } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { blobsOf, type Layer, type Manifest } from '../artifact/manifest.ts'
import { compareText } from '../artifact/reference.ts'
import { printable } from '../artifact/text.ts'
import { sharedSignal } from '../runtime/abortable.ts'
import { HashThread } from '../runtime/hash-thread.ts'
import { hasCode } from '../runtime/transport-error.ts'
import { blobFile, type Layout } from './layout.ts'

/** `unreadable`: of another user, on a broken disk, or no file at all. */
export type BlobProblem = 'missing' | 'wrong-size' | 'wrong-bytes' | 'unreadable'

export interface CheckedBlob {
  readonly digest: string
  /** As the manifest says. */
  readonly sizeBytes: number
  readonly state: 'sound' | BlobProblem
  /** What was found instead, for people; empty where the state says it all. */
  readonly found: string
}

export interface VerifyBlobsOptions {
  /** Files that are read at once. Default: one for each core; tests say how many. */
  readonly threads?: number | undefined
  readonly signal?: AbortSignal | undefined
  /** Called about every 16 MiB. */
  readonly onProgress?: ((readBytes: number, totalBytes: number) => void) | undefined
}

/** Reads each blob that these models name, once. Sorted by digest. @throws `signal.reason` */
export async function verifyBlobs(
  layout: Layout,
  models: readonly { readonly manifest: Manifest }[],
  { threads = availableParallelism(), signal: given, onProgress }: VerifyBlobsOptions = {},
): Promise<readonly CheckedBlob[]> {
  given?.throwIfAborted()
  // For as many listeners as there are threads.
  const signal = sharedSignal(given)
  // The largest first: at the end no core has a long one left while the others are idle.
  const blobs = distinctBlobs(models).toSorted((a, b) => b.sizeBytes - a.sizeBytes)
  // All threads take from one iterator.
  const waiting = blobs.values()
  const totalBytes = blobs.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  const checked: CheckedBlob[] = []
  let readBytes = 0
  const work = async () => {
    const thread = new HashThread()
    try {
      for (const blob of waiting) {
        let told = 0
        const tell = (bytes: number) => {
          readBytes += bytes - told
          told = bytes
          onProgress?.(readBytes, totalBytes)
        }
        checked.push(await verifyBlob(layout, blob, thread, signal, tell))
        tell(blob.sizeBytes)
      }
    } finally {
      thread.close()
    }
  }
  await Promise.all(Array.from({ length: Math.min(threads, blobs.length) }, work))
  return checked.sort((a, b) => compareText(blobKey(a), blobKey(b)))
}

/** Where two manifests give a digest two sizes, one of them is wrong. */
export function blobKey({ digest, sizeBytes }: Pick<Layer, 'digest' | 'sizeBytes'>): string {
  return `${digest} ${sizeBytes}`
}

function distinctBlobs(models: readonly { readonly manifest: Manifest }[]): readonly Layer[] {
  const blobs = models.flatMap(({ manifest }) => blobsOf(manifest))
  return [...new Map(blobs.map((blob) => [blobKey(blob), blob])).values()]
}

async function verifyBlob(
  layout: Layout,
  { digest, sizeBytes }: Layer,
  thread: HashThread,
  signal: AbortSignal,
  onProgress: (bytes: number) => void,
): Promise<CheckedBlob> {
  signal.throwIfAborted()
  const result = (state: CheckedBlob['state'], found = '') => ({ digest, sizeBytes, state, found })
  const file = blobFile(layout, digest)
  try {
    const found = await stat(file)
    // Before it is opened: opening a pipe waits for ever.
    if (!found.isFile()) return result('unreadable', 'it is no file')
    if (found.size !== sizeBytes) return result('wrong-size', `it has ${found.size} bytes instead of ${sizeBytes}`)
    const hash = await thread.hash(file, sizeBytes, { signal, onProgress })
    return result(`sha256:${hash}` === digest ? 'sound' : 'wrong-bytes')
  } catch (error) {
    signal.throwIfAborted()
    if (hasCode(error) && error.code === 'ENOENT') return result('missing')
    return result('unreadable', error instanceof Error ? printable(error.message, 200) : 'unknown error')
  }
}
