/** Which blobs are in use: those that a manifest names. Nothing else may say that one is not. */
import { readdir, stat } from 'node:fs/promises'
import path from 'node:path'
import { blobsOf } from '../artifact/manifest.ts'
import { compareText } from '../artifact/reference.ts'
import { printable } from '../artifact/text.ts'
import { hasCode } from '../runtime/transport-error.ts'
import type { Layout } from './layout.ts'
import { type ReadOptions, readManifests } from './manifests.ts'
import { notReadable } from './unreadable.ts'

export interface NamedBlobs {
  readonly digests: ReadonlySet<string>
  /** What cannot be read, for people. While there is any, nobody knows which blobs are in use. */
  readonly damaged: readonly string[]
}

/** @throws {OllamaConfigError} `store-unreadable` */
export async function readNamedBlobs(layout: Layout, options: ReadOptions = {}): Promise<NamedBlobs> {
  const { models, damaged } = await readManifests(layout, options)
  const lost = await lostLinks(layout.manifests)
  return {
    digests: new Set(models.flatMap(({ manifest }) => blobsOf(manifest).map(({ digest }) => digest))),
    damaged: [...damaged, ...lost.map((file) => printable(path.relative(layout.manifests, file)))].sort(compareText),
  }
}

/** Links that lead nowhere: what they lead to may be on a disk that is not there now, and name blobs that are. */
export async function lostLinks(folder: string, depth: number = 4): Promise<readonly string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
    if (hasCode(error) && /^(ENOENT|ENOTDIR)$/.test(error.code)) return []
    throw notReadable(folder, error)
  })
  const found = await Promise.all(
    entries.map(async (entry) => {
      const file = path.join(folder, entry.name)
      if (entry.isSymbolicLink() && !(await leadsSomewhere(file))) return [file]
      return depth > 1 && (entry.isDirectory() || entry.isSymbolicLink()) ? lostLinks(file, depth - 1) : []
    }),
  )
  return found.flat()
}

async function leadsSomewhere(link: string): Promise<boolean> {
  return stat(link).then(
    () => true,
    () => false,
  )
}
