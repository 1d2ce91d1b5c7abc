/** Brings the blobs of a model into a store: what is there and right stays, the rest is fetched, all at once. */
import { stat } from 'node:fs/promises'
import { blobsOf, type Layer, type Manifest, parseManifest, shortDigest } from '../artifact/manifest.ts'
import { formatReference, type Reference } from '../artifact/reference.ts'
import type { ManifestAnswer } from '../artifact/served.ts'
import { OllamaConfigError } from '../errors.ts'
import type { DownloadClient } from '../registry/registry.ts'
import { sharedSignal } from '../runtime/abortable.ts'
import { Turns } from '../runtime/turns.ts'
import { blobFile, type Layout } from '../store/layout.ts'
import type { Owner } from '../store/ownership.ts'
import { publishPartial } from '../store/publish.ts'
import { BlobGoneError } from '../transfer/blob-download.ts'
import type { Downloader } from '../transfer/downloader.ts'
import { registrySource } from '../transfer/source.ts'
import type { PullOptions, PullProgress } from './backend.ts'

/** A connection that is silent for so long is given up for a new one. */
const defaultSilenceMs = 20_000
/** Each has two files open; those of models in many tensor files would be thousands. */
const blobsAtOnce = 16
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
      return new OllamaConfigError('registry-unauthorized', `"${name}" cannot be fetched: ${answer.problem}`, {
        hint: answer.hint,
      })
    case 'unknown':
      return new OllamaConfigError('registry-error', `"${name}" cannot be fetched: ${answer.problem}`, {
        hint: 'check the network and HTTPS_PROXY of this machine, and try again',
      })
  }
}

export interface PullBlobsOptions {
  readonly layout: Layout
  readonly registry: DownloadClient
  readonly downloader: Downloader
  readonly reference: Reference
  readonly manifest: Manifest
  readonly insecure: boolean
  readonly owner: Owner | undefined
  /** The manifest is that of the lock file, whatever the registry serves now. */
  readonly locked: boolean
  /** Default: 20 000. */
  readonly silenceMs?: number | undefined
  readonly signal: AbortSignal | undefined
}

/** Ends when all blobs are there and right. The first that fails gives up the others; what came of them stays. */
export async function* pullBlobs(options: PullBlobsOptions): AsyncGenerator<PullProgress, void> {
  const left = new AbortController()
  const signal = sharedSignal(options.signal, left.signal)
  const turns = new Turns(blobsAtOnce)
  const blobs = blobsOf(options.manifest)
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
      const bring = () => bringBlob(blob, { ...options, signal }, onProgress)
      await turns.run(() => options.downloader.inTurn(blob.digest, bring))
    } catch (error) {
      failure ??= { error: options.signal?.aborted ? options.signal.reason : error }
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

interface BringOptions extends PullBlobsOptions {
  readonly signal: AbortSignal
}

async function bringBlob(blob: Layer, options: BringOptions, onProgress: (bytes: number) => void): Promise<void> {
  const { layout, registry, downloader, reference, insecure, owner, silenceMs = defaultSilenceMs, signal } = options
  const { digest, sizeBytes } = blob
  if (await isThere(blob, options)) return onProgress(sizeBytes)
  // Beside its place, so that renaming it is all that is left to do.
  const file = `${blobFile(layout, digest)}.ollama-config`
  const source = registrySource(registry, { reference, insecure, digest, silenceMs })
  try {
    await downloader.fetch({ digest, sizeBytes, file, source, onProgress, signal })
  } catch (error) {
    throw options.locked && error instanceof BlobGoneError ? lockedGone(reference, error) : error
  }
  await publishPartial(layout, digest, file, { owner })
}

/** Only with the right size and the right hash: a pull mends what is damaged. */
async function isThere({ digest, sizeBytes }: Layer, { layout, downloader, signal }: BringOptions): Promise<boolean> {
  const file = blobFile(layout, digest)
  const found = await stat(file).catch(() => undefined)
  if (found === undefined || !found.isFile() || found.size !== sizeBytes) return false
  return (await downloader.hash(file, sizeBytes, signal)) === digest
}

function lockedGone(reference: Reference, { message }: Error): OllamaConfigError {
  const name = formatReference(reference)
  return new OllamaConfigError(
    'locked-version-gone',
    `The locked version of "${name}" cannot be had any more: ${message}`,
    {
      hint: `copy it from a machine that has it, or take what the tag names now: "ollama-config update ${name}"`,
    },
  )
}
