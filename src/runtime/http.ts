/**
 * HTTP over node:http(s). `fetch` is not used: it costs up to 100 ms of start-up, cuts a silent pull after 300 seconds, cannot
 * reach a unix socket, and Deno and Bun send even loopback requests of it to HTTP_PROXY.
 */
import type { Agent, ClientRequest, IncomingMessage, RequestOptions } from 'node:http'
import { withoutEnd } from '../artifact/text.ts'
import { hostOf, portOf } from './endpoint.ts'
import { hasCode, TransportError } from './transport-error.ts'

export interface HttpOptions {
  /** Scheme, host, port and path prefix, without trailing slash. */
  readonly url: string
  readonly socketPath?: string | undefined
  /** Sent with every request; they win over those of the request. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** Keeps connections for the next request, at most so many at once; more requests wait. Default: each request has its own. */
  readonly connections?: number | undefined
  /** URL of an http or https proxy to go through, with user info where it wants some. Default: none, whatever the environment says. */
  readonly proxy?: string | undefined
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
  readonly body?: string | ByteStream | undefined
  readonly signal?: AbortSignal | undefined
  /** Longest silence: until the headers, then between two pieces of the body. Default: unlimited. */
  readonly silenceMs?: number | undefined
  /** Longest time for all of it, until the last byte of the body. Default: unlimited. */
  readonly totalMs?: number | undefined
}

/** A body that is not held in memory. */
export interface ByteStream {
  readonly sizeBytes: number
  /** Read as fast as the server takes it; what it throws ends the request. */
  readonly bytes: AsyncIterable<Uint8Array>
}

export interface HttpResponse {
  readonly status: number
  /** The value of a header by its lower-case name; the values of a repeated one are joined. */
  header(name: string): string | undefined
  /** To be read once, here or with `consume`, or given up with `cancel`. Throws as `send` does. */
  readonly body: AsyncIterableIterator<Uint8Array>
  /**
   * Hands over the body in pieces, for gigabytes: an iterator costs a tenth of the time of a fast download. While `take` is busy no
   * more is read. Resolves at the end of the body, and after `cancel`; throws as `send` does, and what `take` throws.
   */
  consume(take: (chunk: Uint8Array) => Promise<void> | undefined): Promise<void>
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
  /** Closes connections that were kept. */
  close(): void
}

export function createHttpClient(options: HttpOptions): HttpClient {
  const base = new URL(options.url)
  const prefix = withoutEnd(base.pathname, '/')
  let kept: Promise<Agent> | undefined
  const agent = () => {
    if (options.connections === undefined) return createAgent(base, options)
    kept ??= createAgent(base, options)
    return kept
  }
  return {
    send: (request) => new Call(options, base, prefix + request.path, agent, request).start(),
    close: () => void kept?.then((open) => open.destroy()).catch(() => {}),
  }
}

/** Idle connections keep no process alive: Node unrefs them. */
async function createAgent(base: URL, { connections, proxy }: HttpOptions): Promise<Agent> {
  const kept = connections === undefined ? { keepAlive: false } : { keepAlive: true, maxSockets: connections }
  if (proxy !== undefined) {
    const { createProxyAgent } = await import('./proxy.ts')
    return createProxyAgent(base, proxy, kept)
  }
  // `import 'node:http'` evaluates every lazy export of it, WebSocket with all of undici among them: +36 ms on Node 22.
  const { Agent } = process.getBuiltinModule(base.protocol === 'https:' ? 'node:https' : 'node:http')
  // The empty `proxyEnv` keeps Deno from taking HTTP_PROXY even for loopback, which it does under NODE_USE_ENV_PROXY=1; Node does so
  // only for its global agent.
  const agentOptions = { ...kept, proxyEnv: {} }
  return new Agent(agentOptions)
}

/** `undefined` where no proxy reads the request: there is none, or it only passes a tunnel on. */
async function proxyHeaders(
  base: URL,
  proxy: string | undefined,
): Promise<Readonly<Record<string, string>> | undefined> {
  if (proxy === undefined || base.protocol === 'https:') return undefined
  return (await import('./proxy.ts')).proxyAuthorization(proxy)
}

/** Routers and load balancers forget what is idle for a minute or more. */
const keepAliveMs = 30_000

/** The reader has what it wants: no failure. */
const unwanted = new TransportError('cancelled', 'The rest of the answer was not wanted')

/** One request and its answer. */
class Call {
  readonly #options: HttpOptions
  readonly #base: URL
  readonly #path: string
  readonly #agent: () => Promise<Agent>
  readonly #request: HttpRequest
  readonly #startedMs = performance.now()
  #outgoing: ClientRequest | undefined
  /** Ends the wait for the headers. */
  #reject: ((reason: unknown) => void) | undefined
  #status: number | undefined
  #silence: ReturnType<typeof setTimeout> | undefined
  #total: ReturnType<typeof setTimeout> | undefined
  /** Why we ended it ourselves: what the socket then reports is only a consequence. */
  #end: { readonly reason: unknown } | undefined
  #finished = false

