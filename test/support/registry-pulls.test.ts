/** Pulls of the test server from a registry over HTTP: what the recordings do not show, or cannot by their size. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { type OllamaServer, type OllamaServerOptions, startOllamaServer } from './ollama-server.ts'
import { weights } from './registry/ask.ts'
import { makeOllamaKey, type RegistryOptions, startRegistry, type TestRegistry } from './registry.ts'

const registryHost = 'registry.ollama.ai'

function withBoth(
  name: string,
  options: RegistryOptions & OllamaServerOptions,
  body: (server: OllamaServer, registry: TestRegistry) => Promise<void>,
): void {
  test(name, async () => {
    const { models = [], ...serverOptions } = options
    await using registry = await startRegistry({ models })
    await using server = await startOllamaServer({ registries: { [registryHost]: registry.url }, ...serverOptions })
    await body(server, registry)
  })
}

async function pull(
  server: OllamaServer,
  model: string,
  options: object = {},
  signal?: AbortSignal,
): Promise<string[]> {
  const response = await fetch(`${server.url}/api/pull`, {
    method: 'POST',
    body: JSON.stringify({ model, ...options }),
    ...(signal === undefined ? {} : { signal }),
  })
  return (await response.text()).split('\n').filter((line) => line !== '')
}

const last = async (lines: Promise<string[]>) => (await lines).at(-1)
const success = '{"status":"success"}'
const failed = (error: string) => JSON.stringify({ error })

withBoth('a pulled model is the one that would be installed', { models: ['a', 'b'] }, async (server, registry) => {
  assert.equal(await last(pull(server, 'library/a')), success)
  await using other = await startOllamaServer({ models: ['a'] })
  assert.deepEqual(server.digests(), other.digests())
  const show = async ({ url }: OllamaServer) =>
    await (await fetch(`${url}/api/show`, { method: 'POST', body: '{"model":"a"}' })).text()
  assert.equal(await show(server), await show(other))
  const before = weights(registry, 'a')
  registry.publish({ name: 'a', revision: 'two' })
  const lines = await pull(server, 'a')
  assert.deepEqual(lines.slice(-2), ['{"status":"removing unused layers"}', success])
  assert.equal(server.hasBlob(before), false)
  assert.deepEqual([...registry.problems, ...server.problems], [])
})

withBoth('models published in memory come first', { models: ['a'], registry: ['a'] }, async (server, registry) => {
  assert.equal(await last(pull(server, 'a')), success)
  assert.equal(registry.count(), 0)
})

withBoth('a name with a loopback address finds its registry', { models: ['a'] }, async (server, registry) => {
  const name = `${registry.host}/library/a`
  const url = `https://${registry.host}/v2/library/a/manifests/latest`
  const noTls = failed(`pull model manifest: Get "${url}": tls: first record does not look like a TLS handshake`)
  assert.equal(await last(pull(server, name)), noTls)
  assert.equal(await last(pull(server, name, { insecure: true })), success)
  assert.deepEqual(server.installed(), [`${name}:latest`])
  await registry.close()
  const refused = `dial tcp ${registry.host}: connect: connection refused`
  assert.equal(await last(pull(server, name)), failed(`pull model manifest: Get "${url}": ${refused}`))
  const plain = url.replace('https', 'http')
  const again = pull(server, name, { insecure: true })
  assert.equal(await last(again), failed(`pull model manifest: Get "${plain}": ${refused}`))
  const mapped = `pull model manifest: Get "https://${registryHost}/v2/library/a/manifests/latest": `
  assert.equal(
    await last(pull(server, 'a')),
    failed(`${mapped}dial tcp ${registryHost}:443: connect: connection refused`),
  )
})

withBoth(
  'progress is written when it is asked for',
  { models: ['a'], bytesPerLine: 1024 },
  async (server, registry) => {
    const lines = (await pull(server, 'a')).filter((line) => line.includes('"digest"')).map((line) => JSON.parse(line))
    const digest = weights(registry, 'a')
    const status = `pulling ${digest.slice(7, 19)}`
    const line = (completed: number) => ({ status, digest, total: 4096, completed })
    assert.deepEqual(lines, [line(1024), line(2048), line(3072)])
  },
)

// Long enough that the registry is still sending when it notices that nobody listens any more.
const long = {
  name: 'a',
  layers: [{ mediaType: 'application/vnd.ollama.image.model', bytes: new Uint8Array(900_000).fill(7) }],
}
const paced = { models: [long], bytesPerLine: 1000 }
withBoth('a client that leaves ends the requests, and the next goes on', paced, async (server, registry) => {
  const leaving = new AbortController()
  server.fail({ path: '/api/pull' }, { kind: 'stall', afterLines: 3 }, 1)
  registry.fail({ kind: 'cdn' }, { kind: 'drip', bytes: 500 }, 1)
  const left = assert.rejects(pull(server, 'a', {}, leaving.signal))
  await registry.waitForRequest({ kind: 'cdn' })
  while (Object.values(server.partialBytes())[0] !== 3000) await new Promise((resolve) => setImmediate(resolve))
  leaving.abort()
  await left
  await registry.waitForRequest({ kind: 'cdn', aborted: true })
  const digest = weights(registry, 'a')
  assert.deepEqual(server.partialBytes(), { [digest]: 3000 })
  assert.equal(await last(pull(server, 'a')), success)
  const parts = registry.requests.filter(({ kind, digest: of }) => kind === 'cdn' && of === digest)
  assert.deepEqual(
    parts.map(({ headers }) => headers['range']),
    ['bytes=0-899999', 'bytes=3000-899999'],
  )
  assert.equal(registry.count({ kind: 'blob', method: 'HEAD', digest }), 1, 'the size is known already')
  assert.deepEqual(server.partialBytes(), {})
})

withBoth('a client that leaves ends even a request for a manifest', { models: ['a'] }, async (server, registry) => {
  registry.fail({}, { kind: 'stall' }, 1)
  const leaving = new AbortController()
  const left = assert.rejects(pull(server, 'a', {}, leaving.signal))
  await registry.waitForRequest({ kind: 'manifest' })
  leaving.abort()
  await left
  await registry.waitForRequest({ kind: 'manifest', aborted: true })
  assert.deepEqual(server.problems, [])
})

withBoth('two pulls of one blob share it, and are noted', {}, async (server, registry) => {
  const layers = [{ mediaType: 'application/vnd.ollama.image.model', bytes: 'shared weights' }]
  registry.publish({ name: 'one', layers })
  registry.publish({ name: 'two', layers })
  registry.fail({ kind: 'cdn' }, { kind: 'hold' }, 1)
  const one = last(pull(server, 'one'))
  await registry.waitForRequest({ kind: 'cdn' })
  const two = last(pull(server, 'two'))
  await registry.waitForRequest({ kind: 'manifest', name: 'two', finished: true })
  while (server.problems.length === 0) await new Promise((resolve) => setImmediate(resolve))
  registry.release()
  assert.deepEqual([await one, await two], [success, success])
  assert.equal(registry.count({ kind: 'cdn', digest: weights(registry, 'one') }), 1)
  assert.equal(server.problems.length, 1)
  assert.match(server.problems[0] ?? '', /^pulls of one:latest and two:latest at once, which share sha256:/)
  assert.equal(server.stats.pullsAtOnce, 2)
  assert.equal(server.stats.requestsAtOnce, 2)
})

withBoth('a broken connection is taken up where it broke', { models: ['a'] }, async (server, registry) => {
  const digest = weights(registry, 'a')
  registry.fail({ kind: 'cdn', digest }, { kind: 'truncate' }, 1)
  assert.equal(await last(pull(server, 'a')), success)
  const parts = registry.requests.filter(({ kind, digest: of }) => kind === 'cdn' && of === digest)
  assert.deepEqual(
    parts.map(({ headers }) => headers['range']),
    ['bytes=0-4095', 'bytes=2048-4095'],
  )
})

withBoth('what a registry may do wrong ends a pull', { models: ['a'], latencyMs: 1 }, async (server, registry) => {
  const digest = weights(registry, 'a')
  const foreign = 'unexpected status code 302'
  const mismatch = `digest mismatch, file must be downloaded again: want ${digest}`
  const manifest = { kind: 'manifest' } as const
  const cases: [Parameters<TestRegistry['fail']>, RegExp][] = [
    [[manifest, { kind: 'html' }], /^pull model manifest: invalid character '<' looking for beginning of value$/],
    [[manifest, { kind: 'garbage' }], /^pull model manifest: unexpected end of JSON input$/],
    [[manifest, { kind: 'truncate' }], /^pull model manifest: unexpected EOF$/],
    [[manifest, { kind: 'reset' }], /^pull model manifest: Get "https:.*": EOF$/],
    [[manifest, { kind: 'redirect-loop' }], /^pull model manifest: Get ".*": stopped after 10 redirects$/],
    [[manifest, { kind: 'status', status: 502, body: 'x\n' }], /^pull model manifest: 502: x\n$/],
    [
      [
        { kind: 'blob', method: 'GET' },
        { kind: 'redirect', to: 'http://a.example/', status: 302 },
      ],
      new RegExp(`^${foreign}$`),
    ],
    [[{ kind: 'blob', method: 'GET' }, { kind: 'redirect-loop' }], /^context deadline exceeded$/],
    [[{ kind: 'cdn' }, { kind: 'lie' }], new RegExp(`^${mismatch}, got sha256:`)],
  ]
  for (const [fault, error] of cases) {
    registry.fail(...fault)
    const [, text = ''] = /^{"error":(".*")}$/.exec((await last(pull(server, 'a'))) ?? '') ?? []
    assert.match(JSON.parse(text), error)
    registry.heal()
  }
  assert.equal(await last(pull(server, 'a')), success)
  assert.deepEqual([...registry.problems, ...server.problems], [])
})

withBoth('a key opens a private model', { models: [] }, async (_, registry) => {
  const folder = await mkdtemp(join(tmpdir(), 'ollama-key-'))
  await using _folder = { [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) }
  const key = await makeOllamaKey(folder)
  for (const token of ['no-json', 'missing'] as const) registry.publish({ name: `team/${token}`, private: { token } })
  registry.publish({ name: 'team/ok', private: true })
  const registries = { [registryHost]: registry.url }
  await using server = await startOllamaServer({ registries, keyFile: key.file })
  const unknown = '401: {"errors":[{"code":"UNAUTHORIZED","message":"unknown key"}]}'
  assert.equal(await last(pull(server, 'team/ok')), failed(`pull model manifest: ${unknown}`))
  registry.authorize(key.publicKey)
  assert.equal(await last(pull(server, 'team/ok')), success)
  const noJson = "pull model manifest: invalid character '<' looking for beginning of value"
  assert.equal(await last(pull(server, 'team/no-json')), failed(noJson).replace('<', '\\u003c'))
  assert.equal(await last(pull(server, 'team/missing')), failed('pull model manifest: unauthorized: access denied'))
  assert.deepEqual([...registry.problems, ...server.problems], [])
})
