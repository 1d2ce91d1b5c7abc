/** Reads which models are in a store: a manifest per tag, four folders deep. Whatever else lies there is left alone. */
import { readdir, stat } from 'node:fs/promises'
import path from 'node:path'
import { type Manifest, nominalBytes } from '../artifact/manifest.ts'
import { compareText, formatReference, parseListedName, type Reference } from '../artifact/reference.ts'
import { readStoredManifest } from '../artifact/stored-manifest.ts'
import { quotedPath } from '../artifact/text.ts'
import { OllamaConfigError } from '../errors.ts'
import { NotReadableError } from '../runtime/regular-file.ts'
import { sha256 } from '../runtime/sha256.ts'
import { sleep } from '../runtime/sleep.ts'
import { hasCode } from '../runtime/transport-error.ts'
import { Turns } from '../runtime/turns.ts'
import type { Layout } from './layout.ts'
import { SmallFiles } from './small-files.ts'
import { notReadable } from './unreadable.ts'

export interface StoredModel {
  /** As a server lists it. */
  readonly name: string
  readonly reference: Reference
  readonly file: string
  /** As a server lists it, with `sha256:`. */
  readonly digest: string
  /** As its manifest says: every layer in full. */
  readonly sizeBytes: number
  readonly manifest: Manifest
  readonly parentModel: string | null
  /** The file as it is. */
  readonly bytes: Uint8Array
}

export interface StoredManifests {
  /** Sorted by path. */
  readonly models: readonly StoredModel[]
  /** Names of manifests that cannot be read. While there are any, nobody knows which blobs are in use. */
  readonly damaged: readonly string[]
  /** Links that lead nowhere: what they lead to may be on a disk that is not there now, and name blobs that are. */
  readonly lostLinks: readonly string[]
}

export interface ReadOptions {
  readonly signal?: AbortSignal | undefined
  /** Waits before a manifest that is incomplete is read again: servers write in place. Default: a tenth of a second. */
  readonly pause?: ((signal: AbortSignal | undefined) => Promise<void>) | undefined
  /** Reads nothing but the manifests of this name, whatever its case. Default: all. */
  readonly only?: Reference | undefined
  /** What was read before. Default: nothing. */
  readonly files?: SmallFiles | undefined
}

const maxManifestBytes = 4 * 1024 * 1024
const readsAtOnce = 32
const shortPause = (signal: AbortSignal | undefined) => sleep(100, signal)

/** @throws {OllamaConfigError} `store-unreadable` */
export async function readManifests(
  layout: Layout,
  { signal, pause = shortPause, only, files = new SmallFiles() }: ReadOptions = {},
): Promise<StoredManifests> {
  const turns = new Turns(readsAtOnce)
  const wanted = only === undefined ? [] : [only.host, only.namespace, only.model, only.tag]
  const { tags, lostLinks } = await findTags(layout, turns, wanted, signal)
  const read = await Promise.all(tags.map((tag) => turns.run(() => readTag(tag, files, () => pause(signal)))))
  const models = read.filter((model) => model !== undefined && typeof model !== 'string')
  return {
    models: models.toSorted((a, b) => compareText(a.file, b.file)),
    damaged: read.filter((model) => typeof model === 'string').sort(compareText),
    lostLinks,
  }
}

/** Names of all manifests, whatever is in them. Sorted by path. @throws {OllamaConfigError} `store-unreadable` */
export async function readNames(layout: Layout, signal?: AbortSignal): Promise<readonly Reference[]> {
  const { tags } = await findTags(layout, new Turns(readsAtOnce), [], signal)
  return tags.toSorted((a, b) => compareText(a.file, b.file)).map(({ reference }) => reference)
}

interface Tag {
  readonly file: string
  readonly reference: Reference
}

