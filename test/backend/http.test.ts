import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer as createHttpServer, type RequestListener } from 'node:http'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { parseReference } from '../../src/artifact/reference.ts'
import { parseAddress } from '../../src/backend/address.ts'
import type { Backend, PullProgress } from '../../src/backend/backend.ts'
import { createHostBackend, type HostBackendOptions } from '../../src/backend/http.ts'
import { probeServer } from '../../src/backend/probe.ts'
import { type ErrorCode, OllamaConfigError } from '../../src/errors.ts'
import { shownModel } from '../support/memory-backend.ts'
import {
  type Fault,
  type ListingDefect,
  type OllamaServer,
  type OllamaServerOptions,
  startOllamaServer,
} from '../support/ollama-server.ts'

async function start(
  t: TestContext,
  options: OllamaServerOptions = {},
  connection: Partial<HostBackendOptions> = {},
): Promise<{ server: OllamaServer; backend: Backend }> {
  const server = await startOllamaServer(options)
  t.after(() => server.close())
  return { server, backend: createHostBackend({ address: parseAddress(server.url), ...connection }) }
}

/** A server that answers what `startOllamaServer` never would. Gives its address. */
async function serve(t: TestContext, listener: RequestListener): Promise<string> {
  const server = createHttpServer((incoming, outgoing) => {
    incoming.on('error', () => {})
    listener(incoming, outgoing)
  })
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  return `http://127.0.0.1:${address.port}`
}

/** The error of a promise, which must look as every error for people does. */
async function failure(promise: Promise<unknown>): Promise<OllamaConfigError> {
  const error = await promise.then(
    (value) => assert.fail(`it did not fail but gave ${JSON.stringify(value)}`),
    (reason: unknown) => reason,
  )
  assert.ok(error instanceof OllamaConfigError, String(error))
  for (const text of [error.message, error.hint ?? '']) {
    assert.doesNotMatch(text, /[\x00-\x1f\x7f-\x9f\u202a-\u202e]|\.$/, `unfit for a terminal: ${JSON.stringify(text)}`)
    assert.ok(text.length < 800, `too long: ${text}`)
  }
  assert.notEqual(error.message, '')
  assert.doesNotThrow(() => JSON.stringify(error.details))
  return error
}

async function failsWith(code: ErrorCode, says: RegExp, promise: Promise<unknown>): Promise<OllamaConfigError> {
  const error = await failure(promise)
  assert.equal(error.code, code, error.message)
  assert.match(`${error.message} | ${error.hint ?? ''}`, says)
  return error
}

async function pull(
  backend: Backend,
  name: string,
  options: { insecure?: boolean; signal?: AbortSignal } = {},
): Promise<PullProgress[]> {
  const lines: PullProgress[] = []
  for await (const line of backend.pull(parseReference(name), { insecure: false, ...options })) lines.push(line)
  return lines
}

/** The npm client prints what it cannot read: nothing of that may reach the terminal. */
function listenToConsole(t: TestContext): () => number {
  const mocks = (['log', 'warn', 'error', 'info', 'debug'] as const).map((name) =>
    t.mock.method(console, name, () => {}),
  )
  return () => mocks.reduce((sum, { mock }) => sum + mock.callCount(), 0)
}

// --- Reading the state -------------------------------------------------------------------------------------------------

test('reads a recorded listing', async (t) => {
  const file = new URL('../fixtures/transcripts/tags-many.json', import.meta.url)
  const { exchanges } = JSON.parse(await readFile(file, 'utf8'))
  const { body } = exchanges.find(
    (exchange: { request: { path: string } }) => exchange.request.path === '/api/tags',
  ).response
  const { server, backend } = await start(t)
  server.fail({ path: '/api/tags' }, { kind: 'body', body: JSON.stringify(body) })
  const { models, serverVersion, unreadable } = await backend.readState()
  assert.equal(serverVersion, '0.33.0')
  assert.deepEqual(unreadable, [])
  assert.deepEqual(
    models.map(({ name, digest, sizeBytes, parentModel, remoteHost }) => ({
      name,
      digest: digest.slice(0, 15),
      sizeBytes,
      parentModel,
      remoteHost,
    })),
    [
      {
        name: 'cloud-stub:latest',
        digest: 'sha256:d289c7a2',
        sizeBytes: 318,
        parentModel: undefined,
        remoteHost: 'https://ollama.com:11434',
      },
      {
        name: 'small-alias:latest',
        digest: 'sha256:a2aa5b22',
        sizeBytes: 1327,
        parentModel: undefined,
        remoteHost: undefined,
      },
      {
        name: 'derived:v1',
        digest: 'sha256:3aaeb3d4',
        sizeBytes: 1027,
        parentModel: 'small:latest',
        remoteHost: undefined,
      },
      {
        name: '127.0.0.1:5060/library/chatty:8b',
        digest: 'sha256:2a120ab2',
        sizeBytes: 1736,
        parentModel: undefined,
        remoteHost: undefined,
      },
      {
        name: 'team-a/notes:q8_0',
        digest: 'sha256:b315aea6',
        sizeBytes: 1129,
        parentModel: undefined,
        remoteHost: undefined,
      },
      {
        name: 'small:latest',
        digest: 'sha256:a2aa5b22',
        sizeBytes: 1327,
        parentModel: undefined,
        remoteHost: undefined,
      },
    ],
  )
  const { cloud, ...reference } = models[3]?.reference ?? {}
  assert.deepEqual(reference, { host: '127.0.0.1:5060', namespace: 'library', model: 'chatty', tag: '8b' })
  assert.equal(cloud, false)
})

test('an empty server, and one that writes an empty list as null', async (t) => {
  const { server, backend } = await start(t, { version: '0.17.0' })
  assert.deepEqual(await backend.readState(), { serverVersion: '0.17.0', models: [], unreadable: [] })
  server.fail({ path: '/api/tags' }, { kind: 'body', body: '{"models":null}' })
  assert.deepEqual(await backend.readState(), { serverVersion: '0.17.0', models: [], unreadable: [] })
})