  constructor(options: HttpOptions, base: URL, path: string, agent: () => Promise<Agent>, request: HttpRequest) {
    this.#options = options
    this.#base = base
    this.#path = path
    this.#agent = agent
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
        consume: (take) => this.#consume(incoming, take),
        cancel: () => this.#giveUp(unwanted),
      }
    } catch (error) {
      throw this.#failed(error)
    }
  }

  async #exchangeHeaders(): Promise<IncomingMessage> {
    const { method = 'GET', headers, body } = this.#request
    const { socketPath } = this.#options
    const secure = this.#base.protocol === 'https:'
    const { request } = process.getBuiltinModule(secure ? 'node:https' : 'node:http')
    this.#watchTotal()
    const [agent, viaProxy] = await Promise.all([this.#agent(), proxyHeaders(this.#base, this.#options.proxy)])
    // Aborted, or out of time, meanwhile.
    if (this.#end !== undefined) throw this.#end.reason
    const requestOptions: RequestOptions = {
      protocol: this.#base.protocol,
      hostname: hostOf(this.#base),
      port: portOf(this.#base),
      // A proxy is told where to go; through a tunnel it does not see it.
      path: viaProxy === undefined ? this.#path : `${this.#base.origin}${this.#path}`,
      method,
      agent,
      headers: {
        ...lowerCased(headers),
        // Go reads a body of unknown length too, but proxies are known to drop one, above all of a DELETE.
        ...(body === undefined ? {} : { 'content-length': String(lengthOf(body)) }),
        ...lowerCased(this.#options.headers),
        ...viaProxy,
      },
      ...(socketPath === undefined ? {} : { socketPath }),
    }
    return new Promise((resolve, reject) => {
      this.#reject = reject
      const outgoing = request(requestOptions)
      this.#outgoing = outgoing
      // A server may be silent for as long as it hashes or waits: no router shall forget the connection, and one to a machine that is gone ends.
      outgoing.once('socket', (socket) => {
        const keepAlive = () => socket.setKeepAlive(true, keepAliveMs)
        // Before it is connected, a Windows that knows no such times would not connect at all.
        if (socket.connecting) socket.once('connect', keepAlive)
        else keepAlive()
      })
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
      this.#watchSilence()
      if (typeof body === 'object') this.#write(body, outgoing).catch((error: unknown) => this.#giveUp(error))
      else outgoing.end(body)
    })
  }

  /** An answer that comes before the end, such as a refusal, ends it too. */
  async #write({ bytes }: ByteStream, outgoing: ClientRequest): Promise<void> {
    for await (const chunk of bytes) {
      if (this.#end !== undefined || outgoing.destroyed || this.#status !== undefined) return
      if (outgoing.write(chunk)) continue
      await new Promise<void>((resolve) => {
        const settle = () => {
          outgoing.off('drain', settle).off('close', settle).off('response', settle)
          resolve()
        }
        outgoing.on('drain', settle).on('close', settle).on('response', settle)
      })
    }
    outgoing.end()
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

  async #consume(incoming: IncomingMessage, take: (chunk: Uint8Array) => Promise<void> | undefined): Promise<void> {
    try {
      this.#request.signal?.throwIfAborted()
      this.#watchSilence()
      await new Promise<void>((resolve, reject) => {
        this.#reject = reject
        const onChunk = (chunk: Uint8Array) => {
          const busy = take(chunk)
          if (busy === undefined) return this.#watchSilence()
          incoming.pause()
          // A reader that takes its time is no silence of the server.
          clearTimeout(this.#silence)
          busy.then(
            () => {
              incoming.resume()
              this.#watchSilence()
            },
            (error: unknown) => this.#giveUp(error),
          )
        }
        incoming.on('data', (chunk: Uint8Array) => {
          // What was under way when it was given up.
          if (this.#finished) return
          try {
            onChunk(chunk)
          } catch (error) {
            this.#giveUp(error)
          }
        })
        incoming.on('end', () =>
          incoming.complete
            ? resolve()
            : reject(new TransportError('interrupted', 'The connection was closed before the end of the answer')),
        )
        incoming.on('error', reject)
        incoming.on('close', () =>
          reject(new TransportError('interrupted', 'The connection was closed before the end of the answer')),
        )
      })
      this.#settle(undefined)
    } catch (error) {
      const reason = this.#failed(error)
      if (reason !== unwanted) throw reason
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
    // A request that still waits for its connection, such as a tunnel, is told nothing of its end.
    this.#reject?.(reason)
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
    // The answer came before all of the body was sent: the other side waits for the rest, and the socket would stay open.
    if (this.#outgoing?.writableFinished === false) this.#outgoing.destroy()
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

function lengthOf(body: string | ByteStream): number {
  return typeof body === 'string' ? new TextEncoder().encode(body).byteLength : body.sizeBytes
}

function asTransportError(error: unknown): TransportError {
  if (error instanceof TransportError) return error
  const message = error instanceof Error && error.message !== '' ? error.message : 'the connection failed'
  const code = hasCode(error) ? error.code : undefined
  return new TransportError('network', message, { cause: error, code })
}

function lowerCased(headers: Readonly<Record<string, string>> = {}): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
}

function joined(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(', ') : value
}
