/** The registry of the demo: reachable only from here, by address, to read. */
import assert from 'node:assert/strict'
import { request } from 'node:http'
import { test } from 'node:test'
import { startLoopbackRegistry } from '../../src/demo/loopback-registry.ts'

const content = new TextEncoder().encode('0123456789')

interface Answer {
  readonly status: number | undefined
  readonly range: string | undefined
  readonly body: string
}

/** By node:http, since fetch does not send the host that it is told. */
function ask(url: string, options: { method?: string; headers?: Record<string, string> } = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request(url, options, (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text
      })
      response.on('end', () => {
        resolve({ status: response.statusCode, range: response.headers['content-range'], body })
      })
    })
    sent.on('error', reject).end()
  })
}

test('the registry of the demo serves manifests and parts of blobs, and nothing to others', async (t) => {
  const blobs = new Map([['sha256:a', content]])
  const registry = await startLoopbackRegistry(new Map([['library/acorn:latest', { manifest: '{}', blobs }]]))
  t.after(() => registry.close())
  const blob = `${registry.url}/v2/library/acorn/blobs/sha256:a`
  const manifest = `${registry.url}/v2/library/acorn/manifests/latest`

  assert.deepEqual(await ask(manifest), { status: 200, range: undefined, body: '{}' })
  assert.deepEqual(await ask(blob), { status: 200, range: undefined, body: '0123456789' })
  const part = (range: string) => ask(blob, { headers: { range } })
  assert.deepEqual(await part('bytes=2-4'), { status: 206, range: 'bytes 2-4/10', body: '234' })
  assert.deepEqual(await part('bytes=8-99'), { status: 206, range: 'bytes 8-9/10', body: '89' })
  assert.equal((await part('bytes=10-12')).status, 416)

  const refused: [number, string, Parameters<typeof ask>[1]?][] = [
    [404, `${registry.url}/v2/library/acorn/manifests/other`],
    [404, `${registry.url}/v2/library/acorn/blobs/sha256:b`],
    [404, `${registry.url}/`],
    [405, manifest, { method: 'DELETE' }],
    // A page whose name was made to lead here.
    [403, manifest, { headers: { host: 'rebound.example' } }],
    [403, manifest, { headers: { host: `localhost:${new URL(registry.url).port}` } }],
  ]
  for (const [status, url, options] of refused) assert.equal((await ask(url, options)).status, status, url)
})
