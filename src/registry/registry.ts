/** What the rest knows of registries: manifests by reference, and why there is none; small blobs. */
import type { Reference } from '../artifact/reference.ts'
import type { ManifestAnswer } from '../artifact/served.ts'
import type { HttpResponse } from '../runtime/http.ts'
import type { Surroundings } from './problems.ts'

export type { ManifestAnswer, ServedManifest } from '../artifact/served.ts'

export interface ManifestRequest {
  readonly reference: Reference
  /** Asks over plain http. */
  readonly insecure: boolean
  /** Asks for this very manifest instead of what the tag names now. */
  readonly digest?: string | undefined
  readonly signal?: AbortSignal | undefined
}

/** A blob that is text, such as a config. */
export interface BlobRequest extends Pick<ManifestRequest, 'reference' | 'insecure' | 'signal'> {
  readonly digest: string
  /** A larger one counts as not to be had. */
  readonly maxBytes: number
}

/** Bytes of a blob that may have gigabytes. */
export interface BlobBytesRequest extends Pick<ManifestRequest, 'reference' | 'insecure' | 'signal'> {
  readonly digest: string
  /** `to` is the first byte that is not wanted. Default: all of it, without a word about ranges. */
  readonly range?: { readonly from: number; readonly to: number } | undefined
  /** Longest silence of the other side, in milliseconds. */
  readonly silenceMs: number
}

export interface RegistryClient {
  /**
   * Asks for one manifest, and again where that may help. At most eight requests are under way at once; the rest wait.
   *
   * @throws `signal.reason` when aborted; nothing else
   */
  manifest(request: ManifestRequest): Promise<ManifestAnswer>
  /**
   * The text of a blob of the model's repository; `null` when it cannot be had, or is not what its digest says.
   *
   * @throws `signal.reason` when aborted; nothing else
   */
  blob(request: BlobRequest): Promise<string | null>
  /** Closes idle connections. */
  close(): void
}

/** Also gives the bytes of large blobs. */
export interface DownloadClient extends RegistryClient {
  /**
   * Asks for bytes of a blob, whatever the status of the answer but 401 and 403: it may be all of the blob although a range was asked for.
   * Where the registry redirects to is remembered, and asked directly until that no longer works, as of a signed URL that grew old.
   * What is refused there is asked for once more at a fresh address. At once are as many under way as are asked for. Nothing else is repeated.
   *
   * @throws {TransportError} no answer
   * @throws {OllamaConfigError} `registry-unauthorized`, and `registry-error` for a storage that refuses; `retryable` where a sign-in
   * may work in a moment
   * @throws `signal.reason` when aborted
   */
  openBlob(request: BlobBytesRequest): Promise<HttpResponse>
  /** What hints about a registry speak of. */
  surroundings(request: Pick<ManifestRequest, 'reference' | 'insecure'>): Surroundings
}
