/** One blob over HTTP, which a test can have served in any wrong way; it counts what it was asked for and what it sent. */
import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { BlobSource } from '../../src/transfer/source.ts'
import { httpSource } from './http-source.ts'

export interface Asked {
  readonly number: number
  /** All of it where no range was asked for. */
  readonly from: number
  readonly to: number
  readonly ranged: boolean
}

export type Behave = (
  asked: Asked,
  response: ServerResponse,
  served: BlobServer,
) => boolean | undefined | Promise<boolean | undefined>

export interface BlobServer {
  readonly bytes: Buffer
  readonly digest: string
  readonly url: string
  readonly asked: readonly Asked[]
  readonly source: BlobSource
  /** Body bytes that were handed to connections. */
  readonly sentBytes: number
  /** Most that were answered at the same moment. */
  readonly mostAtOnce: number
  /** As a good server answers. */
  answer(asked: Asked, response: ServerResponse): void
  close(): Promise<void>
}

/** The same for the same seed, and nowhere alike. */
export function madeUpBytes(sizeBytes: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(sizeBytes)
  let state = seed
  for (let at = 0; at + 4 <= sizeBytes; at += 4) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    bytes.writeUInt32LE(state, at)
  }
  return bytes
}

/** @param behave Answers by itself and says true, or leaves it to the good server. */
export async function serveBlob(
  bytes: Buffer,
  behave: Behave = () => undefined,
  silenceMs = 20_000,
): Promise<BlobServer> {
  const asked: Asked[] = []
  let [sentBytes, atOnce, mostAtOnce] = [0, 0, 0]
  const answer = ({ from, to, ranged }: Asked, response: ServerResponse) => {
    response.writeHead(ranged ? 206 : 200, {
      'content-length': to - from,
      ...(ranged ? { 'content-range': `bytes ${from}-${to - 1}/${bytes.length}` } : {}),
    })
    sentBytes += to - from
    response.end(bytes.subarray(from, to))
  }
  const onRequest = async (request: IncomingMessage, response: ServerResponse) => {
    const found = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '')
    const one = {
      number: asked.length,
      from: Number(found?.[1] ?? 0),
      to: found === null ? bytes.length : Number(found[2]) + 1,
      ranged: found !== null,
    }
    asked.push(one)
    mostAtOnce = Math.max(mostAtOnce, ++atOnce)
    response.on('close', () => atOnce--)
    response.on('error', () => {})
    if ((await behave(one, response, served)) !== true) answer(one, response)
  }
  const server = createServer((request, response) => void onRequest(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const origin = `http://127.0.0.1:${port}`
  const url = `${origin}/blob`
  const { source, close } = httpSource(url, silenceMs)
  const served: BlobServer = {
    bytes,
    digest: `sha256:${createHash('sha256').update(bytes).digest('hex')}`,
    url,
    asked,
    source,
    get sentBytes() {
      return sentBytes
    },
    get mostAtOnce() {
      return mostAtOnce
    },
    answer,
    close: async () => {
      close()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return served
}
