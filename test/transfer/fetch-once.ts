/** Fetches one blob in a process of its own, which a test can kill: URL, digest, size, file, connections. */
import { Downloader } from '../../src/transfer/downloader.ts'
import { httpSource } from './http-source.ts'

const [url = '', digest = '', size = '', file = '', connections = ''] = process.argv.slice(2)
const { source, close } = httpSource(url)
const downloader = new Downloader({ connections: Number(connections) })
const onProgress = (completed: number) => console.log(completed)
await downloader.fetch({ digest, sizeBytes: Number(size), file, source, onProgress })
downloader.close()
close()
