import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { connect, createServer as createTcpServer, type Socket } from 'node:net'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { parseReference } from '../../src/artifact/reference.ts'
import { createRegistryClient } from '../../src/registry/client.ts'
import type { ManifestAnswer } from '../../src/registry/registry.ts'
import { proxyFor, routeTo } from '../../src/runtime/proxy.ts'
import { certificate } from '../support/certificate.ts'
import { startRegistry, type TestRegistry } from '../support/registry.ts'
import { tempFolder } from '../support/run-cli.ts'

const onNode = !('Deno' in globalThis) && !('Bun' in globalThis)

const proxy = 'http://proxy.test:3128'

function goesDirect(url: string, noProxy: string): boolean {
  return proxyFor(new URL(url), { HTTPS_PROXY: proxy, HTTP_PROXY: proxy, NO_PROXY: noProxy }) === undefined
}

test('which proxy is for which scheme', () => {
  const of = (url: string, env: Record<string, string>) => proxyFor(new URL(url), env)
  assert.equal(of('https://a.test/', { HTTPS_PROXY: proxy }), proxy)
  assert.equal(of('https://a.test/', { https_proxy: proxy }), proxy)
  assert.equal(of('https://a.test/', { HTTP_PROXY: proxy, ALL_PROXY: proxy }), undefined)
  assert.equal(of('http://a.test/', { HTTP_PROXY: proxy }), proxy)
  assert.equal(of('http://a.test/', { http_proxy: proxy }), proxy)
  assert.equal(of('http://a.test/', { HTTPS_PROXY: proxy }), undefined)
  assert.equal(of('http://a.test/', { HTTP_PROXY: proxy, REQUEST_METHOD: 'GET' }), undefined)
  assert.equal(of('http://a.test/', { http_proxy: proxy, REQUEST_METHOD: 'GET' }), proxy)
  assert.equal(of('https://a.test/', { HTTPS_PROXY: proxy, REQUEST_METHOD: 'GET' }), proxy)
  assert.equal(of('https://a.test/', { HTTPS_PROXY: '' }), undefined)
  assert.equal(of('https://a.test/', { HTTPS_PROXY: 'proxy.test:3128' }), proxy)
})

test('the variable that decides is known, for hints', () => {
  const of = (url: string, env: Record<string, string>) => routeTo(new URL(url), env).variable
  assert.equal(of('https://a.test/', {}), 'HTTPS_PROXY')
  assert.equal(of('http://a.test/', {}), 'HTTP_PROXY')
  assert.equal(of('http://a.test/', { HTTP_PROXY: proxy, REQUEST_METHOD: 'GET' }), 'http_proxy')
  assert.equal(of('https://a.test/', { https_proxy: proxy, HTTP_PROXY: proxy }), 'https_proxy')
  assert.equal(of('https://a.test/', { https_proxy: proxy, HTTPS_PROXY: proxy }), 'HTTPS_PROXY')
  assert.equal(of('https://a.test/', { HTTPS_PROXY: proxy, no_proxy: '.test' }), 'no_proxy')
  assert.equal(of('https://a.test/', { HTTPS_PROXY: proxy, NO_PROXY: 'b.test' }), 'HTTPS_PROXY')
  assert.equal(of('https://a.test/', { all_proxy: proxy }), 'HTTPS_PROXY (all_proxy is not read)')
})

test('loopback goes direct', () => {
  for (const host of ['localhost', '127.0.0.1', '127.1.2.3', '[::1]', 'LOCALHOST']) {
    assert.ok(goesDirect(`https://${host}:5000/`, ''), host)
  }
  assert.ok(!goesDirect('https://localhost.test/', ''))
})

test('NO_PROXY is read as Go reads it', () => {
  const cases: [noProxy: string, url: string, direct: boolean][] = [
    ['*', 'https://a.test/', true],
    ['x.test,*', 'https://a.test/', true],
    ['a.test', 'https://a.test/', true],
    ['a.test', 'https://b.a.test/', true],
    ['A.Test', 'https://a.test/', true],
    ['a.test', 'https://ba.test/', false],
    ['.a.test', 'https://b.a.test/', true],
    ['.a.test', 'https://a.test/', false],
    ['*.a.test', 'https://b.a.test/', true],
    ['*.a.test', 'https://a.test/', false],
    [' x.test , a.test ', 'https://a.test/', true],
    ['a.test:443', 'https://a.test/', true],
    ['a.test:5000', 'https://a.test/', false],
    ['a.test:5000', 'https://b.a.test:5000/', true],
    ['a.test:80', 'http://a.test/', true],
    ['10.0.0.1', 'https://10.0.0.1/', true],
    ['10.0.0.1:443', 'https://10.0.0.1/', true],
    ['10.0.0.1:444', 'https://10.0.0.1/', false],
    ['10.0.0.0/8', 'https://10.9.8.7/', true],
    ['10.0.0.0/8', 'https://11.9.8.7/', false],
    ['10.0.0.0/33', 'https://10.9.8.7/', false],
    ['10.0.0.0/', 'https://10.9.8.7/', false],
    ['10.0.0.0/8', 'https://a.test/', false],
    ['a.test/8', 'https://10.9.8.7/', false],
    ['::/0', 'https://10.9.8.7/', false],
    ['fd00::/8', 'https://[fd00::5]/', true],
    ['fd00::5', 'https://[fd00::5]/', true],
    ['[fd00::5]:443', 'https://[fd00::5]/', true],
    ['[fd00::5]:444', 'https://[fd00::5]/', false],
    ['fd00:0::5', 'https://[fd00::5]/', true],
    ['fd00:::5', 'https://[fd00::5]/', false],
    ['10.0.0.0/8', 'https://[::ffff:10.1.1.1]/', true],
    ['', 'https://a.test/', false],
    [',, ,:443,[', 'https://a.test/', false],
  ]
  const wrong = cases.filter(([noProxy, url, direct]) => goesDirect(url, noProxy) !== direct)
  assert.deepEqual(wrong, [])
})

