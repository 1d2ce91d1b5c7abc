/**
 * A strict, scriptable Ollama server on loopback that behaves as the recorded one (test/fixtures/transcripts). It imports
 * nothing from `src/`. What it does not copy: models from files, pushing, inference, the order of equal `modified_at`.
 */
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { type DeriveFields, derive } from './ollama-server/derive.ts'
import { AnswerOver, Exchange, type Mutable } from './ollama-server/exchange.ts'
import { Faults, matchesRequest } from './ollama-server/faults.ts'
import { mustRead, showName } from './ollama-server/names.ts'
import type {
  Fault,
  OllamaServerOptions,
  RegistryModel,
  RequestMatch,
  ServerModel,
  ServerRequest,
} from './ollama-server/options.ts'
import { Pulls } from './ollama-server/pulls.ts'
import { type RouteContext, route } from './ollama-server/routes.ts'
import { Store } from './ollama-server/store.ts'

export { describeModel } from './ollama-server/content.ts'
export type { DeriveFields } from './ollama-server/derive.ts'
export type {
  Fault,
  ListingDefect,
  OllamaServerOptions,
  RegistryError,
  RegistryModel,
  RequestMatch,
  ServerLayer,
  ServerModel,
  ServerRequest,
} from './ollama-server/options.ts'

