/** Whether the blobs of models are what their digests say: read in full, on all cores. */
import { stat } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { blobsOf, type Layer } from '../artifact/manifest.ts'
import { HashThread } from '../runtime/hash-thread.ts'
import { hasCode } from '../runtime/transport-error.ts'
import { blobFile, type Layout } from './layout.ts'
import type { StoredModel } from './manifests.ts'

/** `null`: it is sound. */
export type BlobProblem = 'missing' | 'wrong-size' | 'wrong-bytes' | 'unreadable' | null

export interface VerifyBlobsOptions {
  readonly signal?: AbortSignal | undefined
  /** Told now and then. */
  readonly onProgress?: ((checkedBytes: number, totalBytes: number) => void) | undefined
}

/** What is wrong with each blob of the models, by digest; one that several name is read once. */
export async function verifyBlobs(
  layout: Layout,
  models: readonly StoredModel[],
  { signal, onProgress }: VerifyBlobsOptions = {},
): Promise<ReadonlyMap<string, BlobProblem>> {
  const blobs = new Map(models.flatMap(({ manifest }) => blobsOf(manifest).map((blob) => [blob.digest, blob])))
  // The largest first, so that no core is left with one at the end.
  const waiting = [...blobs.values()].sort((a, b) => b.sizeBytes - a.sizeBytes)
  const totalBytes = waiting.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  const problems = new Map<string, BlobProblem>()
  let checkedBytes = 0
  const work = async () => {
    const thread = new HashThread()
    try {
      for (let blob = waiting.shift(); blob !== undefined; blob = waiting.shift()) {
        const before = checkedBytes
        const problem = await verifyBlob(layout, blob, thread, signal)
        checkedBytes = Math.max(checkedBytes, before) + blob.sizeBytes
        onProgress?.(Math.min(checkedBytes, totalBytes), totalBytes)
        problems.set(blob.digest, problem)
      }
    } finally {
      thread.close()
    }
  }
  await Promise.all(Array.from({ length: Math.min(availableParallelism(), waiting.length) }, work))
  return problems
}

async function verifyBlob(
  layout: Layout,
  { digest, sizeBytes }: Layer,
  thread: HashThread,
  signal: AbortSignal | undefined,
): Promise<BlobProblem> {
  signal?.throwIfAborted()
  const file = blobFile(layout, digest)
  try {
    const found = await stat(file)
    if (!found.isFile()) return 'unreadable'
    if (found.size !== sizeBytes) return 'wrong-size'
    return `sha256:${await thread.hash(file, sizeBytes, { signal })}` === digest ? null : 'wrong-bytes'
  } catch (error) {
    signal?.throwIfAborted()
    return hasCode(error) && error.code === 'ENOENT' ? 'missing' : 'unreadable'
  }
}
