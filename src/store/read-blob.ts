/** Reads blobs, and says what to do about one that cannot be read. */
import { shortDigest } from '../artifact/manifest.ts'
import { printable } from '../artifact/text.ts'
import { OllamaConfigError } from '../errors.ts'
import { NotReadableError, type OpenFile, openRegular } from '../runtime/regular-file.ts'
import { hasCode } from '../runtime/transport-error.ts'
import { blobFile, type Layout } from './layout.ts'
import { SmallFiles } from './small-files.ts'

export interface BlobOptions {
  readonly signal?: AbortSignal | undefined
}

/** No command only deletes, so that another one could fetch. */
export const repairHint =
  '"ollama-config verify --repair" fetches it anew (with --all where the config does not declare it)'
export const damageHint = `the file may be damaged: ${repairHint}`

/** Texts of models have some kilobytes; those with many licences, some hundred. */
const maxSmallBytes = 16 * 1024 * 1024

export interface SmallBlobOptions extends BlobOptions {
  /** What was read before. Default: nothing. */
  readonly files?: SmallFiles | undefined
}

/** The text of a blob that is read as a whole. @throws {OllamaConfigError} `model-not-found`, as a server answers, `store-unreadable` */
export async function readSmallBlob(
  layout: Layout,
  digest: string,
  { signal, files = new SmallFiles() }: SmallBlobOptions = {},
): Promise<string> {
  signal?.throwIfAborted()
  const file = blobFile(layout, digest)
  try {
    const bytes = await files.read(file, maxSmallBytes)
    return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes)
  } catch (error) {
    throw blobProblem(digest, error)
  }
}

/** For reading in pieces; the caller closes it. @throws {OllamaConfigError} as {@link readSmallBlob} */
export async function openBlob(layout: Layout, digest: string, { signal }: BlobOptions = {}): Promise<OpenFile> {
  signal?.throwIfAborted()
  const file = blobFile(layout, digest)
  try {
    return await openRegular(file)
  } catch (error) {
    throw blobProblem(digest, error)
  }
}

function blobProblem(digest: string, error: unknown): OllamaConfigError {
  if (hasCode(error) && error.code === 'ENOENT') {
    return new OllamaConfigError('model-not-found', `A part of the model is missing: the blob ${shortDigest(digest)}`, {
      hint: repairHint,
    })
  }
  const message = error instanceof Error ? printable(error.message, 200) : 'unknown error'
  return new OllamaConfigError('store-unreadable', `The blob ${shortDigest(digest)} cannot be read: ${message}`, {
    hint: error instanceof NotReadableError ? damageHint : 'check the owner and the mode of the store',
    cause: error,
  })
}
