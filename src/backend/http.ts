/** An Ollama server as a backend. */

import { formatReference, type Reference } from '../artifact/reference.ts'
import { OllamaConfigError } from '../errors.ts'
import type { ActualState } from '../plan/state.ts'
import { anySignal } from '../runtime/abortable.ts'
import { readText } from '../runtime/body.ts'
import { createHttpClient, type HttpClient } from '../runtime/http.ts'
import type { Logger } from '../runtime/logger.ts'
import { sleep } from '../runtime/sleep.ts'
import type { Address } from './address.ts'
import { answerError, lateError, readFailed } from './answer-errors.ts'
import type {
  Backend,
  BlobLookup,
  CallOptions,
  CreateRequest,
  Hold,
  HoldOptions,
  ModelDetails,
  PullOptions,
  PullProgress,
  Upload,
} from './backend.ts'
import { uploadError } from './build-errors.ts'
import { type CallContext, callOf, fail, notOllamaHint, streamEnded, toHostError } from './errors.ts'
import type { ClientCall, Limits, OllamaClient } from './ollama-client.ts'
import { maxJsonBytes, readListing, readProgress, readVersion } from './responses.ts'
import { hideSecrets, secretsOf, withoutSecrets } from './secrets.ts'
import { readDetails } from './shown.ts'

/** How long a finished listing waits for the version, which only informs. */
const versionWaitMs = 1000

export interface HostBackendOptions {
  readonly address: Address
  /** Sent with every request; they win over what follows from the address. Secret. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** Told of every request and its outcome, without headers and bodies. */
  readonly logger?: Logger | undefined
  /** Keeps other processes of ours on this machine from changing the server meanwhile. Absolute; by default nothing does. */
  readonly mutexFile?: string | undefined
  /** Longest silence of the server in everything but pulls, builds and uploads, which have no limit. Default: 30 000. */
  readonly silenceMs?: number | undefined
  /** Longest time for everything but pulls, builds and uploads, which have no limit. Default: 120 000. */
  readonly totalMs?: number | undefined
}

/** Connects to nothing yet. */
export function createHostBackend(options: HostBackendOptions): Backend {
  const { address, mutexFile, silenceMs = 30_000, totalMs = 120_000 } = options
  const secrets = secretsOf(address.headers, options.headers)
  return new HostBackend((connections) => connectHost(options, connections), address, {
    limits: { silenceMs, totalMs },
    secrets,
    mutexFile,
  })
}

/**
 * The npm client for the same server, with the same headers, for programs that know what they want to ask. Its errors are those of a
 * backend, and hold no secrets. `silenceMs` and `totalMs` do not count.
 *
 * @returns makes clients; the signal of one ends all its calls
 */
export async function importHostClient(options: HostBackendOptions): Promise<(signal: AbortSignal) => OllamaClient> {
  const { address } = options
  const secrets = secretsOf(address.headers, options.headers)
  const place = placeOf(address)
  const http = connectHost(options)
  const contextOf = (method: string, path: string, model: string | undefined): CallContext => ({
    ...place,
    method,
    path,
    serverVersion: null,
    ...(model === undefined ? {} : { model }),
  })
  const { createHostClient } = await import('./ollama-client.ts')
  return (signal) =>
    createHostClient(http, {
      signal,
      contextOf,
      failureOf: (error, context) =>
        signal.aborted ? signal.reason : withoutSecrets(toHostError(error, context), secrets),
    })
}

/** @param connections As `HttpOptions.connections` */
export function connectHost({ address, headers, logger }: HostBackendOptions, connections?: number): HttpClient {
  return createHttpClient({
    url: address.url,
    socketPath: address.socketPath,
    headers: { ...address.headers, ...headers },
    connections,
    onExchange:
      logger === undefined ? undefined : (exchange) => logger.debug('request', { host: address.origin, ...exchange }),
  })
}

export function placeOf({ origin, loopback, socketPath }: Address): Place {
  return { origin, loopback, socket: socketPath !== undefined }
}

/** What an error tells of the server. */
type Place = Pick<CallContext, 'origin' | 'loopback' | 'socket'>

/** As `HttpOptions.connections`. */
type Connect = (connections?: number) => HttpClient