const defects: Readonly<Record<ListingDefect, ErrorCode | 'fine'>> = {
  'models-missing': 'host-not-ollama',
  'models-null': 'fine',
  'entry-null': 'invalid-response',
  'name-missing': 'invalid-response',
  'name-number': 'invalid-response',
  'name-invalid': 'fine',
  'digest-missing': 'invalid-response',
  'digest-short': 'invalid-response',
  'digest-prefixed': 'fine',
  'size-missing': 'invalid-response',
  'size-text': 'invalid-response',
  'details-missing': 'fine',
  'duplicate-entry': 'fine',
}
for (const [defect, outcome] of Object.entries(defects)) {
  test(`a listing with the defect ${defect}: ${outcome}`, async (t) => {
    const { server, backend } = await start(t, { models: ['a', 'b'] })
    const known: readonly string[] = Object.keys(defects)
    assert.ok(isDefect(defect))
    server.fail({ path: '/api/tags' }, { kind: 'corrupt-listing', defect })
    if (outcome === 'fine') {
      const { models } = await backend.readState()
      for (const { digest } of models) assert.match(digest, /^sha256:[0-9a-f]{64}$/)
    } else {
      const error = await failure(backend.readState())
      assert.equal(error.code, outcome)
      if (outcome === 'invalid-response') assert.match(error.message, /models\[0\]/)
    }

    function isDefect(text: string): text is ListingDefect {
      return known.includes(text)
    }
  })
}

test('names that are no reference are told apart, fit to print, and do not hide the rest', async (t) => {
  const { server, backend } = await start(t, { models: ['a', 'b'] })
  server.fail(
    { path: '/api/tags' },
    {
      kind: 'edit',
      edit: (body) => {
        assert.ok(typeof body === 'object' && body !== null && 'models' in body && Array.isArray(body.models))
        return {
          models: [...body.models, { name: 'evil\u001b[2J\nname' }, { name: ' a:latest' }, { name: 'a/b/c/d:e' }],
        }
      },
    },
  )
  const { models, unreadable } = await backend.readState()
  assert.deepEqual(models.map(({ name }) => name).sort(), ['a:latest', 'b:latest'])
  assert.deepEqual(unreadable, ['evil name', 'a:latest', 'a/b/c/d:e'])
})

test('a tag called local keeps its own identity', async (t) => {
  const { server, backend } = await start(t, { models: ['a'] })
  server.fail(
    { path: '/api/tags' },
    { kind: 'body', body: JSON.stringify({ models: [{ name: 'a:local', size: 1, digest: '0'.repeat(64) }] }) },
  )
  assert.equal((await backend.readState()).models[0]?.reference.tag, 'local')
})

for (const [what, fault] of [
  ['404', { kind: 'status', status: 404 }],
  ['something else', { kind: 'body', body: '{"version":{"major":1}}' }],
  ['no JSON', { kind: 'body', body: '<html>' }],
  ['a reset', { kind: 'reset' }],
] as const satisfies readonly (readonly [string, Fault])[]) {
  test(`a version that cannot be had (${what}) does not stop the listing`, async (t) => {
    const { server, backend } = await start(t, { models: ['a'] })
    server.fail({ path: '/api/version' }, fault)
    const { serverVersion, models } = await backend.readState()
    assert.equal(serverVersion, null)
    assert.equal(models.length, 1)
  })
}

test('a version that does not come holds up nothing', { timeout: 20_000 }, async (t) => {
  const { server, backend } = await start(t, { models: ['a'] })
  server.fail({ path: '/api/version' }, { kind: 'stall' })
  const { serverVersion, models } = await backend.readState()
  assert.equal(serverVersion, null)
  assert.equal(models.length, 1)
  await server.waitForRequest({ path: '/api/version', aborted: true })
})

test('an abort while the version is missing throws the reason itself', async (t) => {
  const { server, backend } = await start(t, { models: ['a'] })
  server.fail({ path: '/api/version' }, { kind: 'stall' })
  const controller = new AbortController()
  const reading = backend.readState({ signal: controller.signal })
  await Promise.all([server.waitForRequest({ path: '/api/tags' }), server.waitForRequest({ path: '/api/version' })])
  controller.abort('enough')
  await assert.rejects(reading, (error) => error === 'enough')
  await server.waitForRequest({ path: '/api/version', aborted: true })
})

