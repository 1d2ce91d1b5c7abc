/** One download by the engine, in a process of its own: URL, digest, size, file, connections, `sync` or `no-sync`. */
import { open } from 'node:fs/promises'
import { createHttpClient } from '../src/runtime/http.ts'
import { Downloader } from '../src/transfer/downloader.ts'

const [url = '', digest = '', size = '', file = '', connections = '', sync = ''] = process.argv.slice(2)
const { origin, pathname } = new URL(url)
const client = createHttpClient({ url: origin, connections: Number(connections) })
const downloader = new Downloader({ connections: Number(connections) })
await downloader.fetch({
  digest,
  sizeBytes: Number(size),
  file,
  source: {
    host: origin,
    open: (range, signal) =>
      client.send({
        path: pathname,
        headers: range === undefined ? {} : { range: `bytes=${range.from}-${range.to - 1}` },
        signal,
        silenceMs: 20_000,
      }),
  },
})
if (sync === 'sync') {
  const handle = await open(file, 'r+')
  await handle.sync()
  await handle.close()
}
downloader.close()
client.close()
