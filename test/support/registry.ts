/**
 * A strict, scriptable model registry on loopback: what `ollama pull` talks to, and what our own checks for newer models
 * talk to. Blobs come from a second host name on the same port, as from the storage behind a real registry. It imports
 * nothing from `src/`.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { Mutable } from './ollama-server/exchange.ts'
import { Faults } from './ollama-server/faults.ts'
import { Answer, type RegistryFaults } from './registry/answer.ts'
import type { RegistryFault, RegistryMatch, RegistryOptions, RegistryRequest, ServedModel } from './registry/options.ts'
import { type RouteContext, readPath, route } from './registry/routes.ts'
import { keyOf, type PublishedContent, Shelf } from './registry/shelf.ts'
import { Tokens } from './registry/tokens.ts'
import { watch } from './registry/watch.ts'

export { filledLayer } from './registry/blob-bytes.ts'
export type {
  Access,
  Fill,
  RegistryFault,
  RegistryMatch,
  RegistryOptions,
  RegistryRequest,
  RequestKind,
  ServedModel,
} from './registry/options.ts'
export type { PublishedContent } from './registry/shelf.ts'
export { makeOllamaKey, type OllamaKey } from './registry/ssh-key.ts'

export interface TestRegistry {
  /** `http://127.0.0.1:PORT`. */
  readonly url: string
  /** `127.0.0.1:PORT`, for model names such as `127.0.0.1:PORT/library/small`. */
  readonly host: string
  /** In order of arrival. */
  readonly requests: readonly RegistryRequest[]
  /** What a client must never do, in words: tests assert that it is empty. */
  readonly problems: readonly string[]
  /** Most requests under way at the same time. */
  readonly mostAtOnce: number
  /** Most connections open at the same time, idle ones too. */
  readonly connectionsAtOnce: number
  /** Adds a model, or moves its tag to other content; the host part of the name does not count. */
  publish(model: string | ServedModel): void
  /** Takes the tag away; its manifest can still be had by digest. */
  unpublish(name: string): void
  /** From now on this manifest cannot be had by its `sha256:` digest. */
  forget(digest: string): void
  /** From now on this blob is nowhere. */
  loseBlob(digest: string): void
  /** What is published under this name. */
  content(name: string): PublishedContent
  /** From now on this key, as in `id_ed25519.pub`, gets tokens. */
  authorize(publicKey: string): void
  /** Faults of earlier calls come first; each applies to `times` requests, by default to all. */
  fail(match: RegistryMatch, fault: RegistryFault, times?: number): void
  /** Forgets every fault that is still to come. */
  heal(): void
  /** Lets everything go on that a fault `hold` stopped. */
  release(): void
  count(match?: RegistryMatch): number
  /** Bytes of bodies of blobs, from the storage or the registry itself. */
  blobBytesServed(): number
  /** The first request that matches, whether it has arrived already or not. */
  waitForRequest(match: RegistryMatch): Promise<RegistryRequest>
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

