/** What the recordings cannot show: faults, what the test server complains of, and how it is reached. */
import assert from 'node:assert/strict'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { type OllamaServer, type OllamaServerOptions, startOllamaServer } from './ollama-server.ts'

/** Runs one test against a server that is closed whatever happens. */
function withServer(
  name: string,
  { skip = false, ...options }: OllamaServerOptions & { readonly skip?: boolean },
  body: (server: OllamaServer) => Promise<void>,
): void {
  test(name, { skip }, async () => {
    const server = await startOllamaServer(options)
    try {
      await body(server)
    } finally {
      await server.close()
    }
  })
}

function post(server: OllamaServer, path: string, body: object, init: RequestInit = {}): Promise<Response> {
  return fetch(`${server.url}${path}`, { method: 'POST', body: JSON.stringify(body), ...init })
}

async function pullLines(server: OllamaServer, model: string, signal?: AbortSignal): Promise<string[]> {
  const response = await post(server, '/api/pull', { model }, signal === undefined ? {} : { signal })
  return (await response.text()).split('\n').filter((line) => line !== '')
}

const bigModel = { name: 'big', bytesPerTick: 256 }

withServer('two servers make the same of the same name', { models: ['a'], registry: ['a'] }, async (server) => {
  const other = await startOllamaServer({ models: ['library/A:latest'] })
  assert.deepEqual(Object.values(other.digests()), Object.values(server.digests()))
  await other.close()
  const before = server.digests()
  await pullLines(server, 'a')
  assert.deepEqual(server.digests(), before, 'the registry has the same content')
  server.publish({ name: 'a', revision: 'two' })
  await pullLines(server, 'a')
  assert.notDeepEqual(server.digests(), before, 'another revision is other content')
})

withServer('a refused connection gets no answer, as often as asked', { models: ['a'] }, async (server) => {
  server.fail({ path: '/api/tags' }, { kind: 'refuse' }, 2)
  await assert.rejects(fetch(`${server.url}/api/tags`))
  await assert.rejects(fetch(`${server.url}/api/tags`))
  assert.equal((await fetch(`${server.url}/api/tags`)).status, 200)
  assert.equal(server.requests.length, 3)
})

withServer('a fault applies to the model it names, in any spelling', { models: ['a', 'b'] }, async (server) => {
  server.fail({ model: 'library/A:latest' }, { kind: 'status', status: 503, body: 'busy' })
  assert.equal((await post(server, '/api/show', { model: 'a' })).status, 503)
  assert.equal((await post(server, '/api/show', { model: 'b' })).status, 200)
  server.heal()
  assert.equal((await post(server, '/api/show', { model: 'a' })).status, 200)
})

withServer('a reset loses the answer of a request that was carried out', { models: ['a'] }, async (server) => {
  server.fail({ method: 'DELETE' }, { kind: 'reset' })
  await assert.rejects(post(server, '/api/delete', { model: 'a' }, { method: 'DELETE' }))
  assert.deepEqual(server.installed(), [])
})

withServer('a reset in a stream comes after the lines asked for', { registry: [bigModel] }, async (server) => {
  server.fail({ path: '/api/pull' }, { kind: 'reset', afterLines: 3 }, 1)
  const response = await post(server, '/api/pull', { model: 'big' })
  const received: string[] = []
  const read = async () => {
    for await (const chunk of response.body ?? []) received.push(new TextDecoder().decode(chunk))
  }
  await assert.rejects(read())
  assert.equal(received.join('').trim().split('\n').length, 3)
  assert.deepEqual(server.installed(), [])
  await server.waitForRequest({ path: '/api/pull', aborted: true })
})

withServer('a reset can come after a number of bytes', { models: ['a'], registry: ['b'] }, async (server) => {
  server.fail({}, { kind: 'reset', afterBytes: 10 })
  await assert.rejects(async () => await (await fetch(`${server.url}/api/tags`)).text())
  await assert.rejects(async () => await pullLines(server, 'b'))
})