const page = '<!doctype html>\n<html><body>\u001b[31mWelcome to nginx.</body></html>'
const listingFaults: readonly (readonly [what: string, fault: Fault, code: ErrorCode, says: RegExp])[] = [
  ['a web page', { kind: 'body', body: page, contentType: 'text/html' }, 'host-not-ollama', /Welcome to nginx/],
  ['plain text', { kind: 'body', body: 'hello', contentType: 'text/plain' }, 'host-not-ollama', /gave hello/],
  ['nothing', { kind: 'body', body: '' }, 'host-not-ollama', /gave nothing/],
  ['a JSON text', { kind: 'body', body: '"Ollama is running"' }, 'host-not-ollama', /is not Ollama/],
  ['a JSON list', { kind: 'body', body: '[]' }, 'host-not-ollama', /is not Ollama/],
  ['other JSON', { kind: 'body', body: '{"object":"list","data":[]}' }, 'host-not-ollama', /no list of models/],
  ['half JSON', { kind: 'body', body: '{"models":[{"name":"a' }, 'invalid-response', /broken JSON/],
  ['models that are no list', { kind: 'body', body: '{"models":{}}' }, 'invalid-response', /"models" is not a list/],
  ['404 as text', { kind: 'status', status: 404, body: '404 page not found' }, 'host-not-ollama', /404.*path prefix/],
  ['404 as a page', { kind: 'status', status: 404, body: page, contentType: 'text/html' }, 'host-not-ollama', /404/],
  [
    '404 in JSON',
    { kind: 'status', status: 404, body: '{"error":"not found"}', contentType: 'application/json' },
    'host-not-ollama',
    /404/,
  ],
  ['405', { kind: 'status', status: 405 }, 'host-not-ollama', /405/],
  ['401', { kind: 'status', status: 401, body: 'Unauthorized\n' }, 'host-unauthorized', /"headers" in the config/],
  ['407', { kind: 'status', status: 407 }, 'host-unauthorized', /407/],
  ['an empty 403', { kind: 'status', status: 403 }, 'host-forbidden', /Host header/],
  [
    '400 in JSON',
    { kind: 'status', status: 400, body: '{"error":"stat /m/x: no such file or directory"}' },
    'host-error',
    /leads nowhere.*\/m\/x.*remove that entry/,
  ],
  [
    '500 after a dangling link',
    { kind: 'status', status: 500, body: '{"error":"stat /m/x: no such file or directory"}' },
    'host-error',
    /restart the server/,
  ],
  [
    '500 in JSON',
    { kind: 'status', status: 500, body: '{"error":"boom\\u001b[31m\\nred"}' },
    'host-error',
    /status 500: boom red.*log of the server/,
  ],
  ['500 as text', { kind: 'status', status: 500, body: 'boom' }, 'host-error', /status 500/],
  [
    '502 of a proxy',
    { kind: 'status', status: 502, body: page, contentType: 'text/html' },
    'host-unreachable',
    /proxy/,
  ],
  [
    '503',
    { kind: 'status', status: 503, body: '{"error":"server busy, please try again"}' },
    'host-error',
    /server busy.*OLLAMA_MAX_QUEUE/,
  ],
  ['429', { kind: 'status', status: 429 }, 'host-error', /429/],
  ['a redirect', { kind: 'status', status: 301 }, 'host-not-ollama', /redirect/],
  ['204', { kind: 'status', status: 204 }, 'host-not-ollama', /^(?!.*redirect).* status 204, where Ollama says 200/],
  ['206', { kind: 'status', status: 206, body: '{"mo' }, 'host-not-ollama', /^(?!.*redirect).* status 206/],
  ['304', { kind: 'status', status: 304 }, 'host-not-ollama', /^(?!.*redirect).* status 304/],
  ['a connection closed at once', { kind: 'refuse' }, 'host-unreachable', /broke off/],
  ['a reset', { kind: 'reset' }, 'host-unreachable', /broke off/],
  ['a reset in the middle', { kind: 'reset', afterBytes: 5 }, 'host-unreachable', /broke off/],
]
for (const [what, fault, code, says] of listingFaults) {
  test(`listing meets ${what}: ${code}`, async (t) => {
    const { server, backend } = await start(t, { models: ['a'] })
    server.fail({ path: '/api/tags' }, fault)
    const error = await failsWith(code, says, backend.readState())
    assert.ok(error.message.includes(server.url), error.message)
    assert.ok(error.hint !== undefined && error.hint !== '')
    server.heal()
    assert.equal((await backend.readState()).models.length, 1)
  })
}

test('an error page of a megabyte is cut', async (t) => {
  const { server, backend } = await start(t)
  server.fail(
    { path: '/api/tags' },
    { kind: 'status', status: 500, body: JSON.stringify({ error: 'x'.repeat(1_000_000) }) },
  )
  await failsWith('host-error', /500/, backend.readState())
  server.heal()
  server.fail({ path: '/api/tags' }, { kind: 'body', body: 'y'.repeat(1_000_000) })
  await failsWith('host-not-ollama', /y…/, backend.readState())
})

test('a server that does not answer', async (t) => {
  const { server, backend } = await start(t, { models: ['a'] }, { silenceMs: 30 })
  server.fail({}, { kind: 'stall' })
  await failsWith('host-timeout', /does not answer GET \/api\/tags/, backend.readState())
  await failsWith('host-timeout', /POST \/api\/show/, backend.show('a:latest'))
  await failsWith('host-timeout', /DELETE \/api\/delete/, backend.delete('a:latest'))
})

test('a server that drips', { timeout: 20_000 }, async (t) => {
  const url = await serve(t, (_, outgoing) => {
    outgoing.writeHead(200)
    const timer = setInterval(() => outgoing.write(' '), 5)
    outgoing.on('close', () => clearInterval(timer))
  })
  const backend = createHostBackend({ address: parseAddress(url), totalMs: 100 })
  await failsWith('host-timeout', /GET \/api\/tags in time: not complete after 100 ms/, backend.readState())
  await failsWith('host-timeout', /POST \/api\/show/, backend.show('a:latest'))
  await failsWith('host-timeout', /DELETE \/api\/delete/, backend.delete('a:latest'))
})

for (const [location, shown] of [
  ['http://u:hunter2@h/x?key=hunter2', 'http://h/x'],
  ['//u:hunter2@h/x', '//h/x'],
  ['HTTP+X://u:hunter2@h/', 'HTTP+X://h/'],
  ['x1.y-z://u:a@hunter2@h', 'x1.y-z://h'],
  ['http:\\\\u:hunter2@h', 'h'],
  ['http:/u:hunter2@h/', 'http:/h/'],
  ['u:hunter2@h/x', 'h/x'],
  ['/sign-in#hunter2', '/sign-in'],
] as const) {
  test(`a redirect to ${location} is shown as ${shown}`, async (t) => {
    const url = await serve(t, (_, outgoing) => outgoing.writeHead(302, { location }).end())
    const error = await failure(createHostBackend({ address: parseAddress(url) }).readState())
    assert.ok(error.message.endsWith(`a redirect that leads to ${shown}`), error.message)
  })
}

test('nobody listens: the hint says how to start a server', async (t) => {
  const address = await unusedAddress()
  const backend = createHostBackend({ address: parseAddress(address) })
  const error = await failsWith('host-unreachable', /connection refused.*"ollama-config setup"/, backend.readState())
  assert.ok(error.message.includes(address))
  await failsWith('host-unreachable', /connection refused/, backend.show('a'))
  await failsWith('host-unreachable', /connection refused/, backend.delete('a'))
  await failsWith('host-unreachable', /connection refused/, pull(backend, 'a'))
  t.diagnostic(error.message)
})

test('a host name that does not exist', async () => {
  // RFC 2606 keeps this name free for ever. Without any name service the code may be EAI_AGAIN.
  await failsWith(
    'host-unreachable',
    /cannot be resolved/,
    createHostBackend({ address: parseAddress('nowhere.invalid') }).readState(),
  )
})

