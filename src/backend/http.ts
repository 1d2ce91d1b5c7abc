/** An Ollama server as a backend. */
import { formatReference, type Reference } from '../artifact/reference.ts'
import type { ActualState } from '../plan/state.ts'
import { readBeginning, readText } from '../runtime/body.ts'
import { createHttpClient, type HttpClient } from '../runtime/http.ts'
import type { Logger } from '../runtime/logger.ts'
import type { Address } from './address.ts'
import { answerError } from './answer-errors.ts'
import type { Backend, CallOptions, ModelDetails, PullOptions, PullProgress } from './backend.ts'
import { type CallContext, streamEnded, toHostError } from './errors.ts'
import type { ClientCall } from './ollama-client.ts'
import { pullError } from './pull-errors.ts'
import { maxErrorBytes, maxJsonBytes, readDetails, readListing, readProgress, readVersion } from './responses.ts'

export interface HostBackendOptions {
  readonly address: Address
  /** Sent with every request; they win over what follows from the address. Secret. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** Told of every request and its outcome, without headers and bodies. */
  readonly logger?: Logger | undefined
  /** Longest silence of the server in everything but a pull, which has no limit. Default: 30 000. */
  readonly silenceMs?: number | undefined
}

/** Connects to nothing yet. */
export function createHostBackend(options: HostBackendOptions): Backend {
  const { address, logger, silenceMs = 30_000 } = options
  const http = createHttpClient({
    url: address.url,
    socketPath: address.socketPath,
    headers: { ...address.headers, ...lowerCased(options.headers) },
    onExchange:
      logger === undefined ? undefined : (exchange) => logger.debug('request', { host: address.origin, ...exchange }),
  })
  return new HostBackend(http, address, silenceMs)
}

class HostBackend implements Backend {
  readonly kind = 'host'
  readonly address: string
  readonly #http: HttpClient
  readonly #silenceMs: number
  readonly #place: { readonly origin: string; readonly loopback: boolean; readonly socket: boolean }
  /** As last read; only for messages. */
  #serverVersion: string | null = null

  constructor(http: HttpClient, address: Address, silenceMs: number) {
    this.address = address.origin
    this.#http = http
    this.#silenceMs = silenceMs
    this.#place = { origin: address.origin, loopback: address.loopback, socket: address.socketPath !== undefined }
  }

  async readState({ signal }: CallOptions = {}): Promise<ActualState> {
    // The npm client is not used here: its types lack the remote fields, and loading it is most of what a plan would cost.
    const done = new AbortController()
    const both = signal === undefined ? done.signal : AbortSignal.any([signal, done.signal])
    const version = this.#readVersion(both)
    try {
      const context = this.#context('GET', '/api/tags')
      const listing = readListing(await this.#get(context, signal), context)
      const serverVersion = await version
      signal?.throwIfAborted()
      return { serverVersion, ...listing }
    } finally {
      // Nobody waits for the version of a server that cannot be listed.
      done.abort()
    }
  }

  async show(name: string, { signal }: CallOptions = {}): Promise<ModelDetails> {
    const context = this.#context('POST', '/api/show', name)
    const call = await this.#call(context, signal, this.#silenceMs)
    try {
      return readDetails(await call.client.show({ model: name }), context)
    } catch (error) {
      throw failure(error, signal, context)
    }
  }

  async *pull(reference: Reference, { insecure, signal }: PullOptions): AsyncGenerator<PullProgress, undefined> {
    const name = formatReference(reference)
    const context = this.#context('POST', '/api/pull', name, insecure)
    // No limit on silence: hashing a huge blob is a minute without a line, and so is a registry that retries.
    const call = await this.#call(context, signal, undefined)
    let complete = false
    try {
      for await (const line of await call.client.pull({ model: name, insecure, stream: true })) {
        const progress = readProgress(line, context)
        complete = progress.status === 'success'
        yield progress
        // Lines that had arrived before would still come out of the client.
        signal?.throwIfAborted()
      }
      // The client also takes `"done": true`, which a pull does not say, for the end.
      if (!complete) throw streamEnded(context)
    } catch (error) {
      throw failure(error, signal, context, call.streamError)
    } finally {
      // Leaving the client's iterator leaves the connection open: the server would go on pulling, and Node would not exit.
      call.close()
    }
  }

  async delete(name: string, { signal }: CallOptions = {}): Promise<void> {
    const context = this.#context('DELETE', '/api/delete', name)
    const call = await this.#call(context, signal, this.#silenceMs)
    try {
      await call.client.delete({ model: name })
    } catch (error) {
      throw failure(error, signal, context)
    }
  }

  /** The server's version only informs, so whatever goes wrong with it is left to the listing to tell. */
  async #readVersion(signal: AbortSignal): Promise<string | null> {
    try {
      const version = readVersion(await this.#get(this.#context('GET', '/api/version'), signal))
      this.#serverVersion = version
      return version
    } catch {
      return null
    }
  }

  async #get(context: CallContext, signal: AbortSignal | undefined): Promise<string> {
    try {
      const { method, path } = context
      const response = await this.#http.send({ method, path, signal, silenceMs: this.#silenceMs })
      if (response.status === 200) return await readText(response, maxJsonBytes)
      const { status } = response
      const body = await readBeginning(response, maxErrorBytes)
      throw answerError({ status, body, location: response.header('location') }, context)
    } catch (error) {
      throw failure(error, signal, context)
    }
  }

  async #call(
    context: CallContext,
    signal: AbortSignal | undefined,
    silenceMs: number | undefined,
  ): Promise<ClientCall> {
    signal?.throwIfAborted()
    const { createClientCall } = await import('./ollama-client.ts')
    return createClientCall(this.#http, { context, signal, silenceMs })
  }

  #context(method: string, path: string, model?: string, insecure?: boolean): CallContext {
    return {
      ...this.#place,
      method,
      path,
      serverVersion: this.#serverVersion,
      ...(model === undefined ? {} : { model }),
      ...(insecure === undefined ? {} : { insecure }),
    }
  }
}

/** What to throw: the reason of an abort untouched, whatever the abort made fail on its way. */
function failure(error: unknown, signal: AbortSignal | undefined, context: CallContext, streamError?: string): unknown {
  if (signal?.aborted) return signal.reason
  return streamError === undefined ? toHostError(error, context) : pullError(streamError, context)
}

function lowerCased(headers: Readonly<Record<string, string>> = {}): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
}
