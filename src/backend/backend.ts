/** What plan and apply know of the outside: one interface for every place that holds models. */
import type { Reference } from '../artifact/reference.ts'
import type { ActualState } from '../plan/state.ts'
import type { ShownParameters } from './parameters.ts'

export interface CallOptions {
  readonly signal?: AbortSignal | undefined
}

export interface PullOptions extends CallOptions {
  /** Fetch over plain http. */
  readonly insecure: boolean
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

/** What a server tells of an installed model, which also shows that it can be used. */
export interface ModelDetails {
  readonly capabilities: readonly string[]
  readonly family: string | null
  readonly parameterSize: string | null
  readonly quantization: string | null
  /** Where the server says that its weights lie, on its own machine; `null` for models without weights of their own. */
  readonly weightsFile: string | null
  /** Its own and those of its base. */
  readonly parameters: ShownParameters
  /** Keys of the GGUF, such as `llama.block_count`. The server leaves long lists out, as `null`. */
  readonly modelInfo: Readonly<Record<string, unknown>>
  /** Texts as they are: what is shown of them has to be made printable. */
  readonly system: string | null
  readonly messages: readonly ShownMessage[]
  /** All licences in one; the server puts a line end between them. */
  readonly license: string | null
  /** The oldest version of Ollama that can run it. */
  readonly requires: string | null
  /** The Modelfile that the server makes up, with the paths of its blobs. What stands in it is not always quoted. */
  readonly modelfile: string
}

/** The server tells neither images nor tool calls. */
export interface ShownMessage {
  readonly role: string
  readonly content: string
}

/** Whether blobs are there, whatever models they belong to. It keeps connections, since a plan asks about hundreds. */
export interface BlobLookup {
  has(digest: string, options?: CallOptions): Promise<boolean>
  close(): void
}

/**
 * A place that holds models. Every method throws an `OllamaConfigError`, or `signal.reason` untouched when aborted.
 */
export interface Backend {
  readonly kind: 'host'
  /** Redacted: fit for messages, plans and logs. */
  readonly address: string
  /** Lists what is installed, with the server's version. */
  readState(options?: CallOptions): Promise<ActualState>
  /** @throws {OllamaConfigError} `model-not-found` also when a blob of an installed model is gone */
  show(name: string, options?: CallOptions): Promise<ModelDetails>
  /** Ends normally only when the server said that the model is complete. Leaving the loop cancels the pull. */
  pull(reference: Reference, options: PullOptions): AsyncIterable<PullProgress>
  /** For asking about many blobs. To be closed. */
  openBlobs(): BlobLookup
  /** Gives an installed model a second name; what was there under that name is replaced. */
  copy(source: string, destination: string, options?: CallOptions): Promise<void>
  /** Deletes by the spelling that `readState` gave. */
  delete(name: string, options?: CallOptions): Promise<void>
}