test('https where http is spoken', async (t) => {
  const { server } = await start(t)
  const backend = createHostBackend({ address: parseAddress(server.url.replace('http:', 'https:')), silenceMs: 5000 })
  await failsWith('host-unreachable', /https:/, backend.readState())
})

test('an aborted listing throws the reason itself', async (t) => {
  const { server, backend } = await start(t)
  server.fail({}, { kind: 'stall' })
  const controller = new AbortController()
  const reading = backend.readState({ signal: controller.signal })
  await Promise.all([server.waitForRequest({ path: '/api/tags' }), server.waitForRequest({ path: '/api/version' })])
  controller.abort('enough')
  await assert.rejects(reading, (error) => error === 'enough')
  await Promise.all([
    server.waitForRequest({ path: '/api/tags', aborted: true }),
    server.waitForRequest({ path: '/api/version', aborted: true }),
  ])
})

test('a failed listing does not leave the version request behind', async (t) => {
  const { server, backend } = await start(t)
  server.fail({ path: '/api/version' }, { kind: 'stall' })
  server.fail({ path: '/api/tags' }, { kind: 'status', status: 500 })
  await failsWith('host-error', /500/, backend.readState())
  await server.waitForRequest({ path: '/api/version', aborted: true })
})

// --- The way there -----------------------------------------------------------------------------------------------------

test('path prefix and headers go with every request', async (t) => {
  const { server, backend } = await start(
    t,
    { models: ['a'], registry: ['b'], basePath: '/ollama', requireHeaders: { 'X-Key': 'k1' } },
    { headers: { 'x-key': 'k1', 'User-Agent': 'mine' } },
  )
  await backend.readState()
  await backend.show('a:latest')
  await pull(backend, 'b')
  await backend.delete('a:latest')
  assert.deepEqual(server.problems, [])
  for (const { target, headers, status } of server.requests) {
    assert.match(target, /^\/ollama\/api\//)
    assert.equal(headers['user-agent'], 'mine')
    assert.equal(status, 200)
  }
})

test('user info of the address is sent, and the config wins over it', async (t) => {
  const server = await startOllamaServer({
    requireHeaders: { authorization: `Basic ${Buffer.from('me:secret').toString('base64')}` },
  })
  t.after(() => server.close())
  const address = parseAddress(server.url.replace('http://', 'http://me:secret@'))
  await createHostBackend({ address }).readState()
  const error = await failsWith(
    'host-unauthorized',
    /401/,
    createHostBackend({ address, headers: { Authorization: 'Bearer other' } }).readState(),
  )
  assert.doesNotMatch(`${error.message}${error.hint}${JSON.stringify(error.details)}`, /secret|other/)
  assert.doesNotMatch(createHostBackend({ address }).address, /secret|me/)
})

for (const [what, headers, user, echoed] of [
  ['a header', { 'X-Key': 'hunter2-key' }, '', 'hunter2-key'],
  ['a token with its scheme', { Authorization: 'Bearer hunter2-key' }, '', 'Bearer hunter2-key'],
  ['a token', { authorization: 'bearer  hunter2-key ' }, '', 'hunter2-key'],
  ['the user info of the address, encoded', {}, 'me:hunter2@', Buffer.from('me:hunter2').toString('base64')],
  ['the password of the address', {}, 'me:hunter2%2F@', 'hunter2/'],
  ['a user name that is a token', {}, 'hunter2@', 'hunter2'],
  ['user info that the config wins over', { authorization: 'other' }, 'me:hunter2@', 'hunter2'],
] as const) {
  test(`a server that echoes ${what}`, async (t) => {
    const server = await startOllamaServer({ models: ['a'], registry: ['a'] })
    t.after(() => server.close())
    const address = parseAddress(server.url.replace('http://', `http://${user}`))
    const backend = createHostBackend({ address, headers })
    const said = `no entry for ${echoed}, sorry`
    const refused: Fault = { kind: 'status', status: 401, body: JSON.stringify({ error: said }) }
    const page: Fault = { kind: 'body', body: `${said}\n` }
    // 79 characters of it are shown, the last six those of what is echoed.
    const cut: Fault = { kind: 'body', body: `${'x'.repeat(72)} ${echoed}${'y'.repeat(99)}\n` }
    const stream = JSON.stringify({ error: `pull model manifest: 500: ${said}` })
    const calls = {
      list: () => backend.readState(),
      show: () => backend.show('a'),
      delete: () => backend.delete('a'),
      pull: () => pull(backend, 'a'),
    }
    for (const [call, faults] of [
      ['list', [refused, page, cut]],
      ['show', [refused, page, cut]],
      ['delete', [refused]],
      ['pull', [refused, page, cut, { kind: 'line', line: stream }]],
    ] as const) {
      for (const fault of faults) {
        server.heal()
        server.fail({}, fault)
        const { message, hint, details, stack } = await failure(calls[call]())
        const shown = `${message} ${hint} ${JSON.stringify(details)} ${stack}`
        assert.ok(!shown.includes(echoed) && !shown.includes('hunter'), `${call}: ${shown}`)
        assert.match(message, /\*\*\*/)
      }
    }
  })
}

test('a server that echoes a secret as its version, or as what it is doing', async (t) => {
  const server = await startOllamaServer({ registry: ['a'], version: '0.33.0-hunter2' })
  t.after(() => server.close())
  const options = { address: parseAddress(server.url), headers: { 'X-Key': 'hunter2' } }
  const backend = createHostBackend(options)
  assert.equal((await backend.readState()).serverVersion, '0.33.0-***')
  const { version } = await probeServer({ ...options, limitMs: 60_000 })
  assert.deepEqual(version, { value: '0.33.0-***' })
  server.fail({ path: '/api/pull' }, { kind: 'line', line: '{"status":"as hunter2"}\n{"status":"success"}' })
  assert.deepEqual(await pull(backend, 'a'), [{ status: 'as ***' }, { status: 'success' }])
})

test('what is no secret stays in messages', async (t) => {
  const { server } = await start(t)
  const backend = createHostBackend({
    address: parseAddress(server.url.replace('127.0.0.1', 'localhost')),
    headers: { host: 'localhost', 'user-agent': 'ollama', 'x-flag': '1' },
  })
  await server.close()
  await failsWith('host-unreachable', /at http:\/\/localhost:\d+: .*"ollama-config setup"/, backend.readState())
})

test("the server's guard against foreign Host headers", async (t) => {
  const { backend } = await start(t, {}, { headers: { host: 'evil.example' } })
  await failsWith('host-forbidden', /reverse proxy/, backend.readState())
})

test('a unix socket', { skip: process.platform === 'win32' && 'no unix sockets' }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'oc-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const socketPath = join(folder, 'ollama.sock')
  const server = await startOllamaServer({ socketPath, models: ['a'], registry: ['b'] })
  t.after(() => server.close())
  const backend = createHostBackend({ address: parseAddress(`unix://${socketPath}`) })
  assert.equal((await backend.readState()).models.length, 1)
  await pull(backend, 'b')
  assert.deepEqual(server.installed(), ['a:latest', 'b:latest'])
  await failsWith(
    'host-unreachable',
    /no such socket/,
    createHostBackend({ address: parseAddress(`unix://${folder}/none`) }).readState(),
  )
})