/** @param wanted Names of the folders and the file, in any case; empty: all */
async function findTags(
  { folder, manifests }: Layout,
  turns: Turns,
  wanted: readonly string[],
  signal: AbortSignal | undefined,
): Promise<{ readonly tags: readonly Tag[]; readonly lostLinks: readonly string[] }> {
  signal?.throwIfAborted()
  for (const needed of [folder, manifests]) await assertFolder(needed)
  const { files, lostLinks } = await filesAtDepth(manifests, 4, turns, wanted)
  signal?.throwIfAborted()
  const tags = files.flatMap((file): readonly Tag[] => {
    const [host = '', namespace = '', model = '', tag = ''] = path.relative(manifests, file).split(path.sep)
    try {
      return [{ file, reference: parseListedName(`${host}/${namespace}/${model}:${tag}`) }]
    } catch {
      // Of other programs, such as `.DS_Store`.
      return []
    }
  })
  return { tags, lostLinks }
}

interface Found {
  readonly files: readonly string[]
  readonly lostLinks: readonly string[]
}

async function filesAtDepth(folder: string, depth: number, turns: Turns, wanted: readonly string[]): Promise<Found> {
  const [part, ...rest] = wanted
  const all = await turns.run(() => entriesOf(folder))
  const entries = part === undefined ? all : all.filter(({ name }) => name.toLowerCase() === part.toLowerCase())
  const found = await Promise.all(
    entries.map(async (entry): Promise<Found> => {
      const file = path.join(folder, entry.name)
      const isLost = entry.isSymbolicLink() && !(await turns.run(() => leadsSomewhere(file)))
      if (depth === 1) return { files: entry.isDirectory() ? [] : [file], lostLinks: isLost ? [file] : [] }
      if (isLost) return { files: [], lostLinks: [file] }
      // A link to a folder counts as one.
      const isFolder = entry.isDirectory() || entry.isSymbolicLink()
      return isFolder ? filesAtDepth(file, depth - 1, turns, rest) : { files: [], lostLinks: [] }
    }),
  )
  return { files: found.flatMap(({ files }) => files), lostLinks: found.flatMap(({ lostLinks }) => lostLinks) }
}

async function leadsSomewhere(link: string): Promise<boolean> {
  return stat(link).then(
    () => true,
    () => false,
  )
}

/** It need not be there yet. */
async function assertFolder(folder: string): Promise<void> {
  const found = await stat(folder).catch((error: unknown) => {
    if (hasCode(error) && error.code === 'ENOENT') return undefined
    throw notReadable(folder, error)
  })
  if (found === undefined || found.isDirectory()) return
  throw new OllamaConfigError('store-unreadable', `${quotedPath(folder)} is no folder`, {
    hint: "name the folder that has Ollama's blobs and manifests",
  })
}

async function entriesOf(folder: string) {
  try {
    return await readdir(folder, { withFileTypes: true })
  } catch (error) {
    // Not there yet, gone meanwhile, a link to a file, or to itself.
    if (hasCode(error) && /^(ENOENT|ENOTDIR|ELOOP)$/.test(error.code)) return []
    throw notReadable(folder, error)
  }
}

/** The name of a tag that is damaged; `undefined` for what is no tag. */
async function readTag(
  { file, reference }: Tag,
  files: SmallFiles,
  pause: () => Promise<void>,
): Promise<StoredModel | string | undefined> {
  const name = formatReference(reference)
  for (let again = false; ; again = true) {
    const bytes = await readTagFile(file, files)
    if (bytes === undefined) return undefined
    if (bytes === 'unreadable') return name
    try {
      const { manifest, parentModel, hashedBytes } = readStoredManifest(bytes)
      const digest = `sha256:${sha256(bytes.subarray(0, hashedBytes))}`
      const sizeBytes = nominalBytes(manifest)
      return { name, reference, file, digest, sizeBytes, manifest, parentModel, bytes }
    } catch {
      if (again) return name
      await pause()
    }
  }
}

/** `undefined` when it is no tag: a folder, a link that leads nowhere, or deleted meanwhile. */
async function readTagFile(file: string, files: SmallFiles): Promise<Uint8Array | 'unreadable' | undefined> {
  try {
    return await files.read(file, maxManifestBytes)
  } catch (error) {
    const isNone =
      error instanceof NotReadableError
        ? error.isFolder
        : hasCode(error) && /^(ENOENT|ENOTDIR|EISDIR)$/.test(error.code)
    return isNone ? undefined : 'unreadable'
  }
}
