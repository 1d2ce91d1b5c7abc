/** What plan and apply know of the outside: one interface for every place that holds models. */
import type { StoredMessage } from '../artifact/derived.ts'
import type { Parameters } from '../artifact/parameters.ts'
import type { Reference } from '../artifact/reference.ts'
import type { ActualState } from '../plan/state.ts'

export interface CallOptions {
  readonly signal?: AbortSignal | undefined
}

export interface PullOptions extends CallOptions {
  /** Fetch over plain http. */
  readonly insecure: boolean
  /** Exactly this manifest, byte for byte, whatever the tag names now. Only a backend that `fetchesByDigest` gets it. */
  readonly manifest?: string | undefined
}

export interface HoldOptions extends CallOptions {
  /** Called once when another process has the place, with words for it, such as `process 4711, since …`: it is waited for. */
  readonly onWait?: ((holder: string) => void) | undefined
}

/** A place that is kept for this process. */
export interface Hold {
  /**
   * Before each change, where the place does not see to it by itself.
   *
   * @throws {OllamaConfigError} `store-busy` when another process took the place, while this one was suspended
   */
  assertHeld?(): Promise<void>
  /** To be called whatever happens. Never rejects. */
  release(): Promise<void>
}

/** One line of a pull's progress. */
export interface PullProgress {
  /** The server's words, such as `pulling manifest`, free of control characters. */
  readonly status: string
  /** The layer this line is about; absent for lines about the model as a whole. */
  readonly digest?: string
  /** Bytes of that layer on the host; may run backwards after a retry, and start above zero on resume. */
  readonly completedBytes?: number
  /** Size of that layer. A layer line without it waits for another client's download of the same layer. */
  readonly totalBytes?: number
}

/** What an installed model is. That it can be told at all shows that no part of it is missing. */
export interface ModelDetails {
  readonly capabilities: readonly string[]
  readonly family: string | null
  /** `gguf` or `safetensors`. */
  readonly format: string | null
  readonly parameterSize: string | null
  readonly quantization: string | null
  /** Where the server says that its weights lie, on its own machine; `null` for models without weights of their own. */
  readonly weightsFile: string | null
  /** Digests of weights and projectors. */
  readonly weights: readonly string[]
  readonly adapters: readonly string[]
  /** As the server prints it into a Modelfile, with its `TEMPLATE` in front; empty when it does not. */
  readonly templateSection: string
  readonly renderer: string | null
  readonly parser: string | null
  readonly requires: string | null
  readonly system: string | null
  /** All of them, joined by a line end. */
  readonly license: string | null
  readonly messages: readonly { readonly role: string; readonly content: string }[]
  readonly parameters: ShownParameters
  /** Keys of the GGUF; long lists are left out. */
  readonly modelInfo: Readonly<Record<string, unknown>>
}

/** A list of one item is told as that item. */
export type ShownParameters = Parameters

/** What is built, by the names of Ollama's API. Absent: as the base has it. */
export interface CreateRequest {
  /** Listed name of the base. It must be installed: else the server would pull it by itself. */
  readonly from?: string
  /** GGUF files instead of a base: name → digest of an uploaded blob. */
  readonly files?: Readonly<Record<string, string>>
  readonly adapters?: Readonly<Record<string, string>>
  readonly system?: string
  readonly template?: string
  readonly parameters?: Parameters
  readonly messages?: readonly StoredMessage[]
  readonly license?: readonly string[]
  readonly renderer?: string
  readonly parser?: string
  readonly requires?: string
  readonly quantize?: string
}

/** Bytes that come in pieces, and how many. */
export interface Upload {
  readonly digest: string
  readonly sizeBytes: number
  /** Read once. */
  readonly bytes: AsyncIterable<Uint8Array>
}

export interface BlobId {
  readonly digest: string
  readonly sizeBytes: number
}

/** Whether blobs are there, whatever models they belong to. It keeps connections, since a plan asks about hundreds. */
export interface BlobLookup {
  /** Of another size it does not count, where that can be told. */
  has(blob: BlobId, options?: CallOptions): Promise<boolean>
  close(): void
}

/**
 * A place that holds models. Every method throws an `OllamaConfigError`, or `signal.reason` untouched when aborted.
 */
export interface Backend {
  /** An Ollama server, or a model directory. */
  readonly kind: 'host' | 'store'
  /** Redacted: fit for messages, plans and logs. Of a store, its absolute path. */
  readonly address: string
  /** Whether a pull can bring a version that its tag does not name any more. */
  readonly fetchesByDigest: boolean
  /** Keeps other processes of ours from changing the place meanwhile. Waits for the one that has it. */
  hold(options?: HoldOptions): Promise<Hold>
  /** Lists what is installed, with the server's version. */
  readState(options?: CallOptions): Promise<ActualState>
  /** @throws {OllamaConfigError} `model-not-found` also when a blob of an installed model is gone */
  show(name: string, options?: CallOptions): Promise<ModelDetails>
  /** Ends normally only when the server said that the model is complete. Leaving the loop cancels the pull. */
  pull(reference: Reference, options: PullOptions): AsyncIterable<PullProgress>
  /**
   * Builds a model, in the place of one that has this name. Ends normally only when the server said that it is complete.
   *
   * @throws {OllamaConfigError} `stale-plan` when its base is not there
   */
  create(name: string, request: CreateRequest, options?: CallOptions): AsyncIterable<PullProgress>
  /** Puts a blob there. @throws {OllamaConfigError} `digest-mismatch` when the bytes are others */
  upload(blob: Upload, options?: CallOptions): Promise<void>
  /** For asking about many blobs. To be closed. */
  openBlobs(): BlobLookup
  /** Gives an installed model a second name; what was there under that name is replaced. */
  copy(source: string, destination: string, options?: CallOptions): Promise<void>
  /** Deletes by the spelling that `readState` gave. */
  delete(name: string, options?: CallOptions): Promise<void>
}
