/** What the rest knows of registries: manifests by reference, and why there is none; small blobs. */
import type { Reference } from '../artifact/reference.ts'
import type { ManifestAnswer } from '../artifact/served.ts'

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

export interface RegistryClient {
  /**
   * Asks once for one manifest. At most eight requests are under way at once; the rest wait.
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