export async function startRegistry(options: RegistryOptions = {}): Promise<TestRegistry> {
  const requests: Mutable<RegistryRequest>[] = []
  const waiting = new Set<() => void>()
  const shelf = new Shelf()
  for (const model of options.models ?? []) shelf.publish(model)
  const faults: RegistryFaults = new Faults(matches)
  let atOnce = 0
  let mostAtOnce = 0

  /** A model in a match stands for all that belongs to it. */
  function matches(request: RegistryRequest, match: RegistryMatch): boolean {
    return (
      (match.method === undefined || match.method === request.method) &&
      (match.kind === undefined || match.kind === request.kind) &&
      (match.digest === undefined || match.digest === (request.digest ?? request.reference)) &&
      (match.aborted === undefined || match.aborted === request.aborted) &&
      (match.finished === undefined || match.finished === request.finished) &&
      (match.name === undefined || isAbout(request, match.name))
    )
  }

  function isAbout({ kind, repository, reference, digest }: RegistryRequest, name: string): boolean {
    const wanted = keyOf(name)
    if (kind === 'cdn') return shelf.repository(wanted.repository)?.blobs.has(digest ?? '') === true
    const isTag = kind === 'manifest' && reference?.startsWith('sha256:') === false
    return repository === wanted.repository && (!isTag || reference === wanted.tag)
  }

  function notify(): void {
    for (const check of [...waiting]) check()
  }

  function record({ method = 'GET', url = '/', headers }: IncomingMessage): Mutable<RegistryRequest> {
    const [path = '', query = ''] = url.split(/\?(.*)/s)
    const nothingYet = { status: 0, responseHeaders: {}, bytesSent: 0, finished: false, aborted: false }
    const request = { method, path, query, headers: { ...headers }, ...readPath(path, query), ...nothingYet }
    requests.push(request)
    return request
  }

  async function handle(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    incoming.resume()
    incoming.on('error', () => {})
    const answer = new Answer(incoming, response, record(incoming))
    mostAtOnce = Math.max(mostAtOnce, ++atOnce)
    response.on('finish', notify)
    response.on('close', () => {
      atOnce--
      notify()
    })
    notify()
    watch(answer.request, context)
    const fault = faults.take(answer.request)
    if (options.latencyMs !== undefined) await delay(options.latencyMs)
    await answer.give(() => route(answer.request, context), fault, faults)
  }

  const { servers, port } = await listen((incoming, response) => {
    handle(incoming, response).catch((error: unknown) => {
      context.problems.push(`the test registry failed: ${error instanceof Error ? error.stack : String(error)}`)
      response.destroy()
    })
  })
  const context: RouteContext = {
    shelf,
    tokens: new Tokens(options.authorizedKeys ?? []),
    byDigest: options.byDigest ?? true,
    problems: [],
    challenged: new Set(),
    origin: `http://127.0.0.1:${port}`,
    storage: `http://localhost:${port}`,
  }

  let connections = 0
  let mostConnections = 0
  for (const server of servers) {
    server.on('connection', (socket) => {
      mostConnections = Math.max(mostConnections, ++connections)
      socket.on('close', () => connections--)
    })
  }
  const close = async () => {
    faults.release()
    await Promise.all(servers.filter((server) => server.listening).map(closeServer))
  }
  return {
    url: context.origin,
    host: `127.0.0.1:${port}`,
    requests,
    problems: context.problems,
    get mostAtOnce() {
      return mostAtOnce
    },
    get connectionsAtOnce() {
      return mostConnections
    },
    publish: (model) => shelf.publish(model),
    unpublish: (name) => shelf.unpublish(name),
    forget: (digest) => shelf.forget(digest),
    loseBlob: (digest) => shelf.loseBlob(digest),
    content: (name) => shelf.content(name),
    authorize: (publicKey) => context.tokens.authorize(publicKey),
    fail: (match, fault, times = Number.POSITIVE_INFINITY) => faults.add(match, fault, times),
    heal: () => faults.clear(),
    release: () => faults.release(),
    count: (match = {}) => requests.filter((request) => matches(request, match)).length,
    blobBytesServed: () =>
      requests
        .filter(({ kind, status }) => kind === 'cdn' || (kind === 'blob' && status < 300))
        .reduce((sum, { bytesSent }) => sum + bytesSent, 0),
    waitForRequest: (match) =>
      new Promise((resolve) => {
        const check = () => {
          const found = requests.find((request) => matches(request, match))
          if (found === undefined) return
          waiting.delete(check)
          resolve(found)
        }
        waiting.add(check)
        check()
      }),
    close,
    [Symbol.asyncDispose]: close,
  }
}

/** The same port on both loopback addresses, as `localhost` may mean either. Without IPv6 the first is enough. */
async function listen(
  handle: (incoming: IncomingMessage, response: ServerResponse) => void,
): Promise<{ servers: Server[]; port: number }> {
  for (;;) {
    const first = createServer(handle)
    await listenOn(first, '127.0.0.1', 0)
    const { port } = first.address() as AddressInfo
    const second = createServer(handle)
    try {
      await listenOn(second, '::1', port)
      return { servers: [first, second], port }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') return { servers: [first], port }
      await closeServer(first)
    }
  }
}

function listenOn(server: Server, address: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, address, () => resolve())
  })
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}
