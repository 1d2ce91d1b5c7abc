/** What a registry says when it is asked for a manifest. */
import type { Manifest } from './manifest.ts'

export interface ServedManifest {
  /** SHA-256 of the bytes that came: what an Ollama server lists as the model's digest after pulling it. */
  readonly digest: string
  /** The bytes that came, as text. */
  readonly text: string
  readonly manifest: Manifest
  /** When it was pushed, as ISO 8601; `null` where the registry does not tell. */
  readonly pushedAt: string | null
}

/** What a registry says of one model. Only `missing` and `too-new` are sure; a pull by the server may fare otherwise. */
export type ManifestAnswer =
  | { readonly kind: 'found'; readonly served: ServedManifest }
  /** 404: the registry has no such model, tag or digest. */
  | { readonly kind: 'missing' }
  /** 412: this version of the Ollama server is too old for it. */
  | { readonly kind: 'too-new' }
  /** Refused: the server may have a key that we lack. */
  | { readonly kind: 'unauthorized'; readonly problem: string; readonly hint: string }
  /** Not reached, not in time, or an answer that is no manifest. */
  | {
      readonly kind: 'unknown'
      readonly problem: string
      readonly hint: string
      /** It gave no answer at all. */
      readonly unreachable?: true
    }