interface TestProxy {
  readonly url: string
  readonly host: string
  readonly asked: { readonly line: string; readonly headers: IncomingHttpHeaders }[]
}

/** Passes everything on to one address, whatever name is asked for; or refuses with a status. */
async function startProxy(t: TestContext, to: string, refusal?: number): Promise<TestProxy> {
  const { hostname, port } = new URL(to)
  const asked: TestProxy['asked'] = []
  const sockets = new Set<Socket>()
  const server = createServer((incoming, outgoing) => {
    const { method, url = '', headers } = incoming
    asked.push({ line: `${method} ${url}`, headers })
    if (refusal !== undefined) {
      outgoing.writeHead(refusal, 'echo secret-pass').end('secret-pass')
      return
    }
    const { pathname, search } = new URL(url)
    const { ['proxy-authorization']: _, ...rest } = headers
    const lines = Object.entries(rest).map(([name, value]) => `${name}: ${value}\r\n`)
    const upstream = connect(Number(port), hostname, () =>
      upstream.write(`${method} ${pathname}${search} HTTP/1.1\r\n${lines.join('')}connection: close\r\n\r\n`),
    )
    sockets.add(upstream)
    outgoing.socket?.setNoDelay()
    if (outgoing.socket !== null) upstream.pipe(outgoing.socket)
  })
  server.on('connect', ({ url, headers }, socket) => {
    asked.push({ line: `CONNECT ${url}`, headers })
    sockets.add(socket as Socket)
    socket.on('error', () => {})
    if (refusal !== undefined) {
      socket.end(`HTTP/1.1 ${refusal} echo secret-pass\r\nx: secret-pass\r\n\r\n`)
      return
    }
    const upstream = connect(Number(port), hostname, () => socket.write('HTTP/1.1 200 OK\r\n\r\n'))
    sockets.add(upstream)
    upstream.on('error', () => socket.destroy())
    upstream.pipe(socket).pipe(upstream)
  })
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.closeAllConnections()
    server.close()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  const host = `127.0.0.1:${address.port}`
  return { url: `http://${host}`, host, asked }
}

async function smallRegistry(t: TestContext): Promise<TestRegistry> {
  const registry = await startRegistry({ models: ['x'] })
  t.after(() => registry.close())
  return registry
}

async function ask(
  t: TestContext,
  scheme: 'http' | 'https',
  env: Record<string, string>,
  host = 'registry.test',
  logged: unknown[] = [],
): Promise<ManifestAnswer> {
  const log = (...what: unknown[]) => void logged.push(what)
  const client = createRegistryClient({
    serverVersion: '0.33.0',
    env,
    pauseMs: 1,
    timeoutMs: 3000,
    logger: { debug: log, info: log, warn: log, error: log },
    baseUrl: (name) => `${scheme}://${name}`,
  })
  t.after(() => client.close())
  return await client.manifest({ reference: parseReference(`${host}/library/x`), insecure: scheme === 'http' })
}

function problemOf(answer: ManifestAnswer): string {
  assert.ok(answer.kind === 'unknown', `it is ${answer.kind}`)
  return answer.problem
}

test('http goes through a proxy with its whole URL', async (t) => {
  const registry = await smallRegistry(t)
  const through = await startProxy(t, registry.url)
  const answer = await ask(t, 'http', { HTTP_PROXY: through.url.replace('//', '//me:p%40ss@') })
  assert.equal(answer.kind, 'found')
  assert.equal(through.asked[0]?.line, 'GET http://registry.test/v2/library/x/manifests/latest')
  assert.equal(through.asked[0]?.headers.host, 'registry.test')
  assert.equal(through.asked[0]?.headers['proxy-authorization'], `Basic ${btoa('me:p@ss')}`)
  assert.equal(registry.requests[0]?.headers['proxy-authorization'], undefined)
})

