/** Where an address has a blob: plain HTTP, nothing around it. */
import { createHttpClient } from '../../src/runtime/http.ts'
import type { BlobSource } from '../../src/transfer/source.ts'

export interface HttpSource {
  readonly source: BlobSource
  close(): void
}

export function httpSource(url: string, silenceMs = 20_000): HttpSource {
  const { origin, pathname } = new URL(url)
  const client = createHttpClient({ url: origin, connections: 64 })
  const source: BlobSource = {
    host: 'registry.test',
    surroundings: { keyFiles: [] },
    open: (range, signal) =>
      client.send({
        path: pathname,
        headers: range === undefined ? {} : { range: `bytes=${range.from}-${range.to - 1}` },
        signal,
        silenceMs,
      }),
  }
  return { source, close: () => client.close() }
}
