/** Bytes of large blobs from a registry: redirects to a storage with signed addresses, sign-in, proxies, and who is told what. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { parseReference } from '../../src/artifact/reference.ts'
import { isOllamaConfigError } from '../../src/errors.ts'
import { createRegistryClient, type RegistryClientOptions } from '../../src/registry/client.ts'
import { readBytes } from '../../src/runtime/body.ts'
import { Downloader } from '../../src/transfer/downloader.ts'
import { registrySource } from '../../src/transfer/source.ts'
import { certificate } from '../support/certificate.ts'
import { makeOllamaKey } from '../support/registry.ts'
import { tempFolder } from '../support/run-cli.ts'

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
): Promise<{
  readonly url: string
  readonly port: number
  readonly asked: readonly Asked[]
  close(): Promise<void>
}> {
  const asked: Asked[] = []
  const server = createServer((request, response) => {
    asked.push({ url: request.url ?? '', headers: request.headers })
    response.on('error', () => {})
    answer(request, response)
  })
  const close = () => {
    server.closeAllConnections()
    return new Promise<void>((resolve) => server.close(() => resolve()))
  }
  t.after(close)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}`, port, asked, close }
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

test('what is refused also at a fresh address is told as it is, and where', async (t) => {
  const signature = 'f'.repeat(64)
  const storage = await serve(t, (request, response) => void response.writeHead(403).end(`no: ${request.url}`))
  const registry = await serve(t, (_, response) => {
    response.writeHead(302, { location: `http://localhost:${storage.port}/x?${signature}` }).end()
  })
  const open = clientFor(t, registry.url, { keyFiles: ['/home/ada/.ollama/id_ed25519'] })
  for (let count = 0; count < 2; count++)
    await assert.rejects(open(), {
      code: 'registry-error',
      message: `registry.test has its files at localhost:${storage.port}, which refuses them with status 403: no: /x?***`,
      hint: /firewall .* localhost/,
      retryable: false,
    })
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

test('a registry that refuses by itself is told with the key', async (t) => {
  const registry = await serve(t, (_, response) => void response.writeHead(403).end('no'))
  await assert.rejects(clientFor(t, registry.url, { keyFiles: ['/home/ada/.ollama/id_ed25519'] })(), {
    code: 'registry-unauthorized',
    message: 'registry.test answered with status 403: no',
    hint: /the key that signs is \/home\/ada/,
  })
})

/** Fetches all of it, and counts how often it was asked for. */
async function fetchWith(t: TestContext, url: string, options: Partial<RegistryClientOptions> = {}): Promise<void> {
  const client = createRegistryClient({
    serverVersion: null,
    env: {},
    keyFiles: [],
    baseUrl: () => url,
    pauseMs: 1,
    ...options,
  })
  const downloader = new Downloader({ pauseMs: 1, attempts: 3 })
  t.after(() => {
    client.close()
    downloader.close()
  })
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  const place = { reference, insecure: url.startsWith('http:'), digest: `sha256:${sha256}`, silenceMs: 5000 }
  const file = path.join(tempFolder(t), 'blob')
  await downloader.fetch({ ...place, sizeBytes: bytes.length, file, source: registrySource(client, place) })
}

test('a download is not tried again where that is of no use, and says what is wrong', async (t) => {
  const circle = await serve(t, ({ url }, response) => void response.writeHead(302, { location: `${url}` }).end())
  await assert.rejects(fetchWith(t, circle.url), {
    code: 'registry-error',
    message: /^The part .* cannot be fetched: registry\.test cannot be asked: it redirects more than 5 times$/,
  })
  assert.equal(circle.asked.length, 6)

  const secure = createSecureServer(certificate)
  let connections = 0
  secure.on('connection', () => connections++)
  t.after(() => secure.close())
  await new Promise<void>((resolve) => secure.listen(0, '127.0.0.1', resolve))
  const { port } = secure.address() as AddressInfo
  await assert.rejects(fetchWith(t, `https://127.0.0.1:${port}`), {
    code: 'registry-unreachable',
    message: /^The part .* cannot be fetched: registry\.test cannot be reached: its certificate is not accepted/,
    hint: /^for a private authority set NODE_EXTRA_CA_CERTS to its certificate$/,
  })
  assert.equal(connections, 1)

  const plain = await serve(t, part)
  await assert.rejects(fetchWith(t, plain.url.replace('http:', 'https:')), {
    code: 'registry-unreachable',
    message: /cannot be fetched: .* it speaks plain http/,
  })

  await assert.rejects(fetchWith(t, 'http://storage.test', { env: { http_proxy: 'socks5://127.0.0.1:1' } }), {
    code: 'registry-unreachable',
    message:
      /cannot be fetched: .* the proxy 127\.0\.0\.1:1 \(http_proxy\) cannot be used: proxies of the kind "socks5"/,
    hint: /^check that variable/,
  })

  const strict = await serve(t, (_, response) => void response.writeHead(407).end())
  await assert.rejects(fetchWith(t, 'http://storage.test', { env: { HTTP_PROXY: strict.url } }), {
    code: 'registry-unreachable',
    message: /\(HTTP_PROXY\) cannot be used: it wants credentials/,
  })
  assert.equal(strict.asked.length, 1)
})

test('what cannot be reached is tried again, with the variable that decides about the proxy in the hint', async (t) => {
  const gone = await serve(t, part)
  await gone.close()
  for (const [env, variable] of [
    [{}, 'HTTP_PROXY'],
    [{ ALL_PROXY: 'http://127.0.0.1:1' }, 'HTTP_PROXY (ALL_PROXY is not read)'],
  ] as const)
    await assert.rejects(fetchWith(t, gone.url, { env }), {
      code: 'registry-unreachable',
      message: /, after 3 tries in a row: registry\.test cannot be reached: connection refused$/,
      hint: `check the network and ${variable} of this machine, and try again; what is there already is not fetched again`,
    })
})

test('a sign-in that is busy is tried again, and told as that when it stays so', async (t) => {
  const folder = tempFolder(t)
  const { file } = await makeOllamaKey(folder)
  let busy = 3
  const registry = await serve(t, (request, response) => {
    if (request.url?.startsWith('/token')) {
      if (busy-- > 0) return void response.writeHead(503).end('busy')
      return void response.end('{"token":"secret"}')
    }
    if (request.headers.authorization === 'Bearer secret') return part(request, response)
    const challenge = `Bearer realm="http://${request.headers.host}/token",service="s",scope="x"`
    response.writeHead(401, { 'www-authenticate': challenge }).end()
  })
  const readKey = () => readFile(file, 'utf8')
  // Once asked and twice again are one try.
  await fetchWith(t, registry.url, { readKey })
  assert.equal(busy, -1)
  busy = Number.POSITIVE_INFINITY
  await assert.rejects(fetchWith(t, registry.url, { readKey }), {
    code: 'registry-error',
    message: /, after 3 tries in a row: registry\.test answered with status 503: busy$/,
  })
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