withServer('an early end, half a line and an extra line end a pull', { registry: [bigModel] }, async (server) => {
  server.fail({ path: '/api/pull' }, { kind: 'end', afterLines: 2 }, 1)
  assert.equal((await pullLines(server, 'big')).length, 2)
  server.fail({ path: '/api/pull' }, { kind: 'truncate', afterLines: 1 }, 1)
  const [, half = ''] = await pullLines(server, 'big')
  assert.throws(() => JSON.parse(half))
  server.fail({ path: '/api/pull' }, { kind: 'line', line: '{"error":"made up"}', afterLines: 2 }, 1)
  assert.equal((await pullLines(server, 'big')).at(-1), '{"error":"made up"}')
  server.fail({ path: '/api/pull' }, { kind: 'line', line: 'no JSON' }, 1)
  assert.deepEqual(await pullLines(server, 'big'), ['no JSON'])
  assert.deepEqual(server.installed(), [])
  assert.equal((await pullLines(server, 'big')).at(-1), '{"status":"success"}')
})

withServer('a held pull goes on where it stopped', { registry: [bigModel] }, async (server) => {
  server.fail({ path: '/api/pull' }, { kind: 'hold', afterLines: 4 })
  const pull = pullLines(server, 'big')
  await server.waitForRequest({ path: '/api/pull' })
  assert.deepEqual(server.installed(), [])
  while (Object.values(server.partialBytes())[0] !== 4 * 256) await new Promise((resolve) => setTimeout(resolve, 1))
  server.release()
  assert.equal((await pull).at(-1), '{"status":"success"}')
})

withServer(
  'a client that leaves stops the pull, and the next one goes on',
  { registry: [bigModel] },
  async (server) => {
    server.fail({ path: '/api/pull' }, { kind: 'stall', afterLines: 4 }, 1)
    const leaving = new AbortController()
    const response = await post(server, '/api/pull', { model: 'big' }, { signal: leaving.signal })
    const reader = response.body?.getReader()
    let text = ''
    while (text.split('\n').length <= 4) text += new TextDecoder().decode((await reader?.read())?.value)
    leaving.abort()
    await server.waitForRequest({ path: '/api/pull', aborted: true })
    assert.deepEqual(Object.values(server.partialBytes()), [4 * 256])
    const [, second = ''] = await pullLines(server, 'big')
    assert.equal(JSON.parse(second).completed, 5 * 256)
    assert.deepEqual(server.partialBytes(), {})
    assert.deepEqual(server.problems, [])
  },
)

withServer('nothing answers while a request stalls', { models: ['a'] }, async (server) => {
  server.fail({ path: '/api/version' }, { kind: 'stall' })
  const leaving = new AbortController()
  const pending = fetch(`${server.url}/api/version`, { signal: leaving.signal })
  await server.waitForRequest({ path: '/api/version' })
  leaving.abort()
  await assert.rejects(pending)
  const { aborted, finished } = await server.waitForRequest({ aborted: true })
  assert.deepEqual({ aborted, finished }, { aborted: true, finished: false })
})

withServer('lines can be cut to pieces, slowed down, answers replaced', { registry: ['a'] }, async (server) => {
  server.fail({ path: '/api/pull' }, { kind: 'pieces', bytes: 3 }, 1)
  assert.equal((await pullLines(server, 'a')).at(-1), '{"status":"success"}')
  server.fail({ path: '/api/pull' }, { kind: 'slow', msPerLine: 1 }, 1)
  assert.equal((await pullLines(server, 'a')).at(-1), '{"status":"success"}')
  server.fail({ path: '/api/tags' }, { kind: 'body', body: '<html>', contentType: 'text/html' }, 1)
  assert.equal(await (await fetch(`${server.url}/api/tags`)).text(), '<html>')
  server.fail({ path: '/api/tags' }, { kind: 'corrupt-listing', defect: 'digest-short' }, 1)
  assert.match(await (await fetch(`${server.url}/api/tags`)).text(), /"digest":"abc"/)
  server.fail({ path: '/api/version' }, { kind: 'edit', edit: () => ({ version: '9' }) }, 1)
  assert.equal(await (await fetch(`${server.url}/api/version`)).text(), '{"version":"9"}')
  server.fail({ path: '/api/version' }, { kind: 'truncate', afterLines: 0 }, 1)
  assert.equal(await (await fetch(`${server.url}/api/version`)).text(), '{"version"')
})

