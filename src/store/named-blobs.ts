/** Which blobs are in use: those that a manifest names. Nothing else may say that one is not. */
import path from 'node:path'
import { blobsOf } from '../artifact/manifest.ts'
import { compareText } from '../artifact/reference.ts'
import { printable } from '../artifact/text.ts'
import type { Layout } from './layout.ts'
import { type ReadOptions, readManifests } from './manifests.ts'

export interface NamedBlobs {
  readonly digests: ReadonlySet<string>
  /** What cannot be read, for people. While there is any, nobody knows which blobs are in use. */
  readonly damaged: readonly string[]
}

/** @throws {OllamaConfigError} `store-unreadable` */
export async function readNamedBlobs(layout: Layout, options: ReadOptions = {}): Promise<NamedBlobs> {
  const { models, damaged, lostLinks } = await readManifests(layout, options)
  return {
    digests: new Set(models.flatMap(({ manifest }) => blobsOf(manifest).map(({ digest }) => digest))),
    damaged: [...damaged, ...lostLinks.map((file) => printable(path.relative(layout.manifests, file)))].sort(
      compareText,
    ),
  }
}
