/** GET requests to any origin: kept connections, proxies, redirects, and a limit to how many are under way at once. */
import { readBeginning } from '../runtime/body.ts'
import { portOf } from '../runtime/endpoint.ts'
import { createHttpClient, type Exchange, type HttpClient, type HttpResponse } from '../runtime/http.ts'
import type { Logger } from '../runtime/logger.ts'
import { proxyName, refusalOf, routeTo } from '../runtime/proxy.ts'
import { isReset, TransportError } from '../runtime/transport-error.ts'
import { WaitingLine } from './line.ts'

const mostAtOnce = 8
/** One registry that does not answer must not keep the others from being asked. */
const mostAtOneOrigin = 6
const maxRedirects = 5
const maxIgnoredBytes = 4 * 1024

export interface ConnectionsOptions {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly logger?: Logger | undefined
  /** Longest time for one request with its answer. Default: unlimited. */
  readonly timeoutMs?: number | undefined
  /** Longest silence of the other side. Default: unlimited. */
  readonly silenceMs?: number | undefined
  /** Default: at most eight requests are under way at once. Set: who asks keeps count. */
  readonly unlimited?: boolean | undefined
  /** Takes secrets out of what is logged: a redirect may repeat them. */
  readonly hide: (text: string) => string
}

type Headers = Readonly<Record<string, string>>

export interface Answer {
  readonly response: HttpResponse
  /** Where redirects led. */
  readonly url: URL
}

export class Connections {
  readonly #options: ConnectionsOptions
  readonly #clients = new Map<string, HttpClient>()
  readonly #line = new WaitingLine()
  readonly #byOrigin = new Map<string, number>()
  #running = 0

  constructor(options: ConnectionsOptions) {
    this.#options = options
  }

  /**
   * Follows redirects. The `authorization` header goes to the first host only.
   *
   * @throws {TransportError} also for redirects that lead nowhere
   */
  async get(url: URL, headers: Headers, signal: AbortSignal | undefined): Promise<Answer> {
    const { origin } = url
    await this.#turn(origin, signal)
    let free = () => {
      free = () => {}
      this.#free(origin)
    }
    try {
      let target = url
      let sent = headers
      for (let count = 0; ; count++) {
        const response = await this.#send(target, sent, signal)
        const location = isRedirect(response.status) ? response.header('location') : undefined
        if (location === undefined) return { response: whenRead(response, () => free()), url: target }
        // Read, so that the connection can be used again.
        await readBeginning(response, maxIgnoredBytes)
        if (count === maxRedirects) throw new TransportError('redirect', `it redirects more than ${maxRedirects} times`)
        const next = redirectTarget(location, target)
        if (hostAndPort(next) !== hostAndPort(target)) sent = withoutAuthorization(sent)
        target = next
      }
    } catch (error) {
      free()
      throw error
    }
  }

  close(): void {
    for (const client of this.#clients.values()) client.close()
  }

  async #send(url: URL, headers: Headers, signal: AbortSignal | undefined): Promise<HttpResponse> {
    const { timeoutMs, silenceMs } = this.#options
    const { proxy, variable } = routeTo(url, this.#options.env)
    const unusable = (cause: TransportError) =>
      new TransportError(
        cause.problem === 'proxy-refused' ? 'proxy-refused' : 'proxy',
        `the proxy ${proxyName(proxy ?? '')} (${variable}) cannot be used: ${cause.message}`,
        { cause, code: cause.code },
      )
    try {
      const response = await this.#client(url.origin, proxy).send({
        path: `${url.pathname}${url.search}`,
        headers,
        signal,
        totalMs: timeoutMs,
        silenceMs,
      })
      if (proxy === undefined || response.status !== 407) return response
      response.cancel()
    } catch (error) {
      if (proxy === undefined || !(error instanceof TransportError)) throw error
      // In a tunnel only its making concerns the proxy; the rest is between us and the registry.
      const isOfProxy =
        /^proxy/.test(error.problem) || (url.protocol === 'http:' && error.problem === 'network' && !isReset(error))
      throw isOfProxy ? unusable(error) : error
    }
    throw unusable(refusalOf(407))
  }

  #client(origin: string, proxy: string | undefined): HttpClient {
    const known = this.#clients.get(origin)
    if (known !== undefined) return known
    const { logger, hide, unlimited = false } = this.#options
    const onExchange =
      logger === undefined
        ? undefined
        : (exchange: Exchange) =>
            logger.debug('request', { host: hide(origin), ...exchange, path: hide(exchange.path) })
    const client = createHttpClient({
      url: origin,
      connections: unlimited ? Number.POSITIVE_INFINITY : mostAtOnce,
      proxy,
      onExchange,
    })
    this.#clients.set(origin, client)
    return client
  }

  /** Waits for a place; in order, but for origins that have as many as one may. */
  async #turn(origin: string, signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted()
    if (this.#hasPlace(origin)) {
      this.#take(origin, 1)
      return
    }
    await this.#line.wait(origin, signal)
  }

  #hasPlace(origin: string): boolean {
    if (this.#options.unlimited) return true
    return this.#running < mostAtOnce && (this.#byOrigin.get(origin) ?? 0) < mostAtOneOrigin
  }

  #take(origin: string, count: 1 | -1): void {
    this.#running += count
    this.#byOrigin.set(origin, (this.#byOrigin.get(origin) ?? 0) + count)
  }

  #free(origin: string): void {
    this.#take(origin, -1)
    const next = this.#line.next((waiting) => this.#hasPlace(waiting))
    if (next !== undefined) this.#take(next, 1)
  }
}

function hostAndPort(url: URL): string {
  return `${url.hostname}:${portOf(url)}`
}

function isRedirect(status: number): boolean {
  return [301, 302, 303, 307, 308].includes(status)
}

function redirectTarget(location: string, from: URL): URL {
  let target: URL | undefined
  try {
    target = new URL(location, from)
  } catch {
    // Told below.
  }
  if (target === undefined || !/^https?:$/.test(target.protocol) || target.username !== '' || target.password !== '') {
    throw new TransportError('redirect', 'it redirects to what is no address')
  }
  if (from.protocol === 'https:' && target.protocol === 'http:')
    throw new TransportError('redirect', 'it redirects from https to http')
  return target
}

function withoutAuthorization({
  authorization: _,
  ...headers
}: Headers & { readonly authorization?: string }): Headers {
  return headers
}

/** The answer counts as under way until it has been read or given up. */
function whenRead(response: HttpResponse, done: () => void): HttpResponse {
  return {
    ...response,
    status: response.status,
    header: (name) => response.header(name),
    body: (async function* () {
      try {
        yield* response.body
      } finally {
        done()
      }
    })(),
    consume: (take) => response.consume(take).finally(done),
    cancel: () => {
      response.cancel()
      done()
    },
  }
}
