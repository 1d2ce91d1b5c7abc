/** One download by the engine, in a process of its own: URL, digest, size, file, connections, `sync` or `no-sync`. */
import { open } from 'node:fs/promises'
import { Downloader } from '../src/transfer/downloader.ts'
import { httpSource } from '../test/transfer/http-source.ts'

const [url = '', digest = '', size = '', file = '', connections = '', sync = ''] = process.argv.slice(2)
const { source, close } = httpSource(url)
const downloader = new Downloader({ connections: Number(connections) })
await downloader.fetch({ digest, sizeBytes: Number(size), file, source })
if (sync === 'sync') {
  const handle = await open(file, 'r+')
  await handle.sync()
  await handle.close()
}
downloader.close()
close()
