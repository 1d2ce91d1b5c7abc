/** Brings the blobs of a model into a store: what is there and right stays, the rest is fetched, all at once. */
import { blobsOf, type Layer, type Manifest, parseManifest, shortDigest } from '../artifact/manifest.ts'
import { formatReference, type Reference } from '../artifact/reference.ts'
import type { ManifestAnswer } from '../artifact/served.ts'
import { quotedPath } from '../artifact/text.ts'
import { OllamaConfigError } from '../errors.ts'
import { codeOf } from '../registry/problems.ts'
import type { DownloadClient } from '../registry/registry.ts'
import { sharedSignal } from '../runtime/abortable.ts'
import { Turns } from '../runtime/turns.ts'
import { BlobGoneError } from '../transfer/problems.ts'
import type { PullOptions, PullProgress } from './backend.ts'
import { type BringBlobOptions, bringBlob, seemsThere } from './store-blob.ts'

/** Each has two files open; those of models in many tensor files would be thousands. */
const blobsAtOnce = 16
/** Of fetching what somebody else removed. */
const maxTries = 3
/** How often progress is told. */
const tellEveryMs = 100

/** @throws {OllamaConfigError} `model-not-found`, `registry-unauthorized`, `registry-error`, `server-too-old` */
export async function manifestFor(
  registry: DownloadClient,
  reference: Reference,
  { insecure, manifest: text, signal }: PullOptions,
): Promise<{ readonly text: string; readonly manifest: Manifest }> {
  if (text !== undefined) return { text, manifest: parseManifest(text) }
  const answer = await registry.manifest({ reference, insecure, signal })
  if (answer.kind === 'found') return answer.served
  throw noManifest(answer, reference)
}

function noManifest(
  answer: Exclude<ManifestAnswer, { readonly kind: 'found' }>,
  reference: Reference,
): OllamaConfigError {
  const name = formatReference(reference)
  switch (answer.kind) {
    case 'missing':
      return new OllamaConfigError('model-not-found', `${reference.host} has no model "${name}"`, {
        hint: 'check the spelling of the name and of its tag',
      })
    case 'too-new':
      return new OllamaConfigError('server-too-old', `"${name}" needs a newer Ollama than its registry takes us for`, {
        hint: 'update ollama-config',
      })
    case 'unauthorized':
    case 'unknown':
      return new OllamaConfigError(codeOf(answer), `"${name}" cannot be fetched: ${answer.problem}`, {
        hint: answer.hint,
      })
  }
}

export interface PullBlobsOptions extends Omit<BringBlobOptions, 'onProgress'> {
  readonly manifest: Manifest
  /** The manifest is that of the lock file, whatever the registry serves now. */
  readonly locked: boolean
}

/**
 * Ends when all blobs are there and right. The first that fails gives up the others; what came of them stays. No manifest names them
 * yet: a server that starts, or deletes another model, may remove them meanwhile, and they are fetched again.
 */
export async function* pullBlobs(options: PullBlobsOptions): AsyncGenerator<PullProgress, void> {
  const all = blobsOf(options.manifest)
  for (let tries = 1, blobs = all; ; tries++) {
    yield* bringAll(blobs, options)
    const there = await Promise.all(all.map((blob) => seemsThere(options.layout, blob)))
    blobs = all.filter((_, index) => !there[index])
    if (blobs.length === 0) return
    if (tries === maxTries) throw removedByOthers(options)
  }
}

async function* bringAll(blobs: readonly Layer[], options: PullBlobsOptions): AsyncGenerator<PullProgress, void> {
  const left = new AbortController()
  const signal = sharedSignal(options.signal, left.signal)
  const turns = new Turns(blobsAtOnce)
  const completed = new Map<string, number>()
  let wake = () => {}
  let toldMs = 0
  let open = blobs.length
  let failure: { readonly error: unknown } | undefined
  const work = blobs.map(async (blob) => {
    try {
      const onProgress = (bytes: number) => {
        completed.set(blob.digest, bytes)
        if (performance.now() - toldMs >= tellEveryMs) wake()
      }
      await turns.run(() => bringBlob(blob, { ...options, signal, onProgress }))
    } catch (error) {
      failure ??= { error: options.signal?.aborted ? options.signal.reason : toldOf(options, error) }
      left.abort(failure.error)
    } finally {
      open--
      wake()
    }
  })
  try {
    for (;;) {
      const woken = new Promise<void>((resolve) => {
        wake = resolve
      })
      toldMs = performance.now()
      for (const { digest, sizeBytes } of blobs) {
        const bytes = completed.get(digest)
        completed.delete(digest)
        if (bytes !== undefined)
          yield { status: `pulling ${shortDigest(digest)}`, digest, completedBytes: bytes, totalBytes: sizeBytes }
      }
      if (failure !== undefined) throw failure.error
      if (open === 0 && completed.size === 0) return
      await woken
    }
  } finally {
    left.abort(new DOMException('The pull was left', 'AbortError'))
    await Promise.all(work)
  }
}

function removedByOthers({ reference, layout }: PullBlobsOptions): OllamaConfigError {
  return new OllamaConfigError(
    'verification-failed',
    `"${formatReference(reference)}" was not installed: another program removes its parts from ${quotedPath(layout.blobs)}`,
    { hint: 'apply again when no server starts or deletes models on this folder' },
  )
}

function toldOf({ locked, reference }: PullBlobsOptions, error: unknown): unknown {
  if (!locked || !(error instanceof BlobGoneError)) return error
  const { message } = error
  const name = formatReference(reference)
  return new OllamaConfigError(
    'locked-version-gone',
    `The locked version of "${name}" cannot be had any more: ${message}`,
    {
      hint: `copy it from a machine that has it, or take what the tag names now: "ollama-config update ${name}"`,
    },
  )
}
