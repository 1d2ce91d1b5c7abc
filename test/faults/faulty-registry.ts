/** A registry with one model behind a network in which anything may go wrong, the same way for the same seed. */
import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { chance } from './chance.ts'

export interface FaultyRegistry {
  readonly url: string
  readonly manifest: string
  readonly blobs: ReadonlyMap<string, Buffer>
  /** What was done, for whoever looks into a seed. */
  readonly faults: readonly string[]
  /** From now on everything works. */
  heal(): void
  close(): Promise<void>
}

export const faultKinds = [
  'reset',
  'stall',
  'truncate',
  'corrupt',
  'shift',
  '500',
  '503',
  'whole',
  'other-range',
  'html',
  'refuse',
  'more',
  'redirect-loop',
] as const
type FaultKind = (typeof faultKinds)[number]

export async function startFaultyRegistry(seed: number, layers: readonly Buffer[]): Promise<FaultyRegistry> {
  const digestOf = (bytes: Buffer) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`
  const config = Buffer.from('{"model_format":"gguf","model_family":"llama"}')
  const blobs = new Map([...layers, config].map((bytes) => [digestOf(bytes), bytes]))
  const entry = (kind: string, bytes: Buffer) => ({ mediaType: kind, digest: digestOf(bytes), size: bytes.length })
  const manifest = JSON.stringify({
    schemaVersion: 2,
    config: entry('application/vnd.docker.container.image.v1+json', config),
    layers: layers.map((bytes, index) =>
      entry(`application/vnd.ollama.image.${index === 0 ? 'model' : 'license'}`, bytes),
    ),
  })
  const faults: string[] = []
  const asked = new Map<string, number>()
  // Some networks are bad, and some are hopeless.
  const share = [0.15, 0.4, 0.8][seed % 3] ?? 0
  let healthy = false
  const server = createServer((request, response) => {
    response.on('error', () => {})
    const url = request.url ?? ''
    const key = `${url} ${request.headers.range ?? ''}`
    const count = asked.get(key) ?? 0
    asked.set(key, count + 1)
    // Not by order: which connection comes first must not matter.
    const dice = chance(`${seed} ${key} ${count}`).number
    const fault = healthy || dice() >= share ? undefined : faultKinds[Math.floor(dice() * faultKinds.length)]
    if (fault !== undefined) faults.push(`${fault} ${key}`)
    const body = url.includes('/manifests/') ? Buffer.from(manifest) : blobs.get(url.slice(url.lastIndexOf('/') + 1))
    if (body === undefined) response.writeHead(404).end()
    else answer(body, request, response, fault, dice)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    manifest,
    blobs,
    faults,
    heal: () => {
      healthy = true
    },
    close: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function answer(
  body: Buffer,
  request: IncomingMessage,
  response: ServerResponse,
  fault: FaultKind | undefined,
  dice: () => number,
): void {
  const found = fault === 'whole' ? null : /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '')
  const from = Number(found?.[1] ?? 0)
  const to = Math.min(found === null ? body.length : Number(found[2]) + 1, body.length)
  const bytes = Buffer.from(body.subarray(from, to))
  const some = Math.floor(dice() * bytes.length)
  const status = found === null ? 200 : 206
  const range = found === null ? {} : { 'content-range': `bytes ${from}-${to - 1}/${body.length}` }
  const headers = { 'content-length': bytes.length, ...range }
  switch (fault) {
    case 'refuse':
      return void response.socket?.resetAndDestroy()
    case 'reset':
      response.writeHead(status, headers)
      return void response.write(bytes.subarray(0, some), () => response.socket?.resetAndDestroy())
    case 'truncate':
      response.writeHead(status, headers)
      return void response.write(bytes.subarray(0, some), () => response.socket?.end())
    case 'stall':
      response.writeHead(status, headers)
      return void response.write(bytes.subarray(0, some))
    case 'corrupt':
      if (bytes.length > 0) bytes[some] = (bytes[some] ?? 0) ^ 0xff
      return void response.writeHead(status, headers).end(bytes)
    case 'shift':
      return void response.writeHead(status, headers).end(Buffer.concat([bytes.subarray(1), Buffer.alloc(1)]))
    case '500':
      return void response.writeHead(500).end('broken')
    case '503':
      return void response.writeHead(503, { 'retry-after': '0' }).end()
    case 'other-range':
      return void response.writeHead(206, { 'content-range': `bytes ${from + 1}-${to}/${body.length}` }).end(bytes)
    case 'html':
      return void response.writeHead(200, { 'content-type': 'text/html' }).end('<html><body>Sign in</body></html>')
    case 'more':
      return void response.writeHead(status, range).end(Buffer.concat([bytes, Buffer.from('more')]))
    case 'redirect-loop':
      return void response.writeHead(307, { location: request.url ?? '/' }).end()
    default:
      return void response.writeHead(status, headers).end(bytes)
  }
}