test('https goes through a tunnel, and what fails in it is not put down to the proxy', async (t) => {
  const registry = await smallRegistry(t)
  const through = await startProxy(t, registry.url)
  const answer = await ask(t, 'https', { HTTPS_PROXY: through.url.replace('//', '//me:p%40ss@') })
  assert.equal(through.asked[0]?.line, 'CONNECT registry.test:443')
  assert.equal(through.asked[0]?.headers.host, 'registry.test:443')
  assert.equal(through.asked[0]?.headers['proxy-authorization'], `Basic ${btoa('me:p@ss')}`)
  // The test registry speaks no TLS.
  assert.match(problemOf(answer), /^registry\.test cannot be reached: it speaks plain http/)
})

for (const scheme of ['http', 'https'] as const) {
  test(`a proxy that refuses ${scheme} is named, without user info`, async (t) => {
    for (const status of [407, 403, 502]) {
      const through = await startProxy(t, 'http://127.0.0.1:1', status)
      const logged: unknown[] = []
      const env = { HTTP_PROXY: through.url.replace('//', '//me:secret-pass@') }
      const answer = await ask(t, scheme, { ...env, HTTPS_PROXY: env.HTTP_PROXY }, 'registry.test', logged)
      if (scheme === 'https' || status === 407) assert.ok(problemOf(answer).includes(through.host), problemOf(answer))
      if (scheme === 'https') assert.doesNotMatch(JSON.stringify([answer, logged]), /secret-pass|bWU6/)
    }
  })

  test(`a proxy that is not there is named for ${scheme}`, async (t) => {
    const gone = await startRegistry()
    const { host } = gone
    await gone.close()
    const url = `http://me:secret-pass@${host}`
    const variable = `${scheme}_proxy`
    const answer = await ask(t, scheme, { [variable]: url })
    assert.ok(problemOf(answer).includes(`the proxy ${host} (${variable}) cannot be used: `), problemOf(answer))
    assert.match('hint' in answer ? answer.hint : '', /^check that variable, /)
    assert.doesNotMatch(JSON.stringify(answer), /secret-pass/)
  })

  test(`a proxy of another kind is not supported for ${scheme}`, async (t) => {
    for (const url of ['socks5://me:secret-pass@127.0.0.1:1', 'socks5h://127.0.0.1:1', 'ftp://127.0.0.1']) {
      assert.match(problemOf(await ask(t, scheme, { HTTP_PROXY: url, HTTPS_PROXY: url })), /not supported/)
    }
    for (const url of ['http://me:secret-pass@[bad', 'http://me:50%@127.0.0.1:1']) {
      const answer = await ask(t, scheme, { HTTP_PROXY: url, HTTPS_PROXY: url })
      assert.match(problemOf(answer), /proxy/)
      assert.doesNotMatch(JSON.stringify(answer), /secret-pass|50%/)
    }
  })

  test(`a reset on the way through a proxy is asked again for ${scheme}`, async (t) => {
    let count = 0
    const server = createTcpServer((socket) => {
      socket.on('error', () => {})
      socket.on('data', (chunk) => {
        if (chunk.toString('latin1').startsWith('CONNECT')) {
          socket.write('HTTP/1.1 200 OK\r\n\r\n')
          return
        }
        count++
        socket.resetAndDestroy()
      })
    })
    t.after(() => server.close())
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    assert.ok(typeof address === 'object' && address !== null)
    const url = `http://127.0.0.1:${address.port}`
    await ask(t, scheme, { HTTP_PROXY: url, HTTPS_PROXY: url })
    assert.equal(count, 3)
  })
}

test('a proxy that speaks TLS may have an address for its name', {
  skip: !onNode && 'trusts in another way',
}, async (t) => {
  const file = path.join(tempFolder(t, { 'ca.pem': certificate.cert }), 'ca.pem')
  const server = createSecureServer(certificate, (_, outgoing) => outgoing.end('through'))
  t.after(() => server.close())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  const program = fileURLToPath(new URL('./one-request.ts', import.meta.url))
  const words = ['--import', 'tsx', program, 'http://registry.test', `https://127.0.0.1:${address.port}`]
  const child = spawn(process.execPath, words, { env: { ...process.env, NODE_EXTRA_CA_CERTS: file } })
  const [printed, warned] = await Promise.all([text(child.stdout), text(child.stderr)])
  // An address as the name of a server is refused by the standard, and Node warns of it on the terminal.
  assert.deepEqual([printed, warned], ['through\n', ''])
})

test('while a tunnel is made, a request can be left, and takes no longer than it may', async (t) => {
  const server = createTcpServer((socket) => void socket.on('error', () => {}).resume())
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => sockets.add(socket))
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  const env = { HTTPS_PROXY: `http://127.0.0.1:${address.port}` }
  const reference = parseReference('registry.test/library/x')
  const patient = createRegistryClient({ serverVersion: null, env })
  t.after(() => patient.close())
  const leaving = new AbortController()
  const asked = patient.manifest({ reference, insecure: false, signal: leaving.signal })
  await once(server, 'connection')
  leaving.abort('left')
  await assert.rejects(asked, (error) => error === 'left')
  const hasty = createRegistryClient({ serverVersion: null, env, timeoutMs: 50 })
  t.after(() => hasty.close())
  assert.match(problemOf(await hasty.manifest({ reference, insecure: false })), /registry\.test.*time/)
})
