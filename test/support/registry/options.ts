/** What a test says about the registry it wants: what is published, who may read it, what goes wrong. */
import type { ModelContent } from '../ollama-server/options.ts'

/** The bytes of every blob of a model that are not given: the header, then the same again and again. */
export type Fill = { header?: Uint8Array } & ({ byte: number } | { repeat: Uint8Array })

/** How a repository behaves that is not for everybody. All that is left out works. */
export interface Access {
  /** The token server named in the challenge, instead of the registry's own. */
  realm?: string
  /** False answers 401 without a `WWW-Authenticate` header. */
  challenge?: false
  /** What the token server answers instead of a token. */
  token?: 'no-json' | 'missing'
  /** The token is issued and then not accepted. */
  refused?: true
}

export interface ServedModel extends ModelContent {
  /** Holds for the whole repository, whatever the tag. */
  private?: boolean | Access
  /** Older servers are told to upgrade: 412. */
  requires?: string
  /** Unix seconds; brings the two headers by which the desktop app looks for updates. */
  pushedAt?: number
  fill?: Fill
  /** Digests named in the manifest that the registry does not have. */
  lostBlobs?: string[]
  /** Blobs come as a plain 200 instead of a redirect, with or without the `Location` that Ollama insists on. */
  blobs?: 'redirect' | 'plain' | 'plain-with-location'
}

export interface RegistryOptions {
  models?: (string | ServedModel)[]
  /** Public keys, as in `id_ed25519.pub`, that get tokens for private repositories. */
  authorizedKeys?: string[]
  /** False: manifests are found by tag only. */
  byDigest?: boolean
  /** Before the headers of every answer. */
  latencyMs?: number
}

export type RequestKind = 'manifest' | 'blob' | 'cdn' | 'token' | 'other'

export interface RegistryRequest {
  readonly method: string
  /** Without the query. */
  readonly path: string
  /** As it was on the request line, without the question mark. */
  readonly query: string
  readonly headers: Record<string, string | string[] | undefined>
  readonly kind: RequestKind
  /** `namespace/model`; of a token, that of its scope. */
  readonly repository: string | undefined
  /** Tag or digest of a manifest. */
  readonly reference: string | undefined
  /** Of a blob. */
  readonly digest: string | undefined
  /** The status sent, or 0 before that. */
  readonly status: number
  readonly responseHeaders: Record<string, string>
  /** Bytes of body handed to the connection. */
  readonly bytesSent: number
  /** The answer was sent to its end. */
  readonly finished: boolean
  /** The connection ended before that, by either side. */
  readonly aborted: boolean
}

export interface RegistryMatch {
  method?: string
  kind?: RequestKind
  /** A model in any spelling: its manifest by tag, any manifest by digest and any blob of its repository, its bytes in the CDN, its token. */
  name?: string
  digest?: string
  /** For `waitForRequest` and `count`: only once the connection is gone. */
  aborted?: boolean
  /** For `waitForRequest` and `count`: only once it was answered to the end. */
  finished?: boolean
}

export type RegistryFault =
  | { kind: 'status'; status: number; body?: string; headers?: Record<string, string> }
  /** Never answers. */
  | { kind: 'stall' }
  /** Waits for `release()`, then answers as usual. */
  | { kind: 'hold' }
  /** Cuts the connection; with `afterBytes`, once so much of the body is sent. */
  | { kind: 'reset'; afterBytes?: number }
  /** Promises the full length, sends half of it and closes. */
  | { kind: 'truncate' }
  /** As many bytes, every one of them 1; of a manifest, JSON with another digest in it. */
  | { kind: 'lie' }
  | { kind: 'redirect'; to: string; status?: number }
  /** Redirects to itself. */
  | { kind: 'redirect-loop'; status?: number }
  /** A web page with status 200. */
  | { kind: 'html' }
  /** Broken JSON with status 200. */
  | { kind: 'garbage' }
  /** A body without an end. */
  | { kind: 'huge' }
  /** So many bytes of the body, by default one, at every turn of the event loop. */
  | { kind: 'drip'; bytes?: number }
  /** So late. */
  | { kind: 'slow'; ms: number }
