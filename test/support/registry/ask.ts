/** What the tests of the registry have in common: one request with node:http, whose connection may end early. */
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import test from 'node:test'
import { type RegistryOptions, startRegistry, type TestRegistry } from '../registry.ts'

export const manifestType = 'application/vnd.docker.distribution.manifest.v2+json'
export const usual = { Accept: manifestType, 'User-Agent': 'ollama/0.33.0 (amd64 linux) Go/go1.26.0' }
export const small = '/v2/library/small/manifests/latest'

export interface Got {
  status: number
  headers: IncomingHttpHeaders
  text: string
  /** False where the connection ended before the answer. */
  whole: boolean
}

/** One request to a path or a whole address, which may leave once so many bytes are there. */
export function ask(
  registry: TestRegistry,
  path: string,
  { method = 'GET', headers = usual, leaveAfter = Number.POSITIVE_INFINITY }: AskOptions = {},
): Promise<Got> {
  return new Promise((resolve, reject) => {
    const url = path.startsWith('/') ? `${registry.url}${path}` : path
    const outgoing = httpRequest(url, { method, headers, agent: false }, (incoming) => {
      let text = ''
      incoming.setEncoding('latin1')
      incoming.on('data', (chunk: string) => {
        text += chunk
        if (text.length > leaveAfter) incoming.destroy()
      })
      incoming.on('error', () => {})
      incoming.on('close', () => {
        resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, text, whole: incoming.complete })
      })
    })
    outgoing.on('error', reject)
    outgoing.end()
  })
}

export interface AskOptions {
  method?: string
  headers?: Record<string, string>
  leaveAfter?: number
}

export function withRegistry(
  name: string,
  options: RegistryOptions,
  body: (registry: TestRegistry) => Promise<void>,
): void {
  test(name, async () => {
    await using registry = await startRegistry(options)
    await body(registry)
  })
}

export function weights(registry: TestRegistry, name: string): string {
  return registry.content(name).layers[0]?.digest ?? ''
}
