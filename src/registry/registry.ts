/** What the rest knows of registries: manifests by reference, and why there is none. */
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

export interface RegistryClient {
  /**
   * Asks once for one manifest. At most eight requests are under way at once; the rest wait.
   *
   * @throws `signal.reason` when aborted; nothing else
   */
  manifest(request: ManifestRequest): Promise<ManifestAnswer>
  /** Closes idle connections. */
  close(): void
}
