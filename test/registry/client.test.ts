import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer, type IncomingHttpHeaders, type RequestListener } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { parseReference, type Reference } from '../../src/artifact/reference.ts'
import { createRegistryClient, type RegistryClientOptions } from '../../src/registry/client.ts'
import type { ManifestAnswer, ManifestRequest, RegistryClient } from '../../src/registry/registry.ts'
import {
  makeOllamaKey,
  type OllamaKey,
  type ServedModel,
  startRegistry,
  type TestRegistry,
} from '../support/registry.ts'

const accept = 'application/vnd.docker.distribution.manifest.v2+json'
const content = JSON.stringify({
  schemaVersion: 2,
  config: { mediaType: 'c', digest: `sha256:${'a'.repeat(64)}`, size: 3 },
  layers: [{ mediaType: 'm', digest: `sha256:${'b'.repeat(64)}`, size: 4 }],
})

function sha256(text: string | Uint8Array): string {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`
}

/** A model at the registry that a client is pointed to, whatever the name says. */
function named(name: string, host = 'registry.test'): Reference {
  return parseReference(`${host}/${name}`)
}

function clientFor(
  t: TestContext,
  url: string,
  options: Partial<RegistryClientOptions> = {},
): RegistryClient & { ask(name: string, more?: Partial<ManifestRequest>): Promise<ManifestAnswer> } {
  const client = createRegistryClient({
    serverVersion: '0.33.0',
    env: {},
    baseUrl: () => url,
    pauseMs: 1,
    ...options,
  })
  t.after(() => client.close())
  return {
    manifest: (request) => client.manifest(request),
    blob: (request) => client.blob(request),
    close: () => client.close(),
    ask: (name, more = {}) => client.manifest({ reference: named(name), insecure: true, ...more }),
  }
}

async function registryWith(t: TestContext, models: readonly (string | ServedModel)[]): Promise<TestRegistry> {
  const registry = await startRegistry({ models: [...models] })
  t.after(() => registry.close())
  return registry
}

/** A server of the test's own, for what no registry says. */
async function serve(t: TestContext, listener: RequestListener): Promise<string> {
  const server = createServer((incoming, outgoing) => {
    incoming.on('error', () => {})
    outgoing.on('error', () => {})
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

async function keyFor(t: TestContext): Promise<OllamaKey & { readonly text: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'oc-key-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const key = await makeOllamaKey(folder)
  return { ...key, text: await readFile(key.file, 'utf8') }
}

function problemOf(answer: ManifestAnswer): string {
  assert.ok(answer.kind === 'unknown' || answer.kind === 'unauthorized', `it is ${answer.kind}`)
  assert.ok(answer.hint !== '')
  return answer.problem
}

async function isUnknown(asked: Promise<ManifestAnswer>, problem: RegExp): Promise<void> {
  const answer = await asked
  assert.equal(answer.kind, 'unknown')
  assert.match(problemOf(answer), problem)
}

async function isUnauthorized(asked: Promise<ManifestAnswer>, problem: RegExp): Promise<void> {
  const answer = await asked
  assert.equal(answer.kind, 'unauthorized')
  assert.match(problemOf(answer), problem)
}

test('the digest is that of the bytes, however they are printed', async (t) => {
  const text = `${JSON.stringify(JSON.parse(content), null, 2)}\n`
  const url = await serve(t, (_, outgoing) => outgoing.writeHead(200, { 'ollama-push-time': '1700000000' }).end(text))
  const answer = await clientFor(t, url).ask('library/x:1')
  assert.ok(answer.kind === 'found')
  assert.equal(answer.served.digest, sha256(text))
  assert.equal(answer.served.text, text)
  assert.equal(answer.served.manifest.layers.length, 1)
  assert.equal(answer.served.pushedAt, '2023-11-14T22:13:20.000Z')
})

test('a push time that is none is not told', async (t) => {
  for (const time of ['soon', '-5', '1e9', '99999999999999999999', '']) {
    const url = await serve(t, (_, outgoing) => outgoing.writeHead(200, { 'ollama-push-time': time }).end(content))
    const answer = await clientFor(t, url).ask('library/x:1')
    assert.ok(answer.kind === 'found')
    assert.equal(answer.served.pushedAt, null)
  }
})

test('asks as the server would', async (t) => {
  const seen: { path: string | undefined; headers: IncomingHttpHeaders }[] = []
  const url = await serve(t, (incoming, outgoing) => {
    seen.push({ path: incoming.url, headers: incoming.headers })
    outgoing.end(content)
  })
  await clientFor(t, url).ask('team/x.y:q4_K')
  await clientFor(t, url, { serverVersion: null }).ask('team/x:1')
  await clientFor(t, url, { serverVersion: '1\r\nx: y' }).ask('team/x:1')
  assert.equal(seen[0]?.path, '/v2/team/x.y/manifests/q4_K')
  assert.equal(seen[0]?.headers.accept, accept)
  assert.equal(seen[0]?.headers.authorization, undefined)
  assert.deepEqual(
    seen.map(({ headers }) => headers['user-agent']),
    ['0.33.0', '0.0.0', '0.0.0'].map((version) => `ollama/${version} (amd64 linux) Go/go1.26.0`),
  )
})

test('404 is missing, 412 is too new for this server and not for a newer one', async (t) => {
  const registry = await registryWith(t, [{ name: 'new', requires: '0.40.0' }])
  assert.equal((await clientFor(t, registry.url).ask('library/none:1')).kind, 'missing')
  assert.equal((await clientFor(t, registry.url).ask('library/new:latest')).kind, 'too-new')
  assert.equal((await clientFor(t, registry.url, { serverVersion: '0.40.1' }).ask('library/new:latest')).kind, 'found')
  assert.deepEqual(registry.problems, [])
})

test('a manifest by its digest must be that manifest', async (t) => {
  const registry = await registryWith(t, ['x'])
  const { digest } = registry.content('x')
  const client = clientFor(t, registry.url)
  const answer = await client.ask('library/x:latest', { digest })
  assert.ok(answer.kind === 'found')
  assert.equal(answer.served.digest, digest)
  registry.fail({ kind: 'manifest' }, { kind: 'lie' })
  await isUnknown(client.ask('library/x:latest', { digest }), /digest/)
})

test('what is no manifest is unknown', async (t) => {
  const bodies: [string, string | Uint8Array][] = [
    ['HTML', '<!doctype html>'],
    ['broken JSON', '{"layers":['],
    ['other JSON', '{"a":1}'],
    ['nothing', ''],
    ['no UTF-8', Uint8Array.of(0x7b, 0xff, 0x7d)],
    ['control characters', '\x1b[31m{}\x07'],
  ]
  for (const [what, body] of bodies) {
    const url = await serve(t, (_, outgoing) => outgoing.end(body))
    const answer = await clientFor(t, url).ask('library/x:1')
    assert.equal(answer.kind, 'unknown', what)
    assert.match(problemOf(answer), /registry\.test.*no manifest/, what)
    assert.doesNotMatch(problemOf(answer), /[\x00-\x1f]/, what)
  }
})

test('a body without end is not read to it', async (t) => {
  const registry = await registryWith(t, ['x'])
  registry.fail({ kind: 'manifest' }, { kind: 'huge' })
  await isUnknown(clientFor(t, registry.url).ask('library/x:latest'), /long/)
})

test('other statuses are told with what the registry says', async (t) => {
  let status = 400
  const url = await serve(t, (_, outgoing) => outgoing.writeHead(status).end('bad \x1b[31mquantization\r\nscheme'))
  const client = clientFor(t, url)
  await isUnknown(client.ask('library/x:1'), /registry\.test answered with status 400: bad quantization scheme$/)
  status = 403
  await isUnauthorized(client.ask('library/x:1'), /registry\.test/)
})

test('503 is asked again, and unknown when it stays', async (t) => {
  const registry = await registryWith(t, ['x'])
  registry.fail({ kind: 'manifest' }, { kind: 'status', status: 503 }, 2)
  const client = clientFor(t, registry.url)
  assert.equal((await client.ask('library/x:latest')).kind, 'found')
  assert.equal(registry.count(), 3)
  registry.fail({ kind: 'manifest' }, { kind: 'status', status: 503, body: 'overloaded' })
  await isUnknown(client.ask('library/x:latest'), /503.*overloaded/)
  assert.equal(registry.count(), 6)
})

test('429 is asked again after the time that it names', async (t) => {
  const registry = await registryWith(t, ['x'])
  registry.fail({ kind: 'manifest' }, { kind: 'status', status: 429, headers: { 'Retry-After': '0' } }, 1)
  assert.equal((await clientFor(t, registry.url).ask('library/x:latest')).kind, 'found')
  registry.fail({ kind: 'manifest' }, { kind: 'status', status: 429 })
  await isUnknown(clientFor(t, registry.url, { retries: 0 }).ask('library/x:latest'), /429/)
})

test('a reset is asked again, a truncated answer too', async (t) => {
  for (const fault of [{ kind: 'reset' }, { kind: 'truncate' }, { kind: 'reset', afterBytes: 10 }] as const) {
    const registry = await registryWith(t, ['x'])
    registry.fail({ kind: 'manifest' }, fault, 1)
    assert.equal((await clientFor(t, registry.url).ask('library/x:latest')).kind, 'found', JSON.stringify(fault))
    assert.equal(registry.count(), 2, JSON.stringify(fault))
  }
})

test('silence is a timeout, which is not tried again', async (t) => {
  const registry = await registryWith(t, ['x'])
  registry.fail({ kind: 'manifest' }, { kind: 'stall' })
  await isUnknown(clientFor(t, registry.url, { timeoutMs: 50 }).ask('library/x:latest'), /registry\.test.*time/)
  assert.equal(registry.count(), 1)
})

test('nobody there is told and not tried again', async (t) => {
  const registry = await startRegistry()
  const { url } = registry
  await registry.close()
  await isUnknown(clientFor(t, url).ask('library/x:1'), /^registry\.test cannot be reached: connection refused$/)
})

test('https to what speaks http is told', async (t) => {
  const url = await serve(t, (_, outgoing) => outgoing.end(content))
  await isUnknown(clientFor(t, url.replace('http:', 'https:')).ask('library/x:1'), /registry\.test/)
})

test('a host that is no address is unknown and not thrown', async () => {
  const client = createRegistryClient({ serverVersion: null, env: {} })
  for (const host of ['registry:99999', 'a:b:c', 'host:x']) {
    const answer = await client.manifest({ reference: named('library/x:1', host), insecure: false })
    assert.equal(answer.kind, 'unknown', host)
  }
})

// --- Redirects ----------------------------------------------------------------------------------------------------

test('redirects are followed, at most five', async (t) => {
  const registry = await registryWith(t, ['x'])
  for (const status of [301, 302, 303, 307, 308]) {
    registry.fail({ name: 'x' }, { kind: 'redirect', to: `${registry.url}/v2/library/x/manifests/latest`, status }, 1)
    assert.equal((await clientFor(t, registry.url).ask('library/x:latest')).kind, 'found')
  }
  const before = registry.count()
  registry.fail({ name: 'x' }, { kind: 'redirect-loop' })
  await isUnknown(clientFor(t, registry.url).ask('library/x:latest'), /registry\.test.*redirect/)
  assert.equal(registry.count() - before, 6)
})

test('no redirect to user info, or to what is no web address', async (t) => {
  for (const to of ['http://user:secret-pass@127.0.0.1:1/', 'ftp://127.0.0.1/', 'javascript:alert(1)', 'http://']) {
    const url = await serve(t, (_, outgoing) => outgoing.writeHead(302, { Location: to }).end())
    const answer = await clientFor(t, url).ask('library/x:1')
    assert.equal(answer.kind, 'unknown', to)
    assert.doesNotMatch(problemOf(answer), /secret-pass/)
  }
})

test('a token does not follow a redirect to another host, nor back', async (t) => {
  const key = await keyFor(t)
  let home = ''
  const seen: [string, string | undefined][] = []
  const other = await serve(t, (incoming, outgoing) => {
    seen.push(['other', incoming.headers.authorization])
    outgoing.writeHead(307, { Location: `${home}/back` }).end()
  })
  home = await serve(t, ({ url = '', headers }, outgoing) => {
    if (url.startsWith('/token')) return outgoing.end('{"token":"secret-token"}')
    seen.push([url.startsWith('/v2/') ? 'home' : 'back', headers.authorization])
    if (url === '/back') return outgoing.end(content)
    if (headers.authorization === undefined)
      return outgoing.writeHead(401, { 'WWW-Authenticate': `Bearer realm="${home}/token"` }).end()
    return outgoing.writeHead(307, { Location: `${other}/there` }).end()
  })
  const answer = await clientFor(t, home, { readKey: async () => key.text }).ask('library/x:1')
  assert.equal(answer.kind, 'found')
  assert.deepEqual(seen, [
    ['home', undefined],
    ['home', 'Bearer secret-token'],
    ['other', undefined],
    ['back', undefined],
  ])
})

// --- Sign-in ------------------------------------------------------------------------------------------------------

test('signs in with the key of the server, once for each repository', async (t) => {
  const key = await keyFor(t)
  const registry = await registryWith(t, [
    { name: 'private/x:1', private: true },
    { name: 'private/x:2', private: true },
    { name: 'private/y:1', private: true },
  ])
  registry.authorize(key.publicKey)
  let reads = 0
  const readKey = async () => {
    reads++
    return key.text
  }
  const client = clientFor(t, registry.url, { readKey })
  for (const name of ['private/x:1', 'private/x:2', 'private/y:1']) assert.equal((await client.ask(name)).kind, 'found')
  assert.equal(reads, 1)
  assert.equal(registry.count({ kind: 'token' }), 2)
  assert.deepEqual(registry.problems, [])
})

test('two at once of one repository sign in once', async (t) => {
  const key = await keyFor(t)
  const registry = await registryWith(t, [
    { name: 'private/x:1', private: true },
    { name: 'private/x:2', private: true },
  ])
  registry.authorize(key.publicKey)
  const client = clientFor(t, registry.url, { readKey: async () => key.text })
  const answers = await Promise.all(['private/x:1', 'private/x:2'].map((name) => client.ask(name)))
  assert.deepEqual(
    answers.map(({ kind }) => kind),
    ['found', 'found'],
  )
  assert.equal(registry.count({ kind: 'token' }), 1)
})

test('who leaves during a sign-in does not spoil it for the others', async (t) => {
  const key = await keyFor(t)
  const registry = await registryWith(t, [
    { name: 'private/x:1', private: true },
    { name: 'private/x:2', private: true },
  ])
  registry.authorize(key.publicKey)
  registry.fail({ kind: 'token' }, { kind: 'hold' })
  const client = clientFor(t, registry.url, { readKey: async () => key.text })
  const leaving = new AbortController()
  const first = client.ask('private/x:1', { signal: leaving.signal })
  await registry.waitForRequest({ kind: 'token' })
  const second = client.ask('private/x:2')
  leaving.abort('left')
  await assert.rejects(first, (error) => error === 'left')
  registry.heal()
  registry.release()
  assert.equal((await second).kind, 'found')
})

test('who waits for the sign-in of another can leave', async (t) => {
  const key = await keyFor(t)
  const registry = await registryWith(t, [
    { name: 'private/x:1', private: true },
    { name: 'private/x:2', private: true },
  ])
  registry.authorize(key.publicKey)
  registry.fail({ kind: 'token' }, { kind: 'hold' })
  const client = clientFor(t, registry.url, { readKey: async () => key.text })
  const first = client.ask('private/x:1')
  await registry.waitForRequest({ kind: 'token' })
  const leaving = new AbortController()
  const second = client.ask('private/x:2', { signal: leaving.signal })
  const left = Promise.race([
    second.then(
      () => 'answered',
      (error: unknown) => error,
    ),
    new Promise((resolve) => setTimeout(resolve, 2000, 'still waiting')),
  ])
  leaving.abort('left')
  assert.equal(await left, 'left')
  registry.release()
  assert.equal((await first).kind, 'found')
})

test('a token that is no longer accepted is asked for anew', async (t) => {
  const key = await keyFor(t)
  let valid = 0
  let issued = 0
  const url: string = await serve(t, (incoming, outgoing) => {
    if (incoming.url?.startsWith('/token')) return outgoing.end(JSON.stringify({ token: `token-${++issued}` }))
    if (incoming.headers.authorization === `Bearer token-${valid}`) return outgoing.end(content)
    return outgoing.writeHead(401, { 'WWW-Authenticate': `Bearer realm="${url}/token"` }).end()
  })
  const client = clientFor(t, url, { readKey: async () => key.text })
  valid = 1
  assert.equal((await client.ask('library/x:1')).kind, 'found')
  valid = 2
  assert.equal((await client.ask('library/x:2')).kind, 'found')
})

test('without a key, or with one that cannot be used, access is refused', async (t) => {
  const registry = await registryWith(t, [{ name: 'private/x:1', private: true }])
  const stranger = await keyFor(t)
  const encrypted = Buffer.concat([
    Buffer.from('openssh-key-v1\0'),
    ...['aes256-ctr', 'bcrypt'].map((text) => Buffer.concat([Buffer.from([0, 0, 0, text.length]), Buffer.from(text)])),
    Buffer.alloc(40),
  ]).toString('base64')
  const pem = (body: string) => `-----BEGIN OPENSSH PRIVATE KEY-----\n${body}\n-----END OPENSSH PRIVATE KEY-----\n`
  const keys: [string, (() => Promise<string | undefined>) | undefined][] = [
    ['none allowed', undefined],
    ['none there', async () => undefined],
    ['a stranger', async () => stranger.text],
    ['no key', async () => 'hello'],
    ['encrypted', async () => pem(encrypted)],
    ['cut', async () => pem(stranger.text.split('\n').slice(1, 3).join('\n'))],
    ['empty', async () => ''],
    ['unreadable', async () => Promise.reject(new Error('EACCES: permission denied'))],
  ]
  for (const [what, readKey] of keys) {
    const answer = await clientFor(t, registry.url, { readKey }).ask('private/x:1')
    assert.equal(answer.kind, 'unauthorized', what)
    assert.match(problemOf(answer), /registry\.test/, what)
    const lines = stranger.text.split('\n').slice(1, -2)
    assert.ok(!lines.some((line) => JSON.stringify(answer).includes(line)), what)
  }
  assert.deepEqual(registry.problems, [])
})

test('a key is not read, and nothing signed, for a sign-in at another place', async (t) => {
  let reads = 0
  const readKey = async () => {
    reads++
    return undefined
  }
  const realms = ['http://elsewhere.test/token', 'http://127.0.0.1:1/token', 'ftp://x/', 'nonsense', '//u:p@x/']
  for (const realm of realms) {
    const registry = await registryWith(t, [{ name: 'private/x:1', private: { realm } }])
    const answer = await clientFor(t, registry.url, { readKey }).ask('private/x:1')
    assert.equal(answer.kind, 'unauthorized', realm)
    assert.equal(registry.count({ kind: 'token' }), 0)
  }
  const silent = await registryWith(t, [{ name: 'private/x:1', private: { challenge: false } }])
  await isUnauthorized(clientFor(t, silent.url, { readKey }).ask('private/x:1'), /where to sign in/)
  const foreign = await registryWith(t, [{ name: 'private/x:1', private: { realm: 'http://elsewhere.test/token' } }])
  await isUnauthorized(clientFor(t, foreign.url, { readKey }).ask('private/x:1'), /registry\.test.*elsewhere\.test/)
  assert.equal(reads, 0)
})

test('refused twice, or a token that is none, is no access', async (t) => {
  const key = await keyFor(t)
  for (const access of [{ refused: true }, { token: 'no-json' }, { token: 'missing' }] as const) {
    const registry = await registryWith(t, [{ name: 'private/x:1', private: access }])
    registry.authorize(key.publicKey)
    await isUnauthorized(clientFor(t, registry.url, { readKey: async () => key.text }).ask('private/x:1'), /registry/)
    assert.deepEqual(registry.problems, [])
  }
})

test('a sign-in that is busy or fails says nothing of the key, nor of what it repeats', async (t) => {
  const key = await keyFor(t)
  for (const [status, problem] of [
    [429, /^registry\.test limits requests \(status 429\)$/],
    [503, /^registry\.test answered with status 503: x{120} \*\*\*:\*\*\*$/],
  ] as const) {
    const url: string = await serve(t, ({ url: path = '', headers }, outgoing) => {
      // So long that it is cut within what is secret.
      if (path.startsWith('/token'))
        return outgoing.writeHead(status).end(`${'x'.repeat(120)} ${headers.authorization}`)
      return outgoing.writeHead(401, { 'WWW-Authenticate': `Bearer realm="${url}/token"` }).end()
    })
    await isUnknown(clientFor(t, url, { readKey: async () => key.text }).ask('private/x:1'), problem)
  }
})

test('a token that is repeated to us is not told on', async (t) => {
  const key = await keyFor(t)
  const logged: string[] = []
  const log = (...what: unknown[]) => void logged.push(JSON.stringify(what))
  const token = 'token-0123456789abcdef'
  for (const status of [400, 403, 404, 500, 418]) {
    let signature = ''
    const url: string = await serve(t, ({ url: path = '', headers }, outgoing) => {
      if (path.startsWith('/token')) {
        signature = headers.authorization ?? ''
        return outgoing.end(JSON.stringify({ token }))
      }
      if (headers.authorization === undefined)
        return outgoing.writeHead(401, { 'WWW-Authenticate': `Bearer realm="${url}/token"` }).end()
      return outgoing.writeHead(status).end(`what is ${headers.authorization} and ${signature}?`)
    })
    const options = { readKey: async () => key.text, logger: { debug: log, info: log, warn: log, error: log } }
    const answer = await clientFor(t, url, options).ask('private/x:1')
    const told = JSON.stringify(answer) + logged.join()
    assert.ok(signature.length > 50)
    for (const secret of [token, ...signature.split(':')]) assert.ok(!told.includes(secret), `${status}: ${told}`)
  }
  assert.ok(logged.length > 0)
})

// --- Many at once -------------------------------------------------------------------------------------------------

test('at most six are under way to one registry, and who waits can leave', async (t) => {
  const registry = await registryWith(t, ['x'])
  registry.fail({ kind: 'manifest' }, { kind: 'hold' })
  const client = clientFor(t, registry.url)
  const asked = Array.from({ length: 12 }, () => client.ask('library/x:latest'))
  const leaving = new AbortController()
  const waiter = client.ask('library/x:latest', { signal: leaving.signal })
  while (registry.count() < 6) await registry.waitForRequest({ kind: 'manifest' }).then(() => new Promise(setImmediate))
  leaving.abort('left')
  await assert.rejects(waiter, (error) => error === 'left')
  registry.heal()
  registry.release()
  assert.ok((await Promise.all(asked)).every(({ kind }) => kind === 'found'))
  assert.equal(registry.mostAtOnce, 6)
  assert.equal(registry.count(), 12)
})

test('a registry that does not answer keeps no other from being asked, with at most eight under way', async (t) => {
  const [silent, good] = [await registryWith(t, ['x']), await registryWith(t, ['x'])]
  silent.fail({ kind: 'manifest' }, { kind: 'hold' })
  const client = createRegistryClient({
    serverVersion: '0.33.0',
    env: {},
    baseUrl: (host) => (host === 'silent.example' ? silent.url : good.url),
  })
  t.after(() => client.close())
  const ask = (host: string) => client.manifest({ reference: parseReference(`${host}/library/x`), insecure: true })
  const waiting = Array.from({ length: 9 }, () => ask('silent.example'))
  const answers = await Promise.all(Array.from({ length: 9 }, () => ask('good.example')))
  assert.ok(answers.every(({ kind }) => kind === 'found'))
  assert.ok(silent.mostAtOnce + good.mostAtOnce <= 8)
  silent.heal()
  silent.release()
  assert.ok((await Promise.all(waiting)).every(({ kind }) => kind === 'found'))
})

test('connections are used again, also after a 404 and a 401', async (t) => {
  const key = await keyFor(t)
  const ports = new Set<number | undefined>()
  const url: string = await serve(t, ({ url: path = '', headers, socket }, outgoing) => {
    ports.add(socket.remotePort)
    if (path.startsWith('/token')) return outgoing.end('{"token":"abcdefgh"}')
    if (path.includes('/none/')) return outgoing.writeHead(404).end('{"errors":[]}')
    if (path.includes('/private/') && headers.authorization === undefined)
      return outgoing.writeHead(401, { 'WWW-Authenticate': `Bearer realm="${url}/token"` }).end('{"errors":[]}')
    return outgoing.end(content)
  })
  const client = clientFor(t, url, { readKey: async () => key.text })
  assert.equal((await client.ask('library/x:1')).kind, 'found')
  assert.equal((await client.ask('library/x:1')).kind, 'found')
  assert.equal(ports.size, 1, 'after a 200')
  assert.equal((await client.ask('none/x:1')).kind, 'missing')
  assert.equal((await client.ask('private/x:1')).kind, 'found')
  assert.equal(ports.size, 1, 'after a 404 and a 401')
})
