/** What a test says about the server it wants: installed models, what pulls can find, how it is reached, what goes wrong. */

export interface ServerLayer {
  mediaType: string
  bytes?: Uint8Array | string
  /** Stated size; needed where there are no bytes. */
  size?: number
  /** `sha256:<hex>`; the hash of the bytes unless given. Give two models the same one and they share the layer. */
  digest?: string
  /** The digest of what a registry really sends, where that is not what it promised. */
  served?: string
  /** What the manifest says this layer was made from: a derived model's weights carry the name of the base. */
  from?: string
}

/** What can be said of a model wherever it is. Everything left out is made up from the name, always in the same way. */
export interface ModelContent {
  name: string
  /** Exact manifest text, or an object to print; otherwise it is put together from `layers`. */
  manifest?: object | string
  /** Layers and their bytes; a layer of the container image media type is the config. */
  layers?: ServerLayer[]
  /** Merged over the `details` that follow from the config. */
  details?: object
  capabilities?: string[]
  modelInfo?: object
  tensors?: object[]
  projectorInfo?: object
  /** Another text gives other made-up content under the same name: a tag that moved. */
  revision?: string
}

export interface ServerModel extends ModelContent {
  parentModel?: string
  remoteHost?: string
  remoteModel?: string
  modifiedAt?: string
  /** Listed instead of the manifest's own: 64 hex digits without a prefix. */
  digest?: string
  /** Listed instead of the sum over the manifest. */
  size?: number
  /** Digests of layers that are named in the manifest but not in the store. */
  lostBlobs?: string[]
}

/** What a pull from this repository runs into. The texts are those of the recordings. */
export type RegistryError =
  | 'missing'
  | 'unreachable'
  | 'unauthorized'
  | 'foreign-realm'
  | 'no-challenge'
  | 'no-key'
  | 'too-new'
  | 'missing-blob'
  | 'blob-500'
  | 'plain-200'
  | 'cdn-error'
  | 'digest-mismatch'
  | 'disk-full'
  /** The registry's answer to the manifest request. */
  | { status: number; body: string }
  /** Any other error text, as the pull would end with. */
  | { text: string }

export interface RegistryModel extends ModelContent {
  error?: RegistryError
  /** The registry speaks only http: without `insecure` the TLS handshake fails. */
  plainHttp?: boolean
  /** Slows downloads down to this much per tick, with one progress line a tick; otherwise blobs arrive at once, without a line. */
  bytesPerTick?: number
  /** Pause between ticks; 0, the default, is the next turn of the event loop. */
  tickMs?: number
  /** Ticks before the registry tells a blob's size, and again before its first byte. */
  waitTicks?: number
}

export interface OllamaServerOptions {
  version?: string
  models?: (string | ServerModel)[]
  registry?: (string | RegistryModel)[]
  /** A reverse proxy's path prefix; whatever is outside of it is 404. */
  basePath?: string
  /** A reverse proxy's demand: 401 where one of these headers is missing or different. */
  requireHeaders?: Record<string, string>
  socketPath?: string
  /** OLLAMA_NOPRUNE: updating a model leaves its old layers in the store. */
  noPrune?: boolean
  /**
   * The program that the server has copy the weights of plain files, and quantize them. By default one that copies whatever
   * it is asked for, as in the recordings; a function gets the bytes and `COPY` or the type, in capitals.
   */
  quantizer?: 'copy' | 'missing' | ((bytes: Uint8Array, type: string) => Uint8Array)
  /** Names that count as loaded in `/api/ps`. */
  loaded?: string[]
  /** Whether it can load models. By default llama-server is missing, as in the recordings. What a model says is for a test to script. */
  runner?: boolean
  /**
   * Running test registries by the host part of model names: `{ 'registry.ollama.ai': registry.url }`. Pulls of models that
   * are not in `registry` go there over HTTP. Names with a loopback address and a port as host find it by themselves.
   */
  registries?: Record<string, string>
  /** Path of the server's private key, for registries that ask for a token. */
  keyFile?: string
  /** Pulls over HTTP write one progress line each so many bytes; by default none. */
  bytesPerLine?: number
  /** Before the headers of every answer. */
  latencyMs?: number
}

export interface ServerRequest {
  readonly method: string
  /** Without the base path and the query. */
  readonly path: string
  /** As it was on the request line. */
  readonly target: string
  readonly headers: Record<string, string | string[] | undefined>
  /** The JSON value, else the text, else bytes; undefined without a body. */
  readonly body: unknown
  /** Of an upload, so far: it is listed here when it begins. */
  readonly bodyBytes: number
  /** Keys of the body that the server ignores: mostly a slip of the pen. */
  readonly unknownKeys: readonly string[]
  /** The status sent, or 0 before that. */
  readonly status: number
  /** The client left before the end. */
  readonly aborted: boolean
  /** The answer was sent to its end. */
  readonly finished: boolean
}

export interface RequestMatch {
  method?: string
  /** With a slash at its end, of all requests below it: `/api/blobs/`. */
  path?: string
  /** The model a request is about, in any spelling; of a copy, the source or the destination. */
  model?: string
  /** For `waitForRequest`: only once the client has left. */
  aborted?: boolean
  /** For `waitForRequest`: only once it was answered to the end. */
  finished?: boolean
}

/** Ways to spoil a listing; the rest of the answer stays as it is. */
export type ListingDefect =
  | 'models-missing'
  | 'models-null'
  | 'entry-null'
  | 'name-missing'
  | 'name-number'
  | 'name-invalid'
  | 'digest-missing'
  | 'digest-short'
  | 'digest-prefixed'
  | 'size-missing'
  | 'size-text'
  | 'details-missing'
  | 'duplicate-entry'

/**
 * Faults that name `afterLines` let the request take effect up to there; `refuse`, `status`, `body`, and `stall` and `hold`
 * without `afterLines` keep it from the server altogether. `reset` without a place loses the answer of a request that was
 * carried out. `afterBytes` are bytes of an answer, but of an upload those received: the fault then comes in its midst.
 */
export type Fault =
  | { kind: 'refuse' }
  | { kind: 'reset'; afterBytes?: number; afterLines?: number }
  | { kind: 'stall'; afterBytes?: number; afterLines?: number }
  | { kind: 'hold'; afterBytes?: number; afterLines?: number }
  | { kind: 'end'; afterLines: number }
  | { kind: 'truncate'; afterLines: number }
  | { kind: 'status'; status: number; body?: string; contentType?: string }
  | { kind: 'body'; body: string; contentType?: string }
  | { kind: 'line'; line: string; afterLines?: number }
  | { kind: 'slow'; msPerLine: number }
  /** Sends every line in pieces of this many bytes, which cuts characters and lines in two. */
  | { kind: 'pieces'; bytes: number }
  | { kind: 'corrupt-listing'; defect: ListingDefect }
  /** Any change to a JSON answer. */
  | { kind: 'edit'; edit: (body: unknown) => unknown }
