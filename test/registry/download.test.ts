/** Bytes of large blobs from a registry: redirects to a storage with signed addresses, sign-in, proxies, and who is told what. */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { parseReference } from '../../src/artifact/reference.ts'
import { isOllamaConfigError } from '../../src/errors.ts'
import { createRegistryClient, type RegistryClientOptions } from '../../src/registry/client.ts'
import { readBytes } from '../../src/runtime/body.ts'
import { makeOllamaKey } from '../support/registry.ts'

const reference = parseReference('registry.test/team/model:v1')
const digest = `sha256:${'a'.repeat(64)}`
const bytes = Buffer.from('0123456789')

interface Asked {
  readonly url: string
  readonly headers: IncomingMessage['headers']
}

/** A server that notes what it is asked. */
async function serve(
  t: TestContext,
  answer: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<{ readonly url: string; readonly port: number; readonly asked: readonly Asked[] }> {
  const asked: Asked[] = []
  const server = createServer((request, response) => {
    asked.push({ url: request.url ?? '', headers: request.headers })
    response.on('error', () => {})
    answer(request, response)
  })
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}`, port, asked }
}

function clientFor(t: TestContext, url: string, options: Partial<RegistryClientOptions> = {}) {
  const client = createRegistryClient({ serverVersion: null, env: {}, baseUrl: () => url, pauseMs: 1, ...options })
  t.after(() => client.close())
  return async (range?: { from: number; to: number }) => {
    const response = await client.openBlob({ reference, insecure: true, digest, range, silenceMs: 5000 })
    const body = Buffer.from(await readBytes(response, 1000)).toString()
    return { status: response.status, body }
  }
}

function part(request: IncomingMessage, response: ServerResponse): void {
  const [, from = 0, last = bytes.length - 1] = (/^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? []).map(
    Number,
  )
  response.writeHead(request.headers.range === undefined ? 200 : 206).end(bytes.subarray(from, last + 1))
}

test('a storage behind a redirect is asked directly from then on, and never gets the token', async (t) => {
  const folder = await mkdtemp(path.join(tmpdir(), 'ollama-config-key-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const { file } = await makeOllamaKey(folder)
  const storage = await serve(t, part)
  // Answers as a registry that wants a token, and then redirects to another host.
  const front = await serve(t, (request, response) => {
    if (request.url?.startsWith('/token')) return void response.end('{"token":"secret"}')
    if (request.headers.authorization !== 'Bearer secret') {
      const challenge = `Bearer realm="http://${request.headers.host}/token",service="s",scope="repository:team/model:pull"`
      return void response.writeHead(401, { 'www-authenticate': challenge }).end()
    }
    response.writeHead(307, { location: `http://localhost:${storage.port}/signed?x=1` }).end()
  })
  const open = clientFor(t, front.url, { readKey: () => readFile(file, 'utf8') })
  assert.deepEqual(await open({ from: 2, to: 5 }), { status: 206, body: '234' })
  const before = front.asked.length
  assert.deepEqual(await open({ from: 5, to: 10 }), { status: 206, body: '56789' })
  assert.equal(front.asked.length, before, 'the registry was asked again')
  assert.deepEqual(
    storage.asked.map(({ url }) => url),
    ['/signed?x=1', '/signed?x=1'],
  )
  for (const { headers } of storage.asked) {
    assert.equal(headers.authorization, undefined)
    assert.equal(headers['accept-encoding'], 'identity')
  }
})

test('a signed address that has grown old is fetched anew', async (t) => {
  let signature = 0
  const storage = await serve(t, (request, response) => {
    if (request.url === `/signed?${signature}`) part(request, response)
    else response.writeHead(403).end('<Error>expired</Error>')
  })
  const registry = await serve(t, (_, response) => {
    response.writeHead(302, { location: `http://localhost:${storage.port}/signed?${signature}` }).end()
  })
  const open = clientFor(t, registry.url)
  for (signature of [1, 1, 2, 2, 3]) assert.deepEqual(await open({ from: 0, to: 3 }), { status: 206, body: '012' })
  assert.equal(registry.asked.length, 3)
  assert.deepEqual(
    storage.asked.map(({ url }) => url),
    [1, 1, 1, 2, 2, 2, 3].map((number) => `/signed?${number}`),
  )
})

test('what is refused also at a fresh address is told as it is', async (t) => {
  const storage = await serve(t, (_, response) => void response.writeHead(403).end('no'))
  const registry = await serve(t, (_, response) => {
    response.writeHead(302, { location: `http://localhost:${storage.port}/x` }).end()
  })
  const open = clientFor(t, registry.url)
  assert.equal((await open()).status, 403)
  assert.equal((await open()).status, 403)
  // Nothing is remembered that did not work.
  assert.equal(registry.asked.length, 2)
})

test('an answer without bytes tells nothing of the token, nor of a signed address', async (t) => {
  const folder = await mkdtemp(path.join(tmpdir(), 'ollama-config-key-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const { file } = await makeOllamaKey(folder)
  const signature = 'f'.repeat(64)
  const repeat = (request: IncomingMessage, response: ServerResponse) =>
    void response.writeHead(500).end(`no: ${request.url} ${request.headers.authorization}`)
  const storage = await serve(t, repeat)
  for (const isRedirected of [false, true]) {
    const front = await serve(t, (request, response) => {
      if (request.url?.startsWith('/token')) return void response.end('{"token":"secret-token"}')
      if (request.headers.authorization === undefined) {
        const challenge = `Bearer realm="http://${request.headers.host}/token",service="s",scope="x"`
        return void response.writeHead(401, { 'www-authenticate': challenge }).end()
      }
      if (!isRedirected) return repeat(request, response)
      response.writeHead(307, { location: `http://localhost:${storage.port}/x?Expires=604800&Sig=${signature}` }).end()
    })
    const open = clientFor(t, front.url, { readKey: () => readFile(file, 'utf8') })
    // The second time the storage is asked directly.
    for (const { status, body } of [await open(), await open()])
      assert.deepEqual(
        [status, body],
        [500, isRedirected ? 'no: /x?*** undefined' : `no: /v2/team/model/blobs/${digest} Bearer ***`],
      )
  }
})

test('without a key a registry that wants one is an error', async (t) => {
  const registry = await serve(t, (request, response) => {
    const challenge = `Bearer realm="http://${request.headers.host}/token",service="s",scope="x"`
    response.writeHead(401, { 'www-authenticate': challenge }).end()
  })
  await assert.rejects(
    clientFor(t, registry.url)(),
    (error) => isOllamaConfigError(error) && error.code === 'registry-unauthorized',
  )
})

test('downloads go through the proxy of the environment, and more at once than a plan asks', async (t) => {
  const waiting: (() => void)[] = []
  // All are answered when the last has come.
  const proxy = await serve(t, (request, response) => {
    waiting.push(() => part(request, response))
    if (waiting.length === 12) for (const go of waiting) go()
  })
  const open = clientFor(t, 'http://storage.test', { env: { HTTP_PROXY: proxy.url } })
  const all = await Promise.all(Array.from({ length: 12 }, () => open({ from: 0, to: 2 })))
  assert.deepEqual(new Set(all.map(({ body }) => body)), new Set(['01']))
  assert.ok(proxy.asked.every(({ url }) => url === `http://storage.test/v2/team/model/blobs/${digest}`))
})