/** The host is near, and looks only whether a file is there. */
const blobConnections = 32

interface HostOptions extends Pick<HostBackendOptions, 'mutexFile'> {
  readonly limits: Limits
  readonly secrets: readonly string[]
}

class HostBackend implements Backend {
  readonly kind = 'host'
  /** The server pulls what the tag names. */
  readonly fetchesByDigest = false
  readonly address: string
  readonly #connect: Connect
  /** A connection for each request: nothing idle holds up the exit, and nothing stale is used again. */
  readonly #http: HttpClient
  readonly #limits: Limits
  readonly #secrets: readonly string[]
  readonly #mutexFile: string | undefined
  readonly #place: Place
  /** As last read; only for messages. */
  #serverVersion: string | null = null

  constructor(connect: Connect, address: Address, { limits, secrets, mutexFile }: HostOptions) {
    this.#mutexFile = mutexFile
    this.address = address.origin
    this.#connect = connect
    this.#http = connect()
    this.#limits = limits
    this.#secrets = secrets
    this.#place = placeOf(address)
  }

  async readState({ signal }: CallOptions = {}): Promise<ActualState> {
    // The npm client is not used here: its types lack the remote fields, and loading it is most of what a plan would cost.
    const done = new AbortController()
    const both = anySignal(signal, done.signal)
    const version = this.#readVersion(both)
    try {
      const listing = await this.#get('/api/tags', signal, readListing)
      const serverVersion = await Promise.race([version, sleep(versionWaitMs, done.signal).then(() => null)])
      signal?.throwIfAborted()
      return { serverVersion, ...listing }
    } finally {
      // Nobody waits any longer for the version.
      done.abort()
    }
  }

