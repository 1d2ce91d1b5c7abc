/** Stands in front of an Ollama server, and lets anything happen on the way, the same for the same seed. */
import { type ClientRequest, createServer, type IncomingMessage, request as open, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Chance, chance } from './chance.ts'

export const proxyFaults = [
  'refuse', // the connection is cut before anything is asked
  'status', // a proxy that finds nobody behind it, or wants a break
  'html',
  'redirect', // to another host, with all that was sent
  'endless-header',
  'stall',
  'lost-answer', // it was done, and nobody hears of it
  'reset', // in the midst of the answer
  'truncate', // it ends too early, by the rules of HTTP or against them
  'stop', // nothing comes any more
  'drip', // byte by byte
  'duplicate', // a piece comes twice
  'corrupt', // a byte that is no UTF-8
  'wrong-length',
  'junk-line', // a line of the stream is no JSON, or without an end
] as const
export type ProxyFault = (typeof proxyFaults)[number]

export interface FaultProxy {
  readonly url: string
  /** What was done, for whoever looks into a seed. */
  readonly faults: readonly string[]
  /** Requests that reached the other host that redirects lead to: there must be none. */
  readonly strayed: readonly string[]
  /** From now on everything works. */
  heal(): void
  close(): Promise<void>
}

export interface FaultProxyOptions {
  readonly seed: string
  /** Of the server behind. */
  readonly target: string
  /** How many of the requests meet a fault, from 0 to 1. */
  readonly share: number
  /** Resolves when the server behind has nothing to do any more: a client who left is noticed there a moment later. */
  readonly idle: () => Promise<void>
}

export async function startFaultProxy(options: FaultProxyOptions): Promise<FaultProxy> {
  const { target, idle } = options
  const faults: string[] = []
  const strayed: string[] = []
  const asked = new Map<string, number>()
  let { share } = options
  const elsewhere = await listen(
    createServer((request, response) => {
      strayed.push(`${request.method} ${request.url}`)
      response.end('{}')
    }),
  )

  const server = createServer(async (request, response) => {
    response.on('error', () => {})
    const chunks: Buffer[] = []
    try {
      for await (const chunk of request) chunks.push(chunk)
    } catch {
      return
    }
    const body = Buffer.concat(chunks)
    // By what is asked for and how often, not by order: which of two requests comes first must not matter.
    const key = `${request.method} ${request.url} ${request.url === '/api/blobs' ? '' : body.toString().slice(0, 200)}`
    const count = asked.get(key) ?? 0
    asked.set(key, count + 1)
    const dice = chance(`${options.seed} ${key} ${count}`)
    const fault = dice.is(share) ? dice.pick(proxyFaults) : undefined
    if (fault !== undefined) faults.push(`${fault} ${key.slice(0, 100)}`)
    await idle()
    answer({ request, response, body, target, fault, dice, elsewhere: elsewhere.url })
  })
  const front = await listen(server)
  return {
    url: front.url,
    faults,
    strayed,
    heal: () => {
      share = 0
    },
    close: async () => void (await Promise.all([front.close(), elsewhere.close()])),
  }
}

interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly body: Buffer
  readonly target: string
  readonly fault: ProxyFault | undefined
  readonly dice: Chance
  readonly elsewhere: string
}

function answer(exchange: Exchange): void {
  const { response, fault, dice, elsewhere } = exchange
  switch (fault) {
    case 'refuse':
      return void response.socket?.resetAndDestroy()
    case 'stall':
      return
    case 'status': {
      const status = dice.pick([429, 500, 502, 503, 504, 401, 403, 404])
      return void response.writeHead(status, { 'content-type': 'text/html' }).end('<h1>Sorry</h1>')
    }
    case 'html':
      return void response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>Sign in</title>')
    case 'redirect': {
      const status = dice.pick([301, 302, 307, 308])
      const location = dice.is(0.3) ? (exchange.request.url ?? '/') : `${elsewhere}${exchange.request.url}`
      return void response.writeHead(status, { location }).end()
    }
    case 'endless-header':
      endless(response)
      return
    default:
      pass(exchange)
  }
}

