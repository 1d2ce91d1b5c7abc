/**
 * A strict, scriptable Ollama server on loopback that behaves as the recorded one (test/fixtures/transcripts). It imports
 * nothing from `src/`. What it does not copy: models from safetensors, pushing, inference, the order of equal `modified_at`.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { ManifestLayer } from './ollama-server/content.ts'
import { assemble, type DeriveFields, startFrom } from './ollama-server/derive.ts'
import { AnswerOver, Exchange, type Mutable } from './ollama-server/exchange.ts'
import { Faults, matchesRequest } from './ollama-server/faults.ts'
import { mustRead } from './ollama-server/names.ts'
import type {
  Fault,
  OllamaServerOptions,
  RegistryModel,
  RequestMatch,
  ServerModel,
  ServerRequest,
} from './ollama-server/options.ts'
import { Pulls } from './ollama-server/pulls.ts'
import { type RouteContext, route, type Upload } from './ollama-server/routes.ts'
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
export type { Upload } from './ollama-server/routes.ts'

export interface StoredModel {
  readonly manifest: string
  /** As listed. */
  readonly digest: string
  readonly config: StoredLayer | undefined
  readonly layers: readonly StoredLayer[]
}

export interface StoredLayer extends ManifestLayer {
  /** Undefined where only the size is known, or where the store has lost it. */
  readonly bytes: Uint8Array | undefined
}

export interface OllamaServer {
  /** `http://127.0.0.1:PORT` with the base path; for a socket path, `http://localhost`. */
  readonly url: string
  /** In order of arrival. */
  readonly requests: readonly ServerRequest[]
  /** What our client must never do, in words: tests assert that it is empty. */
  readonly problems: readonly string[]
  /** What clients uploaded and the server kept, in order; not what was there already. */
  readonly uploads: readonly Upload[]
  /** Names as listed, sorted. */
  installed(): string[]
  /** What the listing says now: name to digest. */
  digests(): Record<string, string>
  /** True when the blob is in the store, whole. */
  hasBlob(digest: string): boolean
  /** What is stored of a model. */
  stored(name: string): StoredModel
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
  readonly stats: {
    readonly pullsAtOnce: number
    readonly requestsAtOnce: number
    readonly connectionsAtOnce: number
    openConnections(): number
  }
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
    loaded: [...(options.loaded ?? [])],
    runner: options.runner ?? false,
    quantizer: options.quantizer ?? 'copy',
    noPrune: options.noPrune ?? false,
    uploads: [],
  }

  let atOnce = 0
  let mostAtOnce = 0
  const waiting = new Set<() => void>()
  const notify = () => {
    for (const check of [...waiting]) check()
  }

  /** `bytes` is undefined for an upload, whose body is still to come. */
  async function answer(exchange: Exchange, bytes: Uint8Array | undefined): Promise<void> {
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
    if (bytes === undefined) await exchange.receive()
    await route(exchange, context, bytes ?? new Uint8Array())
  }

  function pathOf(target: string): string {
    return (target.startsWith('/') ? target : target.replace(/^[a-z]+:\/\/[^/]*/i, '')).replace(/\?.*$/, '')
  }

  function insideOf(incoming: IncomingMessage): string {
    const path = pathOf(incoming.url ?? '/')
    return basePath !== '' && path.startsWith(basePath) ? path.slice(basePath.length) || '/' : path
  }

  function record(incoming: IncomingMessage, bytes: Uint8Array): Mutable<ServerRequest> {
    const target = incoming.url ?? '/'
    const inside = insideOf(incoming)
    const request = {
      method: incoming.method ?? 'GET',
      path: inside,
      target,
      headers: { ...incoming.headers },
      body: readBody(bytes, inside),
      bodyBytes: bytes.length,
      unknownKeys: [],
      status: 0,
      aborted: false,
      finished: false,
    }
    requests.push(request)
    return request
  }

  function serve(incoming: IncomingMessage, response: ServerResponse, bytes: Uint8Array | undefined): void {
    const exchange = new Exchange(incoming, response, record(incoming, bytes ?? new Uint8Array()), faults)
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
  }

  const sockets = new Set<Socket>()
  let mostSockets = 0
  // Go takes a request without a Host header; Node's own refusal would hide that.
  const server = createServer({ requireHostHeader: false }, (incoming, response) => {
    incoming.on('error', () => {})
    if (incoming.method === 'POST' && insideOf(incoming).startsWith('/api/blobs/')) {
      serve(incoming, response, undefined)
      return
    }
    const chunks: Uint8Array[] = []
    incoming.on('data', (chunk: Uint8Array) => chunks.push(chunk))
    incoming.on('end', () => serve(incoming, response, Buffer.concat(chunks)))
  })
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    mostSockets = Math.max(mostSockets, sockets.size)
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
    uploads: context.uploads,
    stored: (name) => {
      const found = store.get(mustRead(name))
      if (found === undefined) throw new Error(`test server: ${name} is not installed`)
      const { manifest, digest, layers, config } = found.content
      const withBytes = (layer: ManifestLayer) => ({ ...layer, bytes: store.blobs.get(layer.digest)?.bytes })
      return { manifest, digest, config: config && withBytes(config), layers: layers.map(withBytes) }
    },
    partialBytes: () => pulls.partialBytes(),
    install: (model) => store.install(model),
    derive: (name, from, fields = {}) => {
      const base = store.get(mustRead(from))
      if (base === undefined) throw new Error(`test server: ${from} is not installed`)
      const { content, extras } = assemble(startFrom(base, store), fields, store)
      store.write(mustRead(name), content, extras)
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
      get connectionsAtOnce() {
        return mostSockets
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
