/**
 * Puts blobs and manifests into a store: whole or not at all, blobs first. What is not finished has a name that a server does not
 * read: never in the fourth folder below manifests/, where every file is a tag.
 */
import { chmod, type FileHandle, mkdir, open, rename, rm, stat, utimes } from 'node:fs/promises'
import path from 'node:path'
import { type Reference, sameReference } from '../artifact/reference.ts'
import { OllamaConfigError } from '../errors.ts'
import { notWritten, syncFolder } from '../runtime/atomic-file.ts'
import { sha256 } from '../runtime/sha256.ts'
import { assertKnownLayout, blobFile, type Layout, manifestFile } from './layout.ts'
import { readManifests } from './manifests.ts'
import { give, type Owner } from './ownership.ts'

export interface PublishOptions {
  readonly owner?: Owner | undefined
  readonly signal?: AbortSignal | undefined
}

/** As the server makes them, less the umask. */
const folderMode = 0o755
const fileMode = 0o644
/** What `collect` knows as ours. */
const temporaryPrefix = '.ollama-config-'

/** Makes the folders. @throws {OllamaConfigError} `store-unsupported`, `file-not-written` */
export async function prepare(layout: Layout, owner: Owner | undefined): Promise<void> {
  assertKnownLayout(layout)
  for (const folder of [layout.blobs, layout.manifests]) await makeFolders(folder, owner)
}

/** Those that are made are given away too. */
async function makeFolders(folder: string, owner: Owner | undefined): Promise<void> {
  try {
    const first = await mkdir(folder, { recursive: true, mode: folderMode })
    if (first === undefined) return
    for (let made = folder; made.length >= first.length; made = path.dirname(made)) await give(made, owner)
  } catch (error) {
    throw notWritten(folder, error)
  }
}

/** @throws {OllamaConfigError} `file-not-written`; what was there before is then still there */
export async function publishManifest(
  layout: Layout,
  reference: Reference,
  bytes: Uint8Array,
  { owner, signal }: PublishOptions = {},
): Promise<void> {
  const { models } = await readManifests(layout, { signal })
  // No two names that differ only in case: a server could not tell them apart.
  const file =
    models.find((model) => sameReference(model.reference, reference))?.file ?? manifestFile(layout, reference)
  await makeFolders(path.dirname(file), owner)
  await writeInto(layout.manifests, file, owner, (handle) => handle.writeFile(bytes))
}

/** A small one. Where the right bytes are already, they stay. */
export async function publishBlob(
  layout: Layout,
  bytes: Uint8Array,
  { owner, signal }: PublishOptions = {},
): Promise<string> {
  signal?.throwIfAborted()
  const digest = `sha256:${sha256(bytes)}`
  const file = blobFile(layout, digest)
  if (await isSame(file, bytes)) {
    // A server that starts removes what is old and not in use; this is about to be.
    const now = new Date()
    await utimes(file, now, now).catch(() => {})
    return digest
  }
  await writeInto(layout.blobs, file, owner, (handle) => handle.writeFile(bytes))
  return digest
}

/** @throws {OllamaConfigError} `digest-mismatch`, and what reading throws; nothing is left then */
export async function writeStream(
  layout: Layout,
  blob: { readonly digest: string; readonly sizeBytes: number; readonly bytes: AsyncIterable<Uint8Array> },
  { owner, signal }: PublishOptions = {},
): Promise<void> {
  const hash = process.getBuiltinModule('node:crypto').createHash('sha256')
  await writeInto(layout.blobs, blobFile(layout, blob.digest), owner, async (handle) => {
    let size = 0
    for await (const chunk of blob.bytes) {
      signal?.throwIfAborted()
      size += chunk.byteLength
      hash.update(chunk)
      await handle.writeFile(chunk)
    }
    const digest = `sha256:${hash.digest('hex')}`
    if (digest !== blob.digest || size !== blob.sizeBytes)
      throw new OllamaConfigError('digest-mismatch', `The file is another than its digest says: ${digest}`, {
        hint: 'it was changed while it was read: plan again',
      })
  })
}

/** The last step of a download: its file becomes the blob. */
export async function publishPartial(
  layout: Layout,
  digest: string,
  partial: string,
  { owner }: PublishOptions = {},
): Promise<void> {
  const file = blobFile(layout, digest)
  try {
    const handle = await open(partial, 'r+')
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
    await chmod(partial, fileMode)
    await give(partial, owner)
    await rename(partial, file)
    await syncFolder(layout.blobs)
  } catch (error) {
    throw notWritten(file, error)
  }
}

/** By way of a file in that folder, which is on the same disk. */
async function writeInto(
  folder: string,
  file: string,
  owner: Owner | undefined,
  write: (handle: FileHandle) => Promise<void>,
): Promise<void> {
  const temporary = path.join(folder, `${temporaryPrefix}${crypto.randomUUID()}.tmp`)
  try {
    const handle = await open(temporary, 'wx', fileMode)
    try {
      await write(handle)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await give(temporary, owner)
    await rename(temporary, file)
    await syncFolder(path.dirname(file))
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {})
    throw isOfSystem(error) ? notWritten(file, error) : error
  }
}

function isOfSystem(error: unknown): boolean {
  return error instanceof Error && 'code' in error && 'syscall' in error
}

async function isSame(file: string, bytes: Uint8Array): Promise<boolean> {
  const found = await stat(file).catch(() => undefined)
  if (found === undefined || !found.isFile() || found.size !== bytes.byteLength) return false
  const handle = await open(file, 'r')
  try {
    return Buffer.compare(await handle.readFile(), bytes) === 0
  } finally {
    await handle.close()
  }
}