test('the log has every request and no secret', async (t) => {
  const entries: unknown[] = []
  const log = (message: string, fields?: Record<string, unknown>) => void entries.push({ message, ...fields })
  const logger = { debug: log, info: log, warn: log, error: log }
  const server = await startOllamaServer({ models: ['a'] })
  t.after(() => server.close())
  const backend = createHostBackend({
    address: parseAddress(server.url.replace('http://', 'http://me:hunter2@')),
    headers: { 'x-key': 'hunter3' },
    logger,
  })
  await backend.show('a:latest')
  await failure(backend.show('nope'))
  const text = JSON.stringify(entries)
  assert.doesNotMatch(text, /hunter/)
  assert.deepEqual(
    JSON.parse(text).map(({ method, path, status, host }: Record<string, unknown>) => ({ method, path, status, host })),
    [200, 404].map((status) => ({ method: 'POST', path: '/api/show', status, host: server.url })),
  )
})

test('a log that cannot be written harms no request', async (t) => {
  const log = () => {
    throw new Error('ENOSPC')
  }
  const { backend } = await start(
    t,
    { models: ['a'], registry: ['b'] },
    { logger: { debug: log, info: log, warn: log, error: log } },
  )
  const { models, serverVersion } = await backend.readState()
  assert.equal(models.length, 1)
  assert.equal(serverVersion, '0.33.0')
  assert.equal((await pull(backend, 'b')).at(-1)?.status, 'success')
  await failsWith('model-not-found', /nope/, backend.show('nope'))
})

// --- Pulling -----------------------------------------------------------------------------------------------------------

test('a pull tells its progress', async (t) => {
  const { server, backend } = await start(t, { registry: [{ name: 'big', bytesPerTick: 1000 }] })
  const lines = await pull(backend, 'big')
  assert.equal(lines[0]?.status, 'pulling manifest')
  assert.equal(lines.at(-1)?.status, 'success')
  const layers = lines.filter(({ digest }) => digest !== undefined)
  assert.ok(layers.length > 0)
  for (const { digest, totalBytes, completedBytes } of layers) {
    assert.match(digest ?? '', /^sha256:/)
    assert.ok(totalBytes !== undefined && (completedBytes ?? 0) <= totalBytes)
  }
  assert.deepEqual(server.installed(), ['big:latest'])
  assert.deepEqual(server.problems, [])
})

test('what is sent is the short name with its tag, and whether plain http is meant', async (t) => {
  const { server, backend } = await start(t, { registry: [{ name: '127.0.0.1:5060/a/b:c', plainHttp: true }, 'd'] })
  await pull(backend, '127.0.0.1:5060/a/b:c', { insecure: true })
  await pull(backend, 'registry.ollama.ai/library/d')
  assert.deepEqual(
    server.requests.map(({ body }) => body),
    [
      { name: '127.0.0.1:5060/a/b:c', stream: true, insecure: true },
      { name: 'd:latest', stream: true, insecure: false },
    ],
  )
})

test('lines that arrive a byte at a time', async (t) => {
  const { server, backend } = await start(t, { registry: ['a'] })
  server.fail({ path: '/api/pull' }, { kind: 'pieces', bytes: 1 })
  assert.deepEqual(
    (await pull(backend, 'a')).map(({ status }) => status),
    ['pulling manifest', 'verifying sha256 digest', 'writing manifest', 'success'],
  )
})