withServer('what a client must never do is noted', { models: ['y'], registry: [bigModel] }, async (server) => {
  server.publish({
    ...bigModel,
    name: 'twin',
    layers: [{ mediaType: 'application/vnd.ollama.image.model', bytes: 'w' }],
  })
  server.publish({
    ...bigModel,
    name: 'other',
    layers: [{ mediaType: 'application/vnd.ollama.image.model', bytes: 'w' }],
  })
  server.fail({ path: '/api/pull', model: 'twin' }, { kind: 'hold', afterLines: 1 })
  const first = pullLines(server, 'twin')
  await server.waitForRequest({ model: 'twin' })
  await post(server, '/api/delete', { model: 'y', colour: 'blue' }, { method: 'DELETE' })
  assert.deepEqual(server.requests.at(-1)?.unknownKeys, ['colour'])
  server.release()
  await first
  await fetch(`${server.url}/api/delete`, { method: 'DELETE' })
  await server.waitForRequest({ path: '/api/pull', finished: true })
  assert.deepEqual(server.problems, [
    'DELETE of y:latest during the pull of twin:latest',
    'DELETE /api/delete without a body',
  ])
  assert.equal(server.stats.pullsAtOnce, 1)
})

withServer('two pulls of one layer are noted', { registry: [] }, async (server) => {
  const layers = [{ mediaType: 'application/vnd.ollama.image.model', bytes: 'shared weights' }]
  server.publish({ name: 'one', layers, bytesPerTick: 1 })
  server.publish({ name: 'two', layers, bytesPerTick: 1 })
  server.fail({ model: 'one' }, { kind: 'hold', afterLines: 2 })
  const one = pullLines(server, 'one')
  while (Object.keys(server.partialBytes()).length === 0) await new Promise((resolve) => setTimeout(resolve, 1))
  const two = pullLines(server, 'two')
  await server.waitForRequest({ model: 'two' })
  server.release()
  await Promise.all([one, two])
  assert.equal(server.problems.length, 1)
  assert.match(server.problems[0] ?? '', /^pulls of one:latest and two:latest at once, which share sha256:/)
  assert.equal(server.stats.pullsAtOnce, 2)
})

withServer('a tag named local leads a delete astray', { models: ['x', 'x:local'] }, async (server) => {
  await post(server, '/api/delete', { model: 'x:local' }, { method: 'DELETE' })
  assert.deepEqual(server.installed(), ['x:local'])
  assert.equal(server.problems.length, 1)
})

const proxied = { models: ['a'], basePath: '/ollama/', requireHeaders: { Authorization: 'Bearer t' } }
withServer('a reverse proxy has a prefix and wants a header', proxied, async (server) => {
  const headers = { Authorization: 'Bearer t' }
  assert.match(server.url, /^http:\/\/127\.0\.0\.1:\d+\/ollama$/)
  assert.equal((await fetch(`${server.url}/api/tags`)).status, 401)
  assert.equal((await fetch(`${server.url}/api/tags`, { headers })).status, 200)
  assert.equal((await fetch(new URL('/api/tags', server.url), { headers })).status, 404)
  assert.equal(server.requests[1]?.path, '/api/tags')
  assert.deepEqual(server.problems, [])
})

const socketPath = join(tmpdir(), `ollama-server-test-${process.pid}.sock`)
withServer(
  'a server can listen on a unix socket',
  { socketPath, skip: process.platform === 'win32' },
  async (server) => {
    const status = await new Promise((resolve, reject) => {
      const outgoing = request({ socketPath, path: '/api/version' }, (incoming) => {
        incoming.resume()
        resolve(incoming.statusCode)
      })
      outgoing.on('error', reject)
      outgoing.end()
    })
    assert.equal(status, 200)
    assert.equal(server.url, 'http://localhost')
  },
)

test('closing ends what is still open', async () => {
  const server = await startOllamaServer()
  server.fail({}, { kind: 'stall' })
  const pending = fetch(`${server.url}/api/version`)
  await server.waitForRequest({})
  assert.equal(server.stats.openConnections(), 1)
  await Promise.all([server.close(), assert.rejects(pending)])
  await server.close()
})
