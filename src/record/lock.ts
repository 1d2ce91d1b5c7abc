/** The lock file: which version of each declared model was tested. Its shape; reading and writing is in `lock-file.ts`. */
import type { Layer } from '../artifact/manifest.ts'

/** Of lock files. A minor version adds fields; an unknown major is refused. */
export const lockFormatVersion = '1.0'

export interface Lock {
  /** By reference in its shortest spelling with tag, such as `qwen3:8b`. */
  readonly models: Readonly<Record<string, LockedModel>>
}

/** One pinned model. */
export type LockedModel = LockedPull | LockedDerivation

/** A model that a registry serves. */
export interface LockedPull {
  /** Digest of the manifest. */
  readonly digest: string
  /** Host of the registry it comes from. */
  readonly registry: string
  /** `null` where the layers are, and where the manifest has none. */
  readonly config: Layer | null
  /** `null` where the registry no longer serves that digest, and where the manifest at hand does not give it. */
  readonly layers: readonly Layer[] | null
  /** The manifest as it was served, where it is not what `formatManifest` makes of config and layers. */
  readonly manifest?: string
}

/** A model that is built, from another or from files. What binds is the declaration and the base; the digest informs. */
export interface LockedDerivation {
  readonly digest: string | null
  /** SHA-256 of the declaration. */
  readonly declaration: string
  /** `null` for one that is built from files. */
  readonly base: { readonly reference: string; readonly digest: string } | null
}

export function isLockedPull(entry: LockedModel): entry is LockedPull {
  return !('base' in entry)
}

/** Beside the config: `ollama.config.ts` → `ollama.lock.json`, `gpu.config.mts` → `gpu.lock.json`. */
export function lockFileOf(configFile: string): string {
  return `${configFile.replace(/(\.config)?\.(ts|mts|js|mjs|cjs|json)$/, '')}.lock.json`
}