const dial = 'Get "https://registry.ollama.ai/v2/library/m/manifests/latest": dial tcp'
// The texts of the recordings, then those of Go and of operating systems that could not be recorded.
const pullTexts: readonly (readonly [text: string, code: ErrorCode, says: RegExp])[] = [
  ['pull model manifest: file does not exist', 'model-not-found', /no such model or tag.*ollama\.com\/library\/m$/],
  ['file does not exist', 'registry-error', /lacks a part/],
  [
    'pull model manifest: 412: \n\nThe model you are attempting to pull requires a newer version of Ollama.\n\nPlease download the latest version at:\n\n\thttps://ollama.com/download\n\n',
    'server-too-old',
    /newer Ollama than 0\.33\.0.*update Ollama/,
  ],
  ['pull model manifest: unauthorized: access denied', 'registry-unauthorized', /id_ed25519\.pub/],
  [
    'pull model manifest: realm host "auth.example.com" does not match original host "127.0.0.1:5060"',
    'registry-unauthorized',
    /refuses access/,
  ],
  [
    'pull model manifest: realm host "" does not match original host "127.0.0.1:5060"',
    'registry-unauthorized',
    /refuses access/,
  ],
  [
    'pull model manifest: realm host "huggingface.co" does not match original host "hf.co"',
    'registry-unauthorized',
    /write huggingface\.co/,
  ],
  [
    'pull model manifest: open /usr/share/ollama/.ollama/id_ed25519: no such file or directory',
    'registry-unauthorized',
    /ollama signin/,
  ],
  [
    'pull model manifest: 500: {"errors":[{"code":"UNKNOWN","message":"internal server error"}]}',
    'registry-error',
    /status 500.*internal server error.*later/,
  ],
  ['pull model manifest: 503: upstream busy\n', 'registry-error', /503/],
  [
    'pull model manifest: 429: {"errors":[{"code":"TOOMANYREQUESTS","message":"rate limit"}]}',
    'registry-error',
    /wait and try again/,
  ],
  ['pull model manifest: 403: {"errors":[{"code":"DENIED","message":"denied"}]}', 'registry-unauthorized', /denied/],
  ['pull model manifest: 401: no', 'registry-unauthorized', /401/],
  [
    'pull model manifest: 400: The specified tag is not a valid quantization scheme. Please use another tag',
    'registry-error',
    /quantization scheme/,
  ],
  ['pull model manifest: 404: {"errors":[]}', 'model-not-found', /404/],
  // A registry chooses the words after the status.
  ['pull model manifest: 500: no space left on device', 'registry-error', /status 500/],
  ['500: ', 'registry-error', /status 500/],
  ['digest mismatch, file must be downloaded again: want sha256:475c, got sha256:6c68', 'digest-mismatch', /damaged/],
  ['max retries exceeded: EOF', 'registry-unreachable', /does not reach.*HTTPS_PROXY/],
  ['http: no Location header in response', 'registry-error', /registry for Ollama models/],
  ['unexpected status code 302', 'registry-error', /registry for Ollama models/],
  ['pull model manifest: unexpected end of JSON input', 'registry-error', /no manifest/],
  ["pull model manifest: invalid character '<' looking for beginning of value", 'registry-error', /no manifest/],
  ['this model requires MLX support, but the MLX runtime is not available', 'host-error', /MLX.*GGUF/],
  [
    'pull model manifest: Get "https://127.0.0.1:5060/v2/library/small/manifests/latest": tls: first record does not look like a TLS handshake',
    'registry-unreachable',
    /insecure: true/,
  ],
  [
    'pull model manifest: Get "https://h/": http: server gave HTTP response to HTTPS client',
    'registry-unreachable',
    /insecure: true/,
  ],
  [
    `pull model manifest: ${dial} 127.0.0.1:9: connect: connection refused`,
    'registry-unreachable',
    /connection is made by the server process.*HTTPS_PROXY/,
  ],
  [
    `pull model manifest: ${dial}: lookup registry.ollama.ai on 127.0.0.53:53: no such host`,
    'registry-unreachable',
    /HTTPS_PROXY/,
  ],
  [`pull model manifest: ${dial} 1.2.3.4:443: i/o timeout`, 'registry-unreachable', /HTTPS_PROXY/],
  ['pull model manifest: Get "https://h/": net/http: TLS handshake timeout', 'registry-unreachable', /HTTPS_PROXY/],
  [
    'pull model manifest: Get "https://h/": tls: failed to verify certificate: x509: certificate signed by unknown authority',
    'registry-unreachable',
    /trusted on the machine of the server/,
  ],
  ['read tcp 10.0.0.2:5->1.2.3.4:443: read: connection reset by peer', 'registry-unreachable', /HTTPS_PROXY/],
  ['write $OLLAMA_MODELS/blobs/sha256-aae8-partial: no space left on device', 'disk-full', /free space/],
  ['write C:\\m\\blobs\\x-partial: There is not enough space on the disk.', 'disk-full', /free space/],
  [
    'open $OLLAMA_MODELS/manifests/registry.ollama.ai/library/small/latest: permission denied',
    'host-error',
    /belong to the user/,
  ],
  ['mkdir /m: read-only file system', 'host-error', /may not write/],
  ['something new\u001b[31m\nin red', 'host-error', /something new in red/],
  ['', 'host-error', /log of the server/],
]
for (const [text, code, says] of pullTexts) {
  test(`a pull that ends with ${JSON.stringify(text).slice(0, 90)}: ${code}`, async (t) => {
    const { server, backend } = await start(t, { registry: [{ name: 'm', error: { text } }] })
    await backend.readState()
    const printed = listenToConsole(t)
    const error = await failsWith(code, says, pull(backend, 'm'))
    assert.match(error.message, /^Model "m:latest" cannot be pulled: /)
    assert.equal(printed(), 0)
    assert.deepEqual(server.installed(), [])
  })
}

test('a model of another registry is looked up there', async (t) => {
  const { backend } = await start(t)
  await failsWith(
    'model-not-found',
    /registry\.corp:5000 has no such model.*at registry\.corp:5000$/,
    pull(backend, 'registry.corp:5000/team/base:1'),
  )
  await failsWith('model-not-found', /https:\/\/ollama\.com\/me\/mine$/, pull(backend, 'me/mine'))
})

test('too old, by a version that was never read', async (t) => {
  const { backend } = await start(t, { registry: [{ name: 'm', error: 'too-new' }] })
  await failsWith('server-too-old', /newer Ollama than the server has/, pull(backend, 'm'))
})

const pullFaults: readonly (readonly [what: string, fault: Fault, code: ErrorCode, says: RegExp])[] = [
  ['an end without success', { kind: 'end', afterLines: 2 }, 'stream-ended', /broke off/],
  ['an end without a line', { kind: 'end', afterLines: 0 }, 'stream-ended', /broke off/],
  ['half a line at the end', { kind: 'truncate', afterLines: 2 }, 'stream-ended', /broke off/],
  ['a reset in the middle', { kind: 'reset', afterLines: 2 }, 'stream-ended', /try again/],
  ['a reset in a line', { kind: 'reset', afterBytes: 40 }, 'stream-ended', /try again/],
  ['garbage', { kind: 'line', line: 'oops' }, 'host-not-ollama', /gave oops/],
  ['a broken line', { kind: 'line', line: '{"status":' }, 'invalid-response', /broken JSON/],
  ['null', { kind: 'line', line: 'null' }, 'host-not-ollama', /gave null/],
  ['a number', { kind: 'line', line: '1' }, 'host-not-ollama', /gave 1/],
  ['a list', { kind: 'line', line: '[{"status":"success"}]' }, 'host-not-ollama', /is not Ollama/],
  ['a status that is no text', { kind: 'line', line: '{"status":7}' }, 'invalid-response', /"status"/],
  [
    'an error that is no text',
    { kind: 'line', line: '{"error":{"message":"x"}}' },
    'invalid-response',
    /"error" is not a text/,
  ],
  ['done without success', { kind: 'line', line: '{"done":true}' }, 'stream-ended', /broke off/],
  ['a line of two megabytes', { kind: 'line', line: 'x'.repeat(2_000_000) }, 'invalid-response', /too long/],
  ['404 of another server', { kind: 'status', status: 404, body: page }, 'host-not-ollama', /404/],
  ['500 as text', { kind: 'status', status: 500, body: 'boom' }, 'host-error', /500/],
  [
    '500 in JSON',
    { kind: 'status', status: 500, body: '{"error":"pull model manifest: file does not exist"}' },
    'model-not-found',
    /no such model/,
  ],
  ['401', { kind: 'status', status: 401 }, 'host-unauthorized', /401/],
  [
    '400 for the name',
    { kind: 'status', status: 400, body: '{"error":"invalid model name"}' },
    'invalid-reference',
    /"a:latest"/,
  ],
  ['204', { kind: 'status', status: 204 }, 'stream-ended', /broke off/],
]
for (const [what, fault, code, says] of pullFaults) {
  test(`a pull meets ${what}: ${code}`, async (t) => {
    const { server, backend } = await start(t, { registry: ['a'] })
    server.fail({ path: '/api/pull' }, fault)
    const printed = listenToConsole(t)
    await failsWith(code, says, pull(backend, 'a'))
    assert.equal(printed(), 0, 'something was printed')
  })
}