export interface OllamaServer {
  /** `http://127.0.0.1:PORT` with the base path; for a socket path, `http://localhost`. */
  readonly url: string
  /** In order of arrival. */
  readonly requests: readonly ServerRequest[]
  /** What our client must never do, in words: tests assert that it is empty. */
  readonly problems: readonly string[]
  /** Names as listed, sorted. */
  installed(): string[]
  /** What the listing says now: name to digest. */
  digests(): Record<string, string>
  /** True when the blob is in the store, whole. */
  hasBlob(digest: string): boolean
  /** Bytes of unfinished downloads, by digest. */
  partialBytes(): Record<string, number>
  install(model: string | ServerModel): void
  /** Builds a model from an installed one, byte for byte as `POST /api/create` does. */
  derive(name: string, from: string, fields?: DeriveFields): void
  /** Loses a layer of the store; the models that name it stay listed. */
  loseBlob(digest: string): void
  /** As another person would: no request, and no problem even during a pull. */
  remove(name: string): void
  /** Adds a model to the registry, or moves its tag to other content. */
  publish(model: string | RegistryModel): void
  unpublish(name: string): void
  /** Faults of earlier calls come first; each applies to `times` requests, by default to all. */
  fail(match: RequestMatch, fault: Fault, times?: number): void
  /** Forgets every fault that is still to come. */
  heal(): void
  /** The first request that matches, whether it has arrived already or not. */
  waitForRequest(match: RequestMatch): Promise<ServerRequest>
  /** Lets everything go on that a fault `hold` stopped. */
  release(): void
  readonly stats: { readonly pullsAtOnce: number; readonly requestsAtOnce: number; openConnections(): number }
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

export async function startOllamaServer(options: OllamaServerOptions = {}): Promise<OllamaServer> {
  const basePath = options.basePath?.replace(/\/+$/, '') ?? ''
  const requests: Mutable<ServerRequest>[] = []
  const problems: string[] = []
  const faults = new Faults(matchesRequest)
  const store = new Store()
  for (const model of options.models ?? []) store.install(model)
  const version = options.version ?? '0.33.0'
  const pulls = new Pulls(store, problems, { ...options, version })
  for (const model of options.registry ?? []) pulls.publish(model)
  const context: RouteContext = {
    version,
    store,
    pulls,
    problems,
    loaded: options.loaded ?? [],
  }

  let atOnce = 0
  let mostAtOnce = 0
  const waiting = new Set<() => void>()
  const notify = () => {
    for (const check of [...waiting]) check()
  }

  async function answer(exchange: Exchange, bytes: Uint8Array): Promise<void> {
    const { request } = exchange
    notify()
    if (options.latencyMs !== undefined) await delay(options.latencyMs)
    if (/^[a-z]+:\/\/[^/]*@/i.test(request.target)) problems.push(`credentials in the request line: ${request.method}`)
    if (await exchange.meet(faults.take(request))) return
    const missing = Object.entries(options.requireHeaders ?? {}).find(
      ([name, value]) => request.headers[name.toLowerCase()] !== value,
    )
    if (missing !== undefined) return exchange.text(401, 'Unauthorized\n', 'text/plain; charset=utf-8')
    if (basePath !== '' && !pathOf(request.target).startsWith(`${basePath}/`) && pathOf(request.target) !== basePath) {
      return exchange.text(404, 'Not Found\n', 'text/plain; charset=utf-8')
    }
    await route(exchange, context, bytes)
  }

  function pathOf(target: string): string {
    return (target.startsWith('/') ? target : target.replace(/^[a-z]+:\/\/[^/]*/i, '')).replace(/\?.*$/, '')
  }

  function record(incoming: IncomingMessage, bytes: Uint8Array): Mutable<ServerRequest> {
    const target = incoming.url ?? '/'
    const path = pathOf(target)
    const inside = basePath !== '' && path.startsWith(basePath) ? path.slice(basePath.length) || '/' : path
    const request = {
      method: incoming.method ?? 'GET',
      path: inside,
      target,
      headers: { ...incoming.headers },
      body: readBody(bytes, inside),
      unknownKeys: [],
      status: 0,
      aborted: false,
      finished: false,
    }
    requests.push(request)
    return request
  }

  const sockets = new Set<Socket>()
  // Go takes a request without a Host header; Node's own refusal would hide that.
  const server = createServer({ requireHostHeader: false }, (incoming, response) => {
    const chunks: Uint8Array[] = []
    incoming.on('data', (chunk: Uint8Array) => chunks.push(chunk))
    incoming.on('error', () => {})
    incoming.on('end', () => {
      const bytes = Buffer.concat(chunks)
      const exchange = new Exchange(incoming, response, record(incoming, bytes), faults)
      mostAtOnce = Math.max(mostAtOnce, ++atOnce)
      response.on('close', () => {
        atOnce--
        notify()
      })
      answer(exchange, bytes)
        .catch((error: unknown) => {
          if (error instanceof AnswerOver) return
          problems.push(`the test server failed: ${error instanceof Error ? error.stack : String(error)}`)
          response.destroy()
        })
        .finally(notify)
    })
  })
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => {})
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    if (options.socketPath === undefined) server.listen(0, '127.0.0.1', () => resolve())
    else server.listen(options.socketPath, () => resolve())
  })

  const close = async () => {
    faults.release()
    if (!server.listening) return
    await new Promise<void>((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
      for (const socket of sockets) socket.destroy()
    })
  }
  const address = server.address() as AddressInfo | string | null
  const origin = typeof address === 'object' ? `http://127.0.0.1:${address?.port}` : 'http://localhost'
  return {
    url: `${origin}${basePath}`,
    requests,
    problems,
    installed: () =>
      store
        .list()
        .map((entry) => entry.name)
        .sort(),
    digests: () => Object.fromEntries(store.list().map((entry) => [entry.name, entry.digest])),
    hasBlob: (digest) => store.blobs.has(digest),
    partialBytes: () => pulls.partialBytes(),
    install: (model) => store.install(model),
    derive: (name, from, fields = {}) => {
      const base = store.get(mustRead(from))
      if (base === undefined) throw new Error(`test server: ${from} is not installed`)
      store.writeDerived(mustRead(name), derive(base.content, showName(base.name), fields), base)
    },
    loseBlob: (digest) => void store.blobs.delete(digest),
    remove: (name) => void store.remove(mustRead(name)),
    publish: (model) => pulls.publish(model),
    unpublish: (name) => pulls.unpublish(name),
    fail: (match, fault, times = Number.POSITIVE_INFINITY) => faults.add(match, fault, times),
    heal: () => faults.clear(),
    waitForRequest: (match) =>
      new Promise((resolve) => {
        const check = () => {
          const found = requests.find((request) => matchesRequest(request, match))
          if (found === undefined) return
          waiting.delete(check)
          resolve(found)
        }
        waiting.add(check)
        check()
      }),
    release: () => faults.release(),
    stats: {
      get pullsAtOnce() {
        return pulls.mostAtOnce
      },
      get requestsAtOnce() {
        return mostAtOnce
      },
      openConnections: () => sockets.size,
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}

function readBody(bytes: Uint8Array, path: string): unknown {
  if (bytes.length === 0) return undefined
  if (path.startsWith('/api/blobs/')) return bytes
  const text = new TextDecoder().decode(bytes)
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
