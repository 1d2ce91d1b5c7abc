/**
 * HTTP over node:http(s). `fetch` is not used: it costs up to 100 ms of start-up, cuts a silent pull after 300 seconds, cannot
 * reach a unix socket, and Deno and Bun send even loopback requests of it to HTTP_PROXY.
 */
import type { ClientRequest, IncomingMessage, RequestOptions } from 'node:http'
import { hasCode, TransportError } from './transport-error.ts'

export interface HttpOptions {
  /** Scheme, host, port and path prefix, without trailing slash. */
  readonly url: string
  readonly socketPath?: string | undefined
  /** Sent with every request; they win over those of the request. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** Called once for every request, when its answer has been read, has failed or is no longer wanted. What it throws is dropped. */
  readonly onExchange?: ((exchange: Exchange) => void) | undefined
}

/** What a log may know of a request: no header, no body, no query. */
export interface Exchange {
  readonly method: string
  /** With the prefix of the base. */
  readonly path: string
  /** Absent when no answer came. */
  readonly status?: number
  readonly durationMs: number
  /** Absent when the answer was read as far as it was wanted. */
  readonly error?: string
}

export interface HttpRequest {
  /** Default: `GET`. */
  readonly method?: string | undefined
  /** Below the base, with a leading slash. */
  readonly path: string
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly body?: string | undefined
  readonly signal?: AbortSignal | undefined
  /** Longest silence: until the headers, then between two pieces of the body. Default: unlimited. */
  readonly silenceMs?: number | undefined
  /** Longest time for all of it, until the last byte of the body. Default: unlimited. */
  readonly totalMs?: number | undefined
}

export interface HttpResponse {
  readonly status: number
  /** The value of a header by its lower-case name; the values of a repeated one are joined. */
  header(name: string): string | undefined
  /** To be read once, or given up with `cancel`. Throws as `send` does. */
  readonly body: AsyncIterableIterator<Uint8Array>
  /** Closes the connection; without effect when the body has been read. */
  cancel(): void
}

export interface HttpClient {
  /**
   * Resolves when the headers are there, whatever the status. Redirects are not followed.
   *
   * @throws {TransportError} no answer, or only a part of it
   * @throws `signal.reason` as soon as the signal is up, also while the body is read
   */
  send(request: HttpRequest): Promise<HttpResponse>
}

export function createHttpClient(options: HttpOptions): HttpClient {
  const base = new URL(options.url)
  const prefix = base.pathname.replace(/\/+$/, '')
  return { send: (request) => new Call(options, base, prefix + request.path, request).start() }
}

/** The reader has what it wants: no failure. */
const unwanted = new TransportError('cancelled', 'The rest of the answer was not wanted')

/** One request and its answer. */
class Call {
  readonly #options: HttpOptions
  readonly #base: URL
  readonly #path: string
  readonly #request: HttpRequest
  readonly #startedMs = performance.now()
  #outgoing: ClientRequest | undefined
  #status: number | undefined
  #silence: ReturnType<typeof setTimeout> | undefined
  #total: ReturnType<typeof setTimeout> | undefined
  /** Why we ended it ourselves: what the socket then reports is only a consequence. */
  #end: { readonly reason: unknown } | undefined
  #finished = false

  constructor(options: HttpOptions, base: URL, path: string, request: HttpRequest) {
    this.#options = options
    this.#base = base
    this.#path = path
    this.#request = request
  }