test('of a line of 100 MB only the beginning is read', async (t) => {
  const piece = Buffer.alloc(1_000_000, 'x')
  let written = 0
  const url = await serve(t, (_, response) => {
    const write = () => {
      while (written < 100 && !response.destroyed && response.write(piece)) written++
      if (written < 100 && !response.destroyed) response.once('drain', write)
    }
    write()
  })
  await failsWith('invalid-response', /too long/, pull(createHostBackend({ address: parseAddress(url) }), 'a'))
  // The rest would be what the buffers of the system hold.
  assert.ok(written < 30, `${written} MB`)
})

test('blank lines and carriage returns are no failure', async (t) => {
  const { server, backend } = await start(t, { registry: ['a'] })
  server.fail({ path: '/api/pull' }, { kind: 'line', line: '{"status":"x"}\r\n\n \r\n{"status":"success"}' })
  const printed = listenToConsole(t)
  assert.deepEqual(await pull(backend, 'a'), [{ status: 'x' }, { status: 'success' }])
  assert.equal(printed(), 0)
})

test('the last line need not be ended', async (t) => {
  const { server, backend } = await start(t, { registry: ['a'] })
  server.fail(
    { path: '/api/pull' },
    { kind: 'body', body: '{"status":"success"}', contentType: 'application/x-ndjson' },
  )
  assert.deepEqual(await pull(backend, 'a'), [{ status: 'success' }])
})

test('odd numbers in a progress line are left out, and its words are fit to print', async (t) => {
  const { server, backend } = await start(t, { registry: ['a'] })
  server.fail(
    { path: '/api/pull' },
    {
      kind: 'line',
      line: '{"status":"pull\\u001b[31ming","digest":"sha256:1","completed":-1,"total":"many"}\n{"status":"x","digest":7,"completed":1.5,"total":9}\n{"status":"success"}',
    },
  )
  assert.deepEqual(await pull(backend, 'a'), [
    { status: 'pulling', digest: 'sha256:1' },
    { status: 'x', totalBytes: 9 },
    { status: 'success' },
  ])
})

test('an abort while the server is silent cancels the pull and throws the reason itself', async (t) => {
  const { server, backend } = await start(t, { registry: ['a'] })
  server.fail({ path: '/api/pull' }, { kind: 'stall' })
  const controller = new AbortController()
  const pulling = pull(backend, 'a', { signal: controller.signal })
  await server.waitForRequest({ path: '/api/pull' })
  const reason = new Error('SIGINT')
  controller.abort(reason)
  await assert.rejects(pulling, (error) => error === reason)
  await server.waitForRequest({ path: '/api/pull', aborted: true })
})

test('an abort in the middle cancels the pull and throws the reason itself', async (t) => {
  const { server, backend } = await start(t, { registry: ['a'] })
  server.fail({ path: '/api/pull' }, { kind: 'stall', afterLines: 1 })
  const controller = new AbortController()
  const reason = new Error('SIGINT')
  const lines: string[] = []
  await assert.rejects(
    async () => {
      for await (const { status } of backend.pull(parseReference('a'), {
        insecure: false,
        signal: controller.signal,
      })) {
        lines.push(status)
        queueMicrotask(() => controller.abort(reason))
      }
    },
    (error) => error === reason,
  )
  assert.deepEqual(lines, ['pulling manifest'])
  await server.waitForRequest({ path: '/api/pull', aborted: true })
  assert.deepEqual(server.installed(), [])
})

test('an abort holds back lines that have arrived already', async (t) => {
  const { server, backend } = await start(t, { registry: ['a'] })
  server.fail({ path: '/api/pull' }, { kind: 'body', body: '{"status":"x"}\n{"status":"y"}\n{"status":"success"}\n' })
  const controller = new AbortController()
  const lines: string[] = []
  await assert.rejects(
    async () => {
      for await (const { status } of backend.pull(parseReference('a'), {
        insecure: false,
        signal: controller.signal,
      })) {
        lines.push(status)
        controller.abort('enough')
      }
    },
    (error) => error === 'enough',
  )
  assert.deepEqual(lines, ['x'])
})

test('leaving the loop cancels the pull', async (t) => {
  const { server, backend } = await start(t, { registry: ['a'] })
  server.fail({ path: '/api/pull' }, { kind: 'stall', afterLines: 1 })
  for await (const _ of backend.pull(parseReference('a'), { insecure: false })) break
  await server.waitForRequest({ path: '/api/pull', aborted: true })
  assert.deepEqual(server.installed(), [])
})

