/** Takes models out of a store, as a server does it: the manifest, then every blob that no other one names. */
import { rm, rmdir } from 'node:fs/promises'
import path from 'node:path'
import { blobsOf } from '../artifact/manifest.ts'
import type { Reference } from '../artifact/reference.ts'
import { notWritten } from '../runtime/atomic-file.ts'
import { hasCode } from '../runtime/transport-error.ts'
import { blobFile, type Layout } from './layout.ts'
import { readManifests, type StoredModel } from './manifests.ts'
import { type PublishOptions, publishManifest } from './publish.ts'

interface RemoveOptions {
  readonly signal?: AbortSignal | undefined
}

/** @throws {OllamaConfigError} `file-not-written` */
export async function removeModel(layout: Layout, model: StoredModel, options: RemoveOptions = {}): Promise<void> {
  options.signal?.throwIfAborted()
  try {
    await rm(model.file)
  } catch (error) {
    // Somebody else was quicker.
    if (!hasCode(error) || error.code !== 'ENOENT') throw notWritten(model.file, error)
  }
  for (let folder = path.dirname(model.file); folder !== layout.manifests; folder = path.dirname(folder)) {
    try {
      await rmdir(folder)
    } catch {
      // Not empty.
      break
    }
  }
  await removeUnnamedBlobs(layout, model)
}

/**
 * Of a model that is gone or was replaced. While any manifest cannot be read nothing is removed: it may name them; `collect` does it
 * later. What a program has open stays on Windows, and is collected later too.
 */
export async function removeUnnamedBlobs(
  layout: Layout,
  { manifest }: StoredModel,
  { signal }: RemoveOptions = {},
): Promise<void> {
  const { models, damaged } = await readManifests(layout, { signal })
  if (damaged.length > 0) return
  const named = namedBlobs(models)
  for (const { digest } of blobsOf(manifest)) if (!named.has(digest)) await rm(blobFile(layout, digest)).catch(() => {})
}

export function namedBlobs(models: readonly StoredModel[]): ReadonlySet<string> {
  return new Set(models.flatMap(({ manifest }) => blobsOf(manifest).map(({ digest }) => digest)))
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