  async start(): Promise<HttpResponse> {
    const { signal } = this.#request
    signal?.throwIfAborted()
    signal?.addEventListener('abort', this.#onAbort, { once: true })
    try {
      const incoming = await this.#exchangeHeaders()
      return {
        status: incoming.statusCode ?? 0,
        header: (name) => joined(incoming.headers[name]),
        body: this.#read(incoming),
        cancel: () => this.#giveUp(unwanted),
      }
    } catch (error) {
      throw this.#failed(error)
    }
  }

  #exchangeHeaders(): Promise<IncomingMessage> {
    const { method = 'GET', headers, body } = this.#request
    const { socketPath } = this.#options
    const secure = this.#base.protocol === 'https:'
    // `import 'node:http'` evaluates every lazy export of it, WebSocket with all of undici among them: +36 ms on Node 22.
    const { request, Agent } = process.getBuiltinModule(secure ? 'node:https' : 'node:http')
    // No connection outlives its request: nothing idle holds up the exit, and nothing stale is used again. The empty `proxyEnv` keeps Deno from taking
    // HTTP_PROXY even for loopback, which it does under NODE_USE_ENV_PROXY=1; Node does so only for its global agent.
    const agentOptions = { keepAlive: false, proxyEnv: {} }
    const requestOptions: RequestOptions = {
      protocol: this.#base.protocol,
      hostname: this.#base.hostname.replace(/^\[|\]$/g, ''),
      port: this.#base.port === '' ? (secure ? 443 : 80) : this.#base.port,
      path: this.#path,
      method,
      agent: new Agent(agentOptions),
      headers: {
        ...lowerCased(headers),
        // Go reads a body of unknown length too, but proxies are known to drop one, above all of a DELETE.
        ...(body === undefined ? {} : { 'content-length': String(new TextEncoder().encode(body).byteLength) }),
        ...lowerCased(this.#options.headers),
      },
      ...(socketPath === undefined ? {} : { socketPath }),
    }
    return new Promise((resolve, reject) => {
      const outgoing = request(requestOptions)
      this.#outgoing = outgoing
      outgoing.on('error', reject)
      outgoing.on('response', (incoming) => {
        this.#status = incoming.statusCode
        // It may break before anyone reads it; the reader then finds it broken.
        incoming.on('error', () => {})
        resolve(incoming)
      })
      // An upgrade that nobody asked for is no response, and no error either.
      outgoing.on('close', () =>
        reject(new TransportError('interrupted', 'The connection was closed without an answer')),
      )
      this.#watchTotal()
      this.#watchSilence()
      outgoing.end(body)
    })
  }

  async *#read(incoming: IncomingMessage): AsyncGenerator<Uint8Array, undefined> {
    try {
      this.#request.signal?.throwIfAborted()
      this.#watchSilence()
      for await (const chunk of incoming) {
        // A reader that takes its time is no silence of the server.
        clearTimeout(this.#silence)
        yield chunk
        this.#watchSilence()
      }
      this.#settle(undefined)
    } catch (error) {
      throw this.#failed(error)
    } finally {
      if (!this.#finished) this.#giveUp(unwanted)
    }
  }

  readonly #onAbort = (): void => this.#giveUp(this.#request.signal?.reason)

  #watchSilence(): void {
    const { silenceMs } = this.#request
    // Also called when the reader comes back after the end: a timer would then only hold up the exit.
    if (silenceMs === undefined || this.#finished) return
    clearTimeout(this.#silence)
    this.#silence = setTimeout(
      () => this.#giveUp(new TransportError('timeout', `silent for ${silenceMs} ms`)),
      silenceMs,
    )
  }

  /** A server that drips is never silent. */
  #watchTotal(): void {
    const { totalMs } = this.#request
    if (totalMs === undefined) return
    this.#total = setTimeout(
      () => this.#giveUp(new TransportError('timeout', `not complete after ${totalMs} ms`)),
      totalMs,
    )
  }

  #giveUp(reason: unknown): void {
    if (this.#finished) return
    this.#end = { reason }
    // Given to the request, not to the answer: it is the one that exists in every phase, and it owns the socket.
    this.#outgoing?.destroy()
    this.#settle(reason === unwanted ? undefined : reason)
  }

  #failed(error: unknown): unknown {
    const reason = this.#end === undefined ? asTransportError(error) : this.#end.reason
    this.#outgoing?.destroy()
    this.#settle(reason)
    return reason
  }

  #settle(error: unknown): void {
    if (this.#finished) return
    this.#finished = true
    clearTimeout(this.#silence)
    clearTimeout(this.#total)
    this.#request.signal?.removeEventListener('abort', this.#onAbort)
    const exchange = {
      method: this.#request.method ?? 'GET',
      path: this.#path.replace(/\?.*$/s, ''),
      ...(this.#status === undefined ? {} : { status: this.#status }),
      durationMs: Math.round(performance.now() - this.#startedMs),
      ...(error === undefined ? {} : { error: error instanceof Error ? error.message : String(error) }),
    }
    try {
      this.#options.onExchange?.(exchange)
    } catch {
      // Who listens, such as a log on a full disk, is no part of the request; thrown from a timer it would end the process.
    }
  }
}

function asTransportError(error: unknown): TransportError {
  if (error instanceof TransportError) return error
  const message = error instanceof Error && error.message !== '' ? error.message : 'the connection failed'
  const code = hasCode(error) ? error.code : undefined
  return new TransportError('network', message, { cause: error, ...(code === undefined ? {} : { code }) })
}

function lowerCased(headers: Readonly<Record<string, string>> = {}): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
}

function joined(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(', ') : value
}
