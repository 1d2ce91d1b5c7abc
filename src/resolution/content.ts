/** What an installed model is made of, as far as a build takes it over: from the server's own files, or from its registry. */
import { readFile, stat } from 'node:fs/promises'
import path from 'node:path'
import type { ModelContent } from '../artifact/derived.ts'
import { formatManifest, imageType, type Layer, type Manifest, parseManifest } from '../artifact/manifest.ts'
import { readConfigFields, readJsonRecord, readWeights } from '../artifact/model-content.ts'
import type { ModelDetails } from '../backend/backend.ts'
import { isOllamaConfigError } from '../errors.ts'
import type { InstalledModel } from '../plan/state.ts'
import { sha256 } from '../runtime/sha256.ts'

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
  const folder = sources.local && shown.weightsFile !== null ? path.dirname(path.dirname(shown.weightsFile)) : undefined
  const manifest =
    (folder === undefined ? undefined : await storedManifest(folder, model)) ??
    manifestFrom(known, model.digest) ??
    (await ask.manifest(model.digest))
  if (manifest === null || manifest.config === null) return null
  const textOf = async ({ digest, sizeBytes }: Layer) =>
    sizeBytes > maxBytes
      ? null
      : ((folder === undefined ? undefined : await storedBlob(folder, digest)) ?? (await ask.blob(digest)))
  const params = manifest.layers.filter(({ mediaType }) => mediaType === imageType('params'))
  const [configText, ...paramTexts] = await Promise.all([manifest.config, ...params].map(textOf))
  const config = readConfigFields(configText)
  const parameters = paramTexts.map(readJsonRecord)
  if (config === undefined || parameters.includes(undefined)) return null
  return {
    layers: manifest.layers,
    config,
    parameters: params.length === 0 ? null : Object.assign({}, ...parameters.toReversed()),
    weights: readWeights(shown.modelInfo),
  }
}

/** The name in a path is one of the four parts of a listed name, which have no separator in them. */
async function storedManifest(folder: string, { reference, digest }: InstalledModel): Promise<Manifest | undefined> {
  const { host, namespace, model, tag } = reference
  const text = await readSmall(path.join(folder, 'manifests', host, namespace, model, tag))
  // The newline that a server writes after a manifest of its own is not always part of what it hashes.
  const isIt =
    text !== undefined && [text, text.replace(/\n$/, '')].some((bytes) => `sha256:${sha256(bytes)}` === digest)
  return isIt ? parsed(text) : undefined
}

async function storedBlob(folder: string, digest: string): Promise<string | undefined> {
  const text = await readSmall(path.join(folder, 'blobs', digest.replace(':', '-')))
  return text !== undefined && `sha256:${sha256(text)}` === digest ? text : undefined
}

async function readSmall(file: string): Promise<string | undefined> {
  try {
    // The path is what a server says: what is there may be large, or no file and without an end.
    const found = await stat(file)
    if (!found.isFile() || found.size > maxBytes) return undefined
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(await readFile(file))
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

function parsed(text: string): Manifest | undefined {
  try {
    return parseManifest(text)
  } catch (error) {
    if (isOllamaConfigError(error)) return undefined
    throw error
  }
}
