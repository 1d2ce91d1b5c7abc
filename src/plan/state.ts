/** What the config wants and what a host has: the two inputs of a plan. */
import type { BuildFields } from '../artifact/derived.ts'
import type { Layer } from '../artifact/manifest.ts'
import type { Pattern } from '../artifact/pattern.ts'
import type { Reference } from '../artifact/reference.ts'
import type { Diagnostic } from '../errors.ts'

/** One declared model. */
export interface DesiredModel {
  readonly reference: Reference
  /** Where it is declared: `models[2]`, or `models[2].name`. */
  readonly path: string
  /** The server fetches it over plain http. */
  readonly insecure: boolean
  /** How it is made on the host; absent for a model that is pulled. */
  readonly recipe?: Recipe
  /** How long it stays in memory once it was loaded there; absent where it does not say. */
  readonly keepAlive?: KeepAlive
  /** The declared model that starts from it, where it is not declared itself. */
  readonly neededBy?: string
}

/** Seconds, or a time such as `10m`; below 0: for ever. */
export type KeepAlive = string | number

export type Recipe = Build | Alias

/** A model that is built from another one, or from files. */
export interface Build extends Omit<BuildFields, 'adapters'> {
  readonly kind: 'build'
  /** `null`: built from `files`. */
  readonly from: Reference | null
  readonly files: readonly LocalFile[]
  readonly adapters: readonly LocalFile[]
  readonly quantize: string | null
  /** Fields declared as empty, as if that took away what the base has. */
  readonly cleared: readonly string[]
}

/** A second name of a model. */
export interface Alias {
  readonly kind: 'alias'
  /** Never an alias itself. */
  readonly of: Reference
}

export interface LocalFile {
  /** What the server is told: no folder. */
  readonly name: string
  /** Absolute path on this machine. */
  readonly file: string
}

/** The config after validation: what plan works on, free of anything that acts. */
export interface DesiredState {
  /** No two name the same model. */
  readonly models: readonly DesiredModel[]
  /** Which undeclared models a plan may delete: all, only what this config brought in, or none. */
  readonly prune: 'undeclared' | 'managed' | false
  /** Models that are never deleted. */
  readonly keep: readonly Pattern[]
  /** Of models that do not say it themselves; absent: the server's default. */
  readonly keepAlive?: KeepAlive
  /** What was found in the config and is no error. */
  readonly warnings: readonly Diagnostic[]
}

/** One entry of what `ollama list` shows. */
export interface InstalledModel {
  /** The spelling of the server, which requests about this model must use. */
  readonly name: string
  readonly reference: Reference
  /** `sha256:` and 64 hex digits: the SHA-256 of the manifest. */
  readonly digest: string
  /** Nominal: every layer in full, also those shared with other models. */
  readonly sizeBytes: number
  /** Name of the model it was built from, when it was built on a host. */
  readonly parentModel?: string
  /** A cloud model: it runs at this address and has no weights here. */
  readonly remoteHost?: string
  /** Which of its parts are not there in full, for people: `weights (wrong size), params (missing)`. Only a store tells. */
  readonly damage?: string
  /** Why it cannot be used although it is listed, for people. Only declared models are looked at. */
  readonly unusable?: string
}

/** What a host has. */
export interface ActualState {
  /** `null` when the server does not say. */
  readonly serverVersion: string | null
  readonly models: readonly InstalledModel[]
  /**
   * Of a host, listed names that are no valid reference: left alone. Of a store, models of which the manifest or the config cannot be
   * read: nothing is known of them, and they are brought anew where they are declared. All are named in a diagnostic.
   */
  readonly unreadable: readonly string[]
  /** Of a store, whose manifests can be read. */
  readonly stored?: StoredBlobs
}

/** What the manifests of a store name. */
export interface StoredBlobs {
  /** Which blobs an installed version is made of, config last, by its digest. */
  readonly contents: ReadonlyMap<string, readonly Layer[]>
  /**
   * Digests of blobs that no deletion frees: of models that are not listed, and what is not there. `null` while a manifest cannot be
   * read: nobody knows which it names.
   */
  readonly notFreed: ReadonlySet<string> | null
}
