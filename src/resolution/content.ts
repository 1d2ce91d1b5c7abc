/** What an installed model is made of, as far as a build takes it over: from the server's own files, or from its registry. */
import path from 'node:path'
import type { ModelContent } from '../artifact/derived.ts'
import { formatManifest, imageType, type Layer, type Manifest } from '../artifact/manifest.ts'
import { readContent } from '../artifact/model-content.ts'
import { readStoredManifest } from '../artifact/stored-manifest.ts'
import type { ModelDetails } from '../backend/backend.ts'
import type { InstalledModel } from '../plan/state.ts'
import { readSmallFile } from '../runtime/regular-file.ts'
import { sha256 } from '../runtime/sha256.ts'
import { blobFile, type Layout, layoutOf, manifestFile } from '../store/layout.ts'

/** Where manifests and small blobs can be had. Nothing is believed that does not hash to its name. */
export interface ContentSources {
  readonly model: InstalledModel
  readonly shown: ModelDetails
  /** Its blobs, config last, where the record or the lock knows them. */
  readonly known: readonly Layer[] | undefined
  /** The server's files are those of this machine. */
  readonly local: boolean
  /** What its registry has under this digest; `null` when it may not be asked, or does not have it. */
  readonly ask: {
    manifest(digest: string): Promise<Manifest | null>
    blob(digest: string): Promise<string | null>
  }
}

/** Real ones have some hundred bytes, and few kilobytes where there are many stop words. */
export const maxBytes = 1024 * 1024

/** `null` when a part of it cannot be had. */
export async function contentOf(sources: ContentSources): Promise<ModelContent | null> {
  const { model, shown, known, ask } = sources
  const layout =
    sources.local && shown.weightsFile !== null ? layoutOf(path.dirname(path.dirname(shown.weightsFile))) : undefined
  const manifest =
    (layout === undefined ? undefined : await storedManifest(layout, model)) ??
    manifestFrom(known, model.digest) ??
    (await ask.manifest(model.digest))
  if (manifest === null || manifest.config === null) return null
  const textOf = async ({ digest, sizeBytes }: Layer) =>
    sizeBytes > maxBytes
      ? null
      : ((layout === undefined ? undefined : await storedBlob(layout, digest)) ?? (await ask.blob(digest)))
  const params = manifest.layers.filter(({ mediaType }) => mediaType === imageType('params'))
  const [configText, ...paramTexts] = await Promise.all([manifest.config, ...params].map(textOf))
  const { layers } = manifest
  return readContent({ layers, config: configText, params: paramTexts, info: shown.modelInfo }) ?? null
}

async function storedManifest(layout: Layout, { reference, digest }: InstalledModel): Promise<Manifest | undefined> {
  try {
    const { bytes } = await readSmallFile(manifestFile(layout, reference), maxBytes)
    const { manifest, hashedBytes } = readStoredManifest(bytes)
    const hashed = bytes.subarray(0, hashedBytes)
    // Nor does a newline at its end make another model of it.
    const isIt = [hashed, trimNewline(hashed)].some((part) => `sha256:${sha256(part)}` === digest)
    return isIt ? manifest : undefined
  } catch {
    // The folder is what a server says: anything may be there, or nothing.
    return undefined
  }
}

function trimNewline(bytes: Uint8Array): Uint8Array {
  return bytes.at(-1) === 0x0a ? bytes.subarray(0, -1) : bytes
}

async function storedBlob(layout: Layout, digest: string): Promise<string | undefined> {
  try {
    const { bytes } = await readSmallFile(blobFile(layout, digest), maxBytes)
    if (`sha256:${sha256(bytes)}` !== digest) return undefined
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return undefined
  }
}

/** A list of blobs names one that is there twice only once: then it does not give the manifest back. */
function manifestFrom(blobs: readonly Layer[] | undefined, digest: string): Manifest | undefined {
  const config = blobs?.at(-1)
  if (blobs === undefined || config === undefined) return undefined
  const manifest = { config, layers: blobs.slice(0, -1) }
  return `sha256:${sha256(formatManifest(manifest))}` === digest ? manifest : undefined
}
