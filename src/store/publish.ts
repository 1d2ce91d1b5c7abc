/**
 * Puts blobs and manifests into a store: whole or not at all, blobs first. What is not finished has a name that a server does not
 * read: never in the fourth folder below manifests/, where every file is a tag.
 */
import { constants } from 'node:fs'
import { chmod, open, readFile, rename, rm, stat, utimes } from 'node:fs/promises'
import path from 'node:path'
import { type Reference, sameReference } from '../artifact/reference.ts'
import { OllamaConfigError } from '../errors.ts'
import { makeFolders, notWritten, syncFolder } from '../runtime/atomic-file.ts'
import { sha256 } from '../runtime/sha256.ts'
import { hasCode } from '../runtime/transport-error.ts'
import { assertKnownLayout, blobFile, type Layout, manifestFile } from './layout.ts'
import { readNames } from './manifests.ts'
import { give, type Owner } from './ownership.ts'

export interface PublishOptions {
  readonly owner?: Owner | undefined
  readonly signal?: AbortSignal | undefined
}

/** As the server makes them, less the umask. */
const folderMode = 0o755
const fileMode = 0o644
/** A server that deletes the last model of a folder takes the folder too, also one that was made a moment ago. */
const maxTries = 5

/** Makes the folders. @throws {OllamaConfigError} `store-unsupported`, `file-not-written` */
export async function prepare(layout: Layout, owner: Owner | undefined): Promise<void> {
  assertKnownLayout(layout)
  for (const folder of [layout.blobs, layout.manifests]) await makeOwnedFolders(folder, owner)
}

/** Those that are made are given away too. */
async function makeOwnedFolders(folder: string, owner: Owner | undefined): Promise<void> {
  try {
    await makeFolders(folder, { mode: folderMode, onMade: (made) => give(made, owner) })
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
  // No two names that differ only in case: a server could not tell them apart.
  const file = manifestFile(layout, spelledAs(await readNames(layout, signal), reference))
  for (let attempt = 1; ; attempt++) {
    await makeOwnedFolders(path.dirname(file), owner)
    try {
      return await writeInto(layout.manifests, file, owner, (append) => append(bytes))
    } catch (error) {
      if (attempt === maxTries || !(error instanceof Error) || !isMissing(error.cause)) throw error
    }
  }
}

/**
 * A server writes each part of a name as any installed name has it (getExistingName in v0.33): a part in two spellings
 * makes it look in the wrong place for one of them.
 */
function spelledAs(installed: readonly Reference[], reference: Reference): Reference {
  const same = installed.find((name) => sameReference(name, reference))
  if (same !== undefined) return same
  const spelled = (part: 'host' | 'namespace' | 'model' | 'tag') =>
    installed.find((name) => name[part].toLowerCase() === reference[part].toLowerCase())?.[part] ?? reference[part]
  return {
    ...reference,
    host: spelled('host'),
    namespace: spelled('namespace'),
    model: spelled('model'),
    tag: spelled('tag'),
  }
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
    const touched = await utimes(file, now, now).then(
      () => true,
      () => false,
    )
    // Only its owner may touch it.
    if (touched) return digest
  }
  await writeInto(layout.blobs, file, owner, (append) => append(bytes))
  return digest
}

/** @throws {OllamaConfigError} `digest-mismatch`, and what reading throws; nothing is left then */
export async function writeStream(
  layout: Layout,
  blob: { readonly digest: string; readonly sizeBytes: number; readonly bytes: AsyncIterable<Uint8Array> },
  { owner, signal }: PublishOptions = {},
): Promise<void> {
  const hash = process.getBuiltinModule('node:crypto').createHash('sha256')
  await writeInto(layout.blobs, blobFile(layout, blob.digest), owner, async (append) => {
    let size = 0
    for await (const chunk of blob.bytes) {
      signal?.throwIfAborted()
      size += chunk.byteLength
      // It may never end.
      if (size > blob.sizeBytes) break
      hash.update(chunk)
      await append(chunk)
    }
    const digest = `sha256:${hash.digest('hex')}`
    if (size !== blob.sizeBytes) throw otherFile(`it has ${size > blob.sizeBytes ? 'more' : 'fewer'} bytes`)
    if (digest !== blob.digest) throw otherFile(`it is ${digest}`)
  })
}

/** The last step of a download: its file becomes the blob. */
export async function publishPartial(
  layout: Layout,
  digest: string,
  partial: string,
  { owner, signal }: PublishOptions = {},
): Promise<void> {
  signal?.throwIfAborted()
  const file = blobFile(layout, digest)
  try {
    // Whoever put a link in its place meanwhile gets nothing changed behind it.
    const handle = await open(partial, constants.O_RDWR | (constants.O_NOFOLLOW ?? 0))
    try {
      await handle.chmod(fileMode)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await give(partial, owner)
    await rename(partial, file)
    await syncFolder(layout.blobs)
  } catch (error) {
    throw notWritten(file, error)
  }
}

/** By way of a file in that folder, which is on the same disk. What `write` throws passes as it is. */
async function writeInto(
  folder: string,
  file: string,
  owner: Owner | undefined,
  write: (append: (bytes: Uint8Array) => Promise<void>) => Promise<void>,
): Promise<void> {
  const temporary = path.join(folder, temporaryName())
  const written = <T>(work: Promise<T>): Promise<T> =>
    work.catch((error: unknown) => {
      throw notWritten(file, error)
    })
  try {
    const handle = await written(open(temporary, 'wx', fileMode))
    try {
      await write((bytes) => written(handle.appendFile(bytes)))
      // As the server does it: with a strict umask another user's server could not read it.
      await written(chmod(temporary, fileMode))
      await written(handle.sync())
    } finally {
      await handle.close()
    }
    await give(temporary, owner)
    await written(rename(temporary, file))
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {})
    throw error
  }
  await syncFolder(path.dirname(file))
}

/** What `collect` knows as ours: no digest, and no tag. */
function temporaryName(): string {
  return `.ollama-config-${crypto.randomUUID()}.tmp`
}

function isMissing(error: unknown): boolean {
  return hasCode(error) && error.code === 'ENOENT'
}

function otherFile(problem: string): OllamaConfigError {
  return new OllamaConfigError('digest-mismatch', `What was read is another than its digest says: ${problem}`, {
    hint: 'it was changed while it was read: plan again',
  })
}

async function isSame(file: string, bytes: Uint8Array): Promise<boolean> {
  try {
    const found = await stat(file)
    return found.isFile() && found.size === bytes.byteLength && Buffer.compare(await readFile(file), bytes) === 0
  } catch {
    // What is not there, or cannot be read, is written.
    return false
  }
}
