/** A server that knows one listing by heart, in a process of its own: its own work shall not show in what is measured. */
import { spawn } from 'node:child_process'

export interface ListingServer {
  readonly url: string
  close(): void
}

const program = `
const { createServer } = require('node:http')
const listing = require('node:fs').readFileSync(0)
createServer((request, response) => {
  response.setHeader('content-type', 'application/json; charset=utf-8')
  response.end(request.url === '/api/version' ? '{"version":"0.33.0"}' : listing)
}).listen(0, '127.0.0.1', function () { console.log(this.address().port) })
`

export function startListingServer(models: readonly string[]): Promise<ListingServer> {
  const entries = models.map((name, index) => ({
    name,
    model: name,
    modified_at: '2026-08-21T18:48:22.123456789Z',
    size: 4_683_087_332 + index,
    digest: index.toString(16).padStart(64, '0'),
    details: {
      parent_model: '',
      format: 'gguf',
      family: 'llama',
      families: ['llama'],
      parameter_size: '8.0B',
      quantization_level: 'Q4_K_M',
    },
  }))
  const child = spawn(process.execPath, ['-e', program], { stdio: ['pipe', 'pipe', 'inherit'] })
  // Not as an argument: a long listing is too long for one.
  child.stdin.end(JSON.stringify({ models: entries }))
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.stdout.once('data', (port) =>
      resolve({ url: `http://127.0.0.1:${Number(port)}`, close: () => void child.kill() }),
    )
  })
}