/** A header that never ends, written as fast as it is taken. */
function endless({ socket }: ServerResponse): void {
  if (socket === null) return
  const piece = `x-more: ${'a'.repeat(4000)}\r\n`
  const write = () => {
    while (!socket.destroyed && socket.write(piece));
  }
  socket.on('drain', write)
  socket.write('HTTP/1.1 200 OK\r\n')
  write()
}

/** Asks the server, and sends what the fault leaves of its answer. */
function pass(exchange: Exchange): void {
  const { request, response, body, target, fault } = exchange
  const { host: _host, connection: _connection, ...headers } = request.headers
  const upstream = open(`${target}${request.url}`, { method: request.method, headers, agent: false })
  upstream.on('error', () => response.socket?.destroy())
  upstream.on('response', (incoming) => {
    incoming.on('error', () => response.socket?.destroy())
    if (fault === 'lost-answer') {
      incoming.resume()
      incoming.on('end', () => response.socket?.resetAndDestroy())
      return
    }
    relay(exchange, incoming, upstream)
  })
  // Who leaves is gone for the server too.
  response.on('close', () => {
    if (!response.writableFinished) upstream.destroy()
  })
  upstream.end(body)
}

function relay({ response, fault, dice }: Exchange, incoming: IncomingMessage, upstream: ClientRequest): void {
  const { 'transfer-encoding': _encoding, connection: _connection, ...headers } = incoming.headers
  const length = incoming.headers['content-length']
  const wrong = fault === 'wrong-length' && length !== undefined
  response.writeHead(incoming.statusCode ?? 500, {
    ...headers,
    ...(wrong ? { 'content-length': Math.max(0, Number(length) + dice.pick([-3, 7])) } : {}),
  })
  /** The piece of the answer in which it happens: lines come one by one, documents in one piece. */
  const at = fault === undefined ? -1 : dice.below(6)
  let index = 0
  incoming.on('data', (chunk: Buffer) => {
    const isHere = index++ === at || (length !== undefined && fault !== undefined)
    const some = dice.below(chunk.length)
    if (!isHere) return void response.write(chunk)
    switch (fault) {
      case 'reset':
        response.write(chunk.subarray(0, some), () => response.socket?.resetAndDestroy())
        return upstream.destroy()
      case 'truncate':
        response.write(chunk.subarray(0, some))
        // With a length it is against the rules, else a proper end.
        if (length === undefined) response.end()
        else response.socket?.end()
        return upstream.destroy()
      case 'stop':
        response.write(chunk.subarray(0, some))
        return void incoming.pause()
      case 'duplicate':
        return void response.write(Buffer.concat([chunk, chunk]))
      case 'corrupt': {
        const bytes = Buffer.from(chunk)
        bytes[some] = 0xff
        return void response.write(bytes)
      }
      case 'junk-line':
        return void response.write(Buffer.concat([junk(dice), chunk]))
      case 'drip':
        for (const byte of chunk) response.write(Buffer.from([byte]))
        return
      default:
        return void response.write(chunk)
    }
  })
  incoming.on('end', () => {
    if (response.writable && !(wrong && response.writableLength === 0)) response.end()
    else response.socket?.end()
  })
}

function junk(dice: Chance): Buffer {
  return dice.pick([
    Buffer.from('{"status":"pul'),
    Buffer.from('\n\n\n'),
    Buffer.from([0xc3, 0x28, 0x0a]),
    Buffer.from('<html>\n'),
    Buffer.from('{"error":7}\n'),
    Buffer.from(`{"status":"${'x'.repeat(2 ** 21)}"}\n`),
  ])
}

async function listen(server: ReturnType<typeof createServer>): Promise<{ url: string; close(): Promise<void> }> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