test('a pull has no limit, neither on silence nor on all of it', async (t) => {
  const { server, backend } = await start(t, { models: ['z'], registry: ['a'] }, { silenceMs: 20, totalMs: 20 })
  server.fail({ path: '/api/pull' }, { kind: 'hold' })
  server.fail({ path: '/api/tags' }, { kind: 'stall' })
  const pulling = pull(backend, 'a')
  await server.waitForRequest({ path: '/api/pull' })
  // Two of these limits in a row pass while the pull is silent.
  await failsWith('host-timeout', /tags/, backend.readState())
  await failsWith('host-timeout', /tags/, backend.readState())
  server.release()
  assert.equal((await pulling).at(-1)?.status, 'success')
})

test('a page in the place of an answer about a blob is no blob', async (t) => {
  const { server, backend } = await start(t)
  const lookup = backend.openBlobs()
  t.after(() => lookup.close())
  const blob = { digest: `sha256:${'0'.repeat(64)}`, sizeBytes: 1 }
  assert.equal(await lookup.has(blob), false)
  server.fail({ method: 'HEAD' }, { kind: 'body', body: '', contentType: 'text/html' })
  assert.equal((await failure(lookup.has(blob))).code, 'host-not-ollama')
})

// --- One model ---------------------------------------------------------------------------------------------------------

test('show tells what a model can do', async (t) => {
  const { backend } = await start(t, { models: [{ name: 'a', capabilities: ['completion', 'tools'] }] })
  const { capabilities, family, quantization } = await backend.show('a:latest')
  assert.deepEqual(capabilities, ['completion', 'tools'])
  assert.equal(family, 'llama')
  assert.equal(quantization, 'Q4_K_M')
})

test('show of an older server, with empty details and without capabilities', async (t) => {
  const { server, backend } = await start(t, { models: ['a'] })
  server.fail({ path: '/api/show' }, { kind: 'body', body: '{"details":{"family":"","parameter_size":""}}' })
  assert.deepEqual(
    await backend.show('a'),
    shownModel({
      capabilities: [],
      family: null,
      format: null,
      parameterSize: null,
      quantization: null,
      templateSection: '',
    }),
  )
})

test('a model whose blob is gone is not found by show', async (t) => {
  const { backend, server } = await start(t, { models: ['a'] })
  await failsWith('model-not-found', /"nope:latest" is not on .*a part of it is missing/, backend.show('nope:latest'))
  for (const text of ["model 'a' not found", 'model "a" not found', 'model "a" not found, try pulling it first']) {
    server.fail({ path: '/api/show' }, { kind: 'status', status: 404, body: JSON.stringify({ error: text }) }, 1)
    await failsWith('model-not-found', /"a"/, backend.show('a'))
  }
})

for (const [what, fault, code] of [
  ['a page', { kind: 'body', body: page, contentType: 'text/html' }, 'host-not-ollama'],
  ['half JSON', { kind: 'body', body: '{"details":{' }, 'invalid-response'],
  ['no details', { kind: 'body', body: '{}' }, 'invalid-response'],
  ['capabilities that are no list', { kind: 'body', body: '{"details":{},"capabilities":"all"}' }, 'invalid-response'],
  ['500 as text', { kind: 'status', status: 500, body: 'boom' }, 'host-error'],
  ['a refused name', { kind: 'status', status: 400, body: '{"error":"invalid model name"}' }, 'invalid-reference'],
  [
    'cloud switched off',
    { kind: 'status', status: 403, body: '{"error":"ollama cloud is disabled: remote model details are unavailable"}' },
    'host-forbidden',
  ],
  ['404 of another server', { kind: 'status', status: 404, body: '404 page not found' }, 'host-not-ollama'],
  ['a reset', { kind: 'reset' }, 'host-unreachable'],
] as const satisfies readonly (readonly [string, Fault, ErrorCode])[]) {
  test(`show meets ${what}: ${code}`, async (t) => {
    const { server, backend } = await start(t, { models: ['a'] })
    server.fail({ path: '/api/show' }, fault)
    const printed = listenToConsole(t)
    await failsWith(code, /./, backend.show('a:latest'))
    assert.equal(printed(), 0, 'something was printed')
  })
}

test('delete takes an empty answer', async (t) => {
  const { server, backend } = await start(t, { models: ['a', 'b'] })
  await backend.delete('a:latest')
  assert.deepEqual(server.installed(), ['b:latest'])
  assert.deepEqual(server.problems, [])
})

for (const [what, fault, code] of [
  ['a model that is gone', { kind: 'status', status: 404, body: `{"error":"model 'a' not found"}` }, 'model-not-found'],
  [
    'a name that is refused',
    { kind: 'status', status: 400, body: '{"error":"name \\"a\\" is invalid"}' },
    'invalid-reference',
  ],
  [
    'a proxy that drops the body',
    { kind: 'status', status: 400, body: '{"error":"missing request body"}' },
    'host-error',
  ],
  [
    'a store that is read-only',
    { kind: 'status', status: 500, body: '{"error":"remove /m/latest: permission denied"}' },
    'host-error',
  ],
  ['a lost answer', { kind: 'reset' }, 'host-unreachable'],
] as const satisfies readonly (readonly [string, Fault, ErrorCode])[]) {
  test(`delete meets ${what}: ${code}`, async (t) => {
    const { server, backend } = await start(t, { models: ['a'] })
    server.fail({ path: '/api/delete' }, fault)
    const error = await failsWith(code, /./, backend.delete('a:latest'))
    if (what.includes('proxy')) assert.match(error.hint ?? '', /proxy.*drops the body/)
  })
}

test('aborted calls throw the reason itself', async (t) => {
  const { server, backend } = await start(t, { models: ['a'] })
  server.fail({}, { kind: 'stall' })
  for (const [path, call] of [
    ['/api/show', (signal: AbortSignal) => backend.show('a:latest', { signal })],
    ['/api/delete', (signal: AbortSignal) => backend.delete('a:latest', { signal })],
  ] as const) {
    const controller = new AbortController()
    const calling = call(controller.signal)
    await server.waitForRequest({ path })
    controller.abort('enough')
    await assert.rejects(calling, (error) => error === 'enough')
    await server.waitForRequest({ path, aborted: true })
  }
})

/** An address where nobody listens, as far as that can be known. */
async function unusedAddress(): Promise<string> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  await new Promise((resolve) => server.close(resolve))
  return `http://127.0.0.1:${address.port}`
}