  /** From those of this user on this machine. */
  async hold(options: HoldOptions = {}): Promise<Hold> {
    options.signal?.throwIfAborted()
    if (this.#mutexFile === undefined) return { release: async () => {} }
    const { holdHost } = await import('./host-mutex.ts')
    return holdHost(this.#mutexFile, this.address, options)
  }

  async show(name: string, { signal }: CallOptions = {}): Promise<ModelDetails> {
    const context = this.#context('POST', '/api/show', name)
    const call = await this.#call(context, signal, this.#limits)
    try {
      return readDetails(await call.client.show({ model: name }), context)
    } catch (error) {
      throw this.#failure(error, signal, context)
    }
  }

  pull(reference: Reference, { insecure, signal }: PullOptions): AsyncGenerator<PullProgress, undefined> {
    const name = formatReference(reference)
    const context = this.#context('POST', '/api/pull', name, insecure)
    return this.#stream(context, signal, (client) => client.pull({ model: name, insecure, stream: true }))
  }

  async *create(
    name: string,
    request: CreateRequest,
    { signal }: CallOptions = {},
  ): AsyncGenerator<PullProgress, undefined> {
    const context = this.#context('POST', '/api/create', name)
    const { startCreate } = await import('./ollama-client.ts')
    for await (const line of this.#stream(context, signal, (client) => startCreate(client, name, request))) {
      // The server would fetch it unseen, and end the stream twice.
      if (request.from !== undefined && /^pulling /.test(line.status)) {
        throw new OllamaConfigError('stale-plan', `"${name}" was not built: its base "${request.from}" is gone`, {
          hint: 'plan again',
        })
      }
      yield line
    }
  }

  /** No limits: a large model takes hours, hashing a huge blob is a minute without a line, and so is a registry that retries. */
  async *#stream(
    context: CallContext,
    signal: AbortSignal | undefined,
    start: (client: ClientCall['client']) => Promise<AsyncIterable<object>>,
  ): AsyncGenerator<PullProgress, undefined> {
    const call = await this.#call(context, signal, {})
    let complete = false
    try {
      for await (const line of await start(call.client)) {
        const progress = readProgress(line, context)
        complete = progress.status === 'success'
        yield { ...progress, status: hideSecrets(progress.status, this.#secrets) }
        // Lines that had arrived before would still come out of the client.
        signal?.throwIfAborted()
      }
      // The client also takes `"done": true`, which these do not say, for the end.
      if (!complete) throw streamEnded(context)
    } catch (error) {
      throw this.#failure(error, signal, context, call.streamError)
    } finally {
      // Leaving the client's iterator leaves the connection open: the server would go on, and Node would not exit.
      call.close()
    }
  }

  async upload({ digest, sizeBytes, bytes }: Upload, { signal }: CallOptions = {}): Promise<void> {
    const path = `/api/blobs/${digest}`
    const context = this.#context('POST', path)
    try {
      // The server answers when it has hashed all of it, which may take minutes.
      const response = await this.#http.send({ method: 'POST', path, signal, body: { bytes, sizeBytes } })
      const answer = await readFailed(response)
      if (answer.status === 200 || answer.status === 201) return
      throw uploadError(answer, context) ?? answerError(answer, context)
    } catch (error) {
      throw this.#failure(error, signal, context)
    }
  }

  openBlobs(): BlobLookup {
    const http = this.#connect(blobConnections)
    return {
      has: ({ digest }, { signal } = {}) => this.#hasBlob(http, digest, signal),
      close: () => http.close(),
    }
  }

  async #hasBlob(http: HttpClient, digest: string, signal: AbortSignal | undefined): Promise<boolean> {
    const path = `/api/blobs/${digest}`
    const context = this.#context('HEAD', path)
    try {
      const response = await http.send({ method: 'HEAD', path, signal, ...this.#limits })
      // There is no body, but only one that was read gives its connection back.
      const answer = await readFailed(response)
      const { status } = answer
      // A server says nothing of a blob but the status: a page of a proxy must not count as a blob, or two pulls could fetch it at once.
      if (status === 200 && response.header('content-type') !== undefined)
        throw fail(
          'host-not-ollama',
          `${context.origin} answers ${callOf(context)} with a page`,
          notOllamaHint,
          context,
        )
      if (status === 200 || status === 404) return status === 200
      throw answerError(answer, context)
    } catch (error) {
      throw this.#failure(error, signal, context)
    }
  }

  async copy(source: string, destination: string, { signal }: CallOptions = {}): Promise<void> {
    const context = this.#context('POST', '/api/copy', source)
    const call = await this.#call(context, signal, this.#limits)
    try {
      await call.client.copy({ source, destination })
    } catch (error) {
      throw this.#failure(error, signal, context)
    }
  }

  async delete(name: string, { signal }: CallOptions = {}): Promise<void> {
    const context = this.#context('DELETE', '/api/delete', name)
    const call = await this.#call(context, signal, this.#limits)
    try {
      await call.client.delete({ model: name })
    } catch (error) {
      throw this.#failure(error, signal, context)
    }
  }

  /** The server's version only informs, so whatever goes wrong with it is left to the listing to tell. */
  async #readVersion(signal: AbortSignal): Promise<string | null> {
    try {
      const told = await this.#get('/api/version', signal, readVersion)
      const version = told === null ? null : hideSecrets(told, this.#secrets)
      this.#serverVersion = version
      return version
    } catch {
      return null
    }
  }

  async #get<T>(
    path: string,
    signal: AbortSignal | undefined,
    read: (text: string, context: CallContext) => T,
  ): Promise<T> {
    const context = this.#context('GET', path)
    try {
      const response = await this.#http.send({ path, signal, ...this.#limits })
      if (response.status === 200) return read(await readText(response, maxJsonBytes), context)
      throw answerError(await readFailed(response), context)
    } catch (error) {
      throw this.#failure(error, signal, context)
    }
  }

  async #call(context: CallContext, signal: AbortSignal | undefined, limits: Limits): Promise<ClientCall> {
    signal?.throwIfAborted()
    const { createClientCall } = await import('./ollama-client.ts')
    return createClientCall(this.#http, { context, signal, limits })
  }

  /** What to throw: the reason of an abort untouched, whatever the abort made fail on its way. */
  #failure(error: unknown, signal: AbortSignal | undefined, context: CallContext, streamError?: string): unknown {
    if (signal?.aborted) return signal.reason
    const failure = streamError === undefined ? toHostError(error, context) : lateError(streamError, context)
    return withoutSecrets(failure, this.#secrets)
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
