/** Takes models out of a store, as a server does it: the manifest, then every blob that no other one names. */
import { rm, rmdir } from 'node:fs/promises'
import path from 'node:path'
import { blobsOf } from '../artifact/manifest.ts'
import type { Reference } from '../artifact/reference.ts'
import { notWritten, syncFolder } from '../runtime/atomic-file.ts'
import { hasCode } from '../runtime/transport-error.ts'
import { blobFile, type Layout } from './layout.ts'
import type { ReadOptions, StoredModel } from './manifests.ts'
import { readNamedBlobs } from './named-blobs.ts'
import { type PublishOptions, publishManifest } from './publish.ts'

type RemoveOptions = Pick<ReadOptions, 'signal' | 'files'>

/** @throws {OllamaConfigError} `file-not-written`, and the model is then still there */
export async function removeModel(layout: Layout, model: StoredModel, options: RemoveOptions = {}): Promise<void> {
  options.signal?.throwIfAborted()
  const folder = path.dirname(model.file)
  try {
    await rm(model.file)
    // Before its blobs: after a power cut no manifest may name what is gone.
    await syncFolder(folder)
  } catch (error) {
    // Somebody else was quicker.
    if (!hasCode(error) || error.code !== 'ENOENT') throw notWritten(model.file, error)
  }
  await removeEmptyFolders(folder, layout.manifests)
  await removeUnnamedBlobs(layout, model, options)
}

async function removeEmptyFolders(from: string, end: string): Promise<void> {
  for (let folder = from; folder !== end; folder = path.dirname(folder)) {
    try {
      await rmdir(folder)
    } catch (error) {
      // Not empty, unless a server was quicker.
      if (!hasCode(error) || error.code !== 'ENOENT') return
    }
  }
}

/**
 * Of a model that is gone or was replaced. While any manifest cannot be read nothing is removed: it may name them; `collect` does it
 * later. What a program has open stays on Windows, and is collected later too.
 */
export async function removeUnnamedBlobs(
  layout: Layout,
  { manifest }: StoredModel,
  options: RemoveOptions = {},
): Promise<void> {
  const { digests, damaged } = await readNamedBlobs(layout, options)
  if (damaged.length > 0) return
  for (const { digest } of blobsOf(manifest)) {
    if (digests.has(digest)) continue
    // Of a link, the link.
    await rm(blobFile(layout, digest)).catch(() => {})
  }
}

/** A second name, byte for byte. */
export async function copyModel(
  layout: Layout,
  source: StoredModel,
  destination: Reference,
  options: PublishOptions = {},
): Promise<void> {
  await publishManifest(layout, destination, source.bytes, options)
}
