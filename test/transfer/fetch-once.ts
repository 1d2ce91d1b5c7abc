/** Fetches one blob in a process of its own, which a test can kill: origin, digest, size, file, connections. */
import { createHttpClient } from '../../src/runtime/http.ts'
import { Downloader } from '../../src/transfer/downloader.ts'

const [origin = '', digest = '', size = '', file = '', connections = ''] = process.argv.slice(2)
const client = createHttpClient({ url: origin, connections: 64 })
const downloader = new Downloader({ connections: Number(connections) })
await downloader.fetch({
  digest,
  sizeBytes: Number(size),
  file,
  source: {
    host: 'registry.test',
    open: (range, signal) =>
      client.send({
        path: '/blob',
        headers: range === undefined ? {} : { range: `bytes=${range.from}-${range.to - 1}` },
        signal,
        silenceMs: 20_000,
      }),
  },
  onProgress: (completed) => console.log(completed),
})
downloader.close()
client.close()
