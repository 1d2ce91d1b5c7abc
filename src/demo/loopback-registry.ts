/** A model registry on this machine, for the demo: manifests by tag, blobs in parts, nothing else. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { TinyModel } from './tiny-model.ts'

export interface LoopbackRegistry {
  readonly url: string
  close(): Promise<void>
}

/** @param models By `namespace/model:tag` */
export async function startLoopbackRegistry(models: ReadonlyMap<string, TinyModel>): Promise<LoopbackRegistry> {
  const blobs = new Map([...models.values()].flatMap((model) => [...model.blobs]))
  const { createServer } = process.getBuiltinModule('node:http')
  const server = createServer((request, response) => {
    // Nothing outside of this machine is to reach it, not even by a name that leads here.
    if (!/^127\.0\.0\.1:\d+$/.test(request.headers.host ?? '')) return void response.writeHead(403).end()
    if (request.method !== 'GET') return void response.writeHead(405).end()
    const [, repository = '', what, reference = ''] =
      /^\/v2\/([^/]+\/[^/]+)\/(manifests|blobs)\/([^/]+)$/.exec(request.url ?? '') ?? []
    if (what === 'blobs') return sendBlob(blobs.get(reference), request, response)
    const manifest = models.get(`${repository}:${reference}`)?.manifest
    if (manifest === undefined) return void response.writeHead(404).end()
    response.writeHead(200, { 'content-type': 'application/json' }).end(manifest)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return {
    url: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  }
}

function sendBlob(blob: Uint8Array | undefined, request: IncomingMessage, response: ServerResponse): void {
  if (blob === undefined) return void response.writeHead(404).end()
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? []
  if (first === undefined) return void response.writeHead(200, { 'content-length': blob.byteLength }).end(blob)
  const from = Number(first)
  const to = Math.min(Number(last) + 1, blob.byteLength)
  if (from >= to) return void response.writeHead(416).end()
  const range = `bytes ${from}-${to - 1}/${blob.byteLength}`
  response.writeHead(206, { 'content-length': to - from, 'content-range': range }).end(blob.subarray(from, to))
}
