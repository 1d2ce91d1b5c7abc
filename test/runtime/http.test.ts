import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import { createServer as createTcpServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { readBeginning, readLines, readText } from '../../src/runtime/body.ts'
import { createHttpClient, type Exchange } from '../../src/runtime/http.ts'
import { TransportError } from '../../src/runtime/transport-error.ts'

const onNode = !('Deno' in globalThis) && !('Bun' in globalThis)

/** Serves on loopback, or on a socket, until the test is over. */
async function serve(t: TestContext, listener: RequestListener, socketPath?: string): Promise<string> {
  const server = createServer((incoming, outgoing) => {
    // Deno tells the server of a client that leaves in this way, listener or not.
    incoming.on('error', () => {})
    listener(incoming, outgoing)
  })
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  await new Promise<void>((resolve) => {
    if (socketPath === undefined) server.listen(0, '127.0.0.1', resolve)
    else server.listen(socketPath, resolve)
  })
  const address = server.address()
  return typeof address === 'object' ? `http://127.0.0.1:${address?.port}` : 'http://localhost'
}

/** Serves whatever `onSocket` writes, HTTP or not. */
async function serveTcp(t: TestContext, onSocket: (socket: Socket) => void): Promise<string> {
  const sockets: Socket[] = []
  const server = createTcpServer((socket) => {
    sockets.push(socket)
    socket.on('error', () => {})
    onSocket(socket)
  })
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  return `http://127.0.0.1:${address.port}`
}

/** A listener that keeps the exchange for the test to answer. */
function held(): {
  readonly listener: RequestListener
  readonly arrived: Promise<{ incoming: IncomingMessage; outgoing: ServerResponse }>
} {
  let arrive: (exchange: { incoming: IncomingMessage; outgoing: ServerResponse }) => void
  const arrived = new Promise<{ incoming: IncomingMessage; outgoing: ServerResponse }>((resolve) => {
    arrive = resolve
  })
  return { arrived, listener: (incoming, outgoing) => arrive({ incoming, outgoing }) }
}

/** Answers a byte at a time, for ever. */
function drip(t: TestContext, outgoing: ServerResponse): void {
  outgoing.writeHead(200)
  const timer = setInterval(() => outgoing.write(' '), 5)
  t.after(() => clearInterval(timer))
}

/** Not `once`, which would end with the error that some runtimes report on the socket first. */
function closing({ socket }: IncomingMessage): Promise<unknown> {
  return new Promise((resolve) => socket.once('close', resolve))
}

function isTransport(problem: string, code?: string): (error: unknown) => boolean {
  return (error) =>
    error instanceof TransportError && error.problem === problem && (code === undefined || error.code === code)
}

/** The connection may end as a reset or as an end that came too early: which one differs between runtimes. */
function isBroken(error: unknown): boolean {
  return error instanceof TransportError && (error.problem === 'interrupted' || error.problem === 'network')
}

async function received(incoming: IncomingMessage): Promise<string> {
  let text = ''
  incoming.setEncoding('utf8')
  for await (const chunk of incoming) text += chunk
  return text
}

test('sends method, path below the prefix, headers and a body with its length in bytes', async (t) => {
  let seen: unknown
  const url = await serve(t, async (incoming, outgoing) => {
    const { method, url: target, headers } = incoming
    seen = {
      method,
      target,
      a: headers['a'],
      b: headers['b'],
      length: headers['content-length'],
      body: await received(incoming),
    }
    outgoing.writeHead(201, { 'X-Answer': 'yes' }).end('done')
  })
  const client = createHttpClient({ url: `${url}/prefix/of`, headers: { B: 'base', 'a-Side': 'x' } })
  const response = await client.send({
    method: 'DELETE',
    path: '/api/x',
    headers: { A: 'request', b: 'request' },
    body: '{"name":"é"}',
  })
  assert.equal(response.status, 201)
  assert.equal(response.header('x-answer'), 'yes')
  assert.equal(response.header('x-other'), undefined)
  assert.equal(await readText(response, 100), 'done')
  assert.deepEqual(seen, {
    method: 'DELETE',
    target: '/prefix/of/api/x',
    a: 'request',
    b: 'base',
    length: '13',
    body: '{"name":"é"}',
  })
})

test('text survives being cut at every byte', async (t) => {
  const text = '{"name":"模型 🦙 é"}'
  const url = await serve(t, async (_, outgoing) => {
    outgoing.writeHead(200)
    for (const byte of Buffer.from(text)) await new Promise((resolve) => outgoing.write(Buffer.from([byte]), resolve))
    outgoing.end()
  })
  assert.equal(await readText(await createHttpClient({ url }).send({ path: '/' }), 100), text)
})

test('a redirect is an answer like any other', async (t) => {
  const url = await serve(t, (_, outgoing) => outgoing.writeHead(302, { Location: '/elsewhere' }).end())
  const response = await createHttpClient({ url }).send({ path: '/' })
  assert.equal(response.status, 302)
  assert.equal(response.header('location'), '/elsewhere')
  response.cancel()
})

test('reaches a unix socket', { skip: process.platform === 'win32' && 'no unix sockets' }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'oc-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const socketPath = join(folder, 's')
  const url = await serve(t, (incoming, outgoing) => outgoing.end(incoming.headers.host), socketPath)
  const response = await createHttpClient({ url, socketPath }).send({ path: '/' })
  assert.equal(await readText(response, 100), 'localhost')
  await assert.rejects(
    createHttpClient({ url, socketPath: join(folder, 'none') }).send({ path: '/' }),
    isTransport('network', 'ENOENT'),
  )
})

test('an abort before the answer closes the connection and throws the reason itself', async (t) => {
  const { listener, arrived } = held()
  const url = await serve(t, listener)
  const controller = new AbortController()
  const exchanges: Exchange[] = []
  const sent = createHttpClient({ url, onExchange: (exchange) => exchanges.push(exchange) }).send({
    path: '/',
    signal: controller.signal,
  })
  const { incoming } = await arrived
  const closed = closing(incoming)
  const reason = { why: 'test' }
  controller.abort(reason)
  await assert.rejects(sent, (error) => error === reason)
  await closed
  assert.equal(exchanges.length, 1)
  assert.equal(exchanges[0]?.status, undefined)
})

test('an abort in the middle of the answer closes the connection and throws the reason itself', async (t) => {
  const { listener, arrived } = held()
  const url = await serve(t, listener)
  const controller = new AbortController()
  const sent = createHttpClient({ url }).send({ path: '/', signal: controller.signal })
  const { incoming, outgoing } = await arrived
  const closed = closing(incoming)
  outgoing.writeHead(200).write('first')
  const { body } = await sent
  assert.equal(Buffer.from((await body.next()).value ?? []).toString(), 'first')
  const next = body.next()
  const reason = new Error('test')
  controller.abort(reason)
  await assert.rejects(next, (error) => error === reason)
  await closed
})

test('an abort between the headers and the reading is not lost', async (t) => {
  const url = await serve(t, (_, outgoing) => outgoing.end('text'))
  const controller = new AbortController()
  const response = await createHttpClient({ url }).send({ path: '/', signal: controller.signal })
  controller.abort('reason')
  await assert.rejects(readText(response, 100), (error) => error === 'reason')
})

test('an abort beforehand sends nothing', async (t) => {
  let requests = 0
  const url = await serve(t, (_, outgoing) => {
    requests++
    outgoing.end()
  })
  const client = createHttpClient({ url })
  await assert.rejects(client.send({ path: '/', signal: AbortSignal.abort('no') }), (error) => error === 'no')
  ;(await client.send({ path: '/' })).cancel()
  assert.equal(requests, 1)
})

test('the connection ends with the answer', async (t) => {
  const { listener, arrived } = held()
  const url = await serve(t, listener)
  const sent = createHttpClient({ url }).send({ path: '/' })
  const { incoming, outgoing } = await arrived
  const closed = closing(incoming)
  assert.equal(incoming.headers.connection, 'close')
  outgoing.end('all')
  assert.equal(await readText(await sent, 100), 'all')
  await closed
})

test('the system looks after a connection on which nobody says anything', {
  skip: process.platform === 'linux' ? false : 'only Linux tells which timer a connection has',
}, async (t) => {
  const { listener, arrived } = held()
  const url = await serve(t, listener)
  const sent = createHttpClient({ url }).send({ path: '/' })
  const { incoming, outgoing } = await arrived
  const port = `:${incoming.socket.remotePort?.toString(16).padStart(4, '0').toUpperCase()}`
  const lines = readFileSync('/proc/self/net/tcp', 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
  // 01 is an open one: one that was closed may still have the number.
  const [, , , , , timer] = lines.find(([, local, , state]) => local?.endsWith(port) && state === '01') ?? []
  // proc(5): 02 is a timer that keeps it alive.
  assert.match(timer ?? '', /^02:/)
  outgoing.end()
  await readText(await sent, 10)
})

test('an answer that comes before the end of what is sent closes the connection', { timeout: 20_000 }, async (t) => {
  for (const connections of [undefined, 4]) {
    let closed: Promise<unknown> = Promise.resolve()
    const url = await serveTcp(t, (socket) => {
      closed = new Promise((resolve) => socket.once('close', resolve))
      // It keeps the connection, and waits for the rest.
      socket.once('data', () => socket.write('HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\nno'))
    })
    const client = createHttpClient({ url, connections })
    t.after(() => client.close())
    const bytes = (async function* () {
      yield new Uint8Array(10)
      await new Promise(() => {})
    })()
    const response = await client.send({ method: 'POST', path: '/', body: { sizeBytes: 1_000_000, bytes } })
    assert.equal(await readText(response, 100), 'no')
    await closed
  }
})

test('leaving the body closes the connection, which is no failure', async (t) => {
  const { listener, arrived } = held()
  const url = await serve(t, listener)
  const exchanges: Exchange[] = []
  const sent = createHttpClient({ url, onExchange: (exchange) => exchanges.push(exchange) }).send({ path: '/' })
  const { incoming, outgoing } = await arrived
  const closed = closing(incoming)
  outgoing.writeHead(200).write('first')
  for await (const _ of (await sent).body) break
  await closed
  assert.deepEqual(
    exchanges.map(({ status, error }) => ({ status, error })),
    [{ status: 200, error: undefined }],
  )
})

test('cancel closes the connection of an answer that nobody reads', async (t) => {
  const { listener, arrived } = held()
  const url = await serve(t, listener)
  const sent = createHttpClient({ url }).send({ path: '/' })
  const { incoming, outgoing } = await arrived
  const closed = closing(incoming)
  outgoing.writeHead(200).write('first')
  ;(await sent).cancel()
  await closed
})

test('a limit on silence ends a request that gets no answer', async (t) => {
  const url = await serve(t, () => {})
  await assert.rejects(createHttpClient({ url }).send({ path: '/', silenceMs: 20 }), isTransport('timeout'))
})

test('a limit on silence ends an answer that stops', async (t) => {
  const url = await serve(t, (_, outgoing) => void outgoing.writeHead(200).write('first'))
  const response = await createHttpClient({ url }).send({ path: '/', silenceMs: 500 })
  await assert.rejects(readText(response, 100), isTransport('timeout'))
})

test('a limit on all of it ends an answer that drips', { timeout: 20_000 }, async (t) => {
  const { listener, arrived } = held()
  const url = await serve(t, listener)
  const exchanges: Exchange[] = []
  const client = createHttpClient({ url, onExchange: (exchange) => exchanges.push(exchange) })
  const sent = client.send({ path: '/', silenceMs: 10_000, totalMs: 100 })
  const { incoming, outgoing } = await arrived
  const closed = closing(incoming)
  drip(t, outgoing)
  await assert.rejects(async () => readText(await sent, 1_000_000), isTransport('timeout'))
  await closed
  assert.equal(exchanges[0]?.error, 'not complete after 100 ms')
})

test('a limit on all of it ends a request that gets no answer', { timeout: 20_000 }, async (t) => {
  const url = await serve(t, () => {})
  await assert.rejects(createHttpClient({ url }).send({ path: '/', totalMs: 20 }), isTransport('timeout'))
})

test('no timer outlives its request', { skip: !onNode && 'needs mocked timers' }, async (t) => {
  const { listener, arrived } = held()
  const url = await serve(t, listener)
  const made = t.mock.method(globalThis, 'setTimeout')
  const cleared = t.mock.method(globalThis, 'clearTimeout')
  const controller = new AbortController()
  const sent = createHttpClient({ url }).send({
    path: '/',
    signal: controller.signal,
    silenceMs: 54_321,
    totalMs: 54_322,
  })
  const { outgoing } = await arrived
  outgoing.writeHead(200).write('first')
  const { body } = await sent
  await body.next()
  // While the reader has the piece: it comes back to an answer that has ended.
  controller.abort('enough')
  await assert.rejects(body.next(), (error) => error === 'enough')
  const ended = new Set<unknown>(cleared.mock.calls.map(({ arguments: [timer] }) => timer))
  const timers = made.mock.calls.filter(({ arguments: [, ms] }) => ms === 54_321 || ms === 54_322)
  assert.ok(timers.length >= 2)
  for (const { result, arguments: given } of timers) assert.ok(ended.has(result), `${given[1]} was not cleared`)
})

test('who is told of an exchange and throws does not harm it', async (t) => {
  const { listener, arrived } = held()
  const url = await serve(t, (incoming, outgoing) =>
    incoming.url === '/held' ? listener(incoming, outgoing) : outgoing.end('text'),
  )
  let told = 0
  const onExchange = () => {
    told++
    throw new Error('ENOSPC')
  }
  const client = createHttpClient({ url, onExchange })
  assert.equal(await readText(await client.send({ path: '/' }), 100), 'text')
  ;(await client.send({ path: '/' })).cancel()
  const controller = new AbortController()
  const sent = client.send({ path: '/held', signal: controller.signal })
  await arrived
  controller.abort('enough')
  await assert.rejects(sent, (error) => error === 'enough')
  await assert.rejects(client.send({ path: '/held', silenceMs: 20 }), isTransport('timeout'))
  assert.equal(told, 4)
})

// The mocked clock of other runtimes does not reach everything.
test('without a limit an hour of silence is no failure', { skip: !onNode && 'needs a mocked clock' }, async (t) => {
  const { listener, arrived } = held()
  const url = await serve(t, listener)
  const sent = createHttpClient({ url }).send({ path: '/' })
  const { outgoing } = await arrived
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'] })
  t.mock.timers.tick(3_600_000)
  outgoing.writeHead(200).write('first')
  const { body } = await sent
  await body.next()
  t.mock.timers.tick(3_600_000)
  outgoing.end('last')
  assert.equal(Buffer.from((await body.next()).value ?? []).toString(), 'last')
})

test('a reader that takes its time is no silence', { skip: !onNode && 'needs a mocked clock' }, async (t) => {
  const { listener, arrived } = held()
  const url = await serve(t, listener)
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const sent = createHttpClient({ url }).send({ path: '/', silenceMs: 1000 })
  const { outgoing } = await arrived
  outgoing.writeHead(200).write('first')
  const { body } = await sent
  await body.next()
  t.mock.timers.tick(10_000)
  outgoing.end('last')
  assert.equal(Buffer.from((await body.next()).value ?? []).toString(), 'last')
})

test('nobody listens', async (t) => {
  const server = createTcpServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  await new Promise((resolve) => server.close(resolve))
  const exchanges: Exchange[] = []
  const client = createHttpClient({
    url: `http://127.0.0.1:${address.port}`,
    onExchange: (exchange) => exchanges.push(exchange),
  })
  await assert.rejects(client.send({ path: '/' }), isTransport('network', 'ECONNREFUSED'))
  assert.equal(exchanges.length, 1)
  assert.match(exchanges[0]?.error ?? '', /./)
  t.diagnostic(exchanges[0]?.error ?? '')
})

for (const [what, answer] of [
  ['closes without an answer', ''],
  ['upgrades to another protocol', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n'],
  ['breaks off within the headers', 'HTTP/1.1 200 OK\r\nContent-Le'],
] as const) {
  test(`a server that ${what}`, async (t) => {
    const url = await serveTcp(t, (socket) => socket.once('data', () => socket.end(answer)))
    await assert.rejects(createHttpClient({ url }).send({ path: '/' }), TransportError)
  })
}

for (const [what, answer] of [
  ['of the promised length', 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc'],
  ['in chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n'],
] as const) {
  test(`an answer ${what} that ends too early is a failure`, async (t) => {
    const url = await serveTcp(t, (socket) => socket.once('data', () => socket.end(answer)))
    const client = createHttpClient({ url })
    await assert.rejects(async () => readText(await client.send({ path: '/' }), 1000), isBroken)
  })
  test(`an answer ${what} that is reset is a failure`, async (t) => {
    const url = await serveTcp(t, (socket) =>
      socket.once('data', () => socket.write(answer, () => socket.resetAndDestroy())),
    )
    const client = createHttpClient({ url })
    await assert.rejects(async () => readText(await client.send({ path: '/' }), 1000), isBroken)
  })
}

test('the beginning of an answer that breaks off is kept', async (t) => {
  const url = await serveTcp(t, (socket) =>
    socket.once('data', () => socket.end('HTTP/1.1 500 Oops\r\nContent-Length: 100\r\n\r\nabc')),
  )
  const response = await createHttpClient({ url }).send({ path: '/' })
  assert.equal(response.status, 500)
  assert.equal(await readBeginning(response, 1000), 'abc')
})

test('what does not speak HTTP is a failure', async (t) => {
  const url = await serveTcp(t, (socket) => void socket.write('SSH-2.0-OpenSSH_9.6\r\n'))
  await assert.rejects(createHttpClient({ url }).send({ path: '/', silenceMs: 5000 }), TransportError)
})

test('https to a server that speaks http is a failure', async (t) => {
  const url = await serve(t, (_, outgoing) => outgoing.end())
  await assert.rejects(
    createHttpClient({ url: url.replace('http:', 'https:') }).send({ path: '/', silenceMs: 5000 }),
    isBroken,
  )
})

test('a body beyond the limit is not fetched to its end', async (t) => {
  const { listener, arrived } = held()
  const url = await serve(t, listener)
  const sent = createHttpClient({ url }).send({ path: '/' })
  const { incoming, outgoing } = await arrived
  const closed = closing(incoming)
  outgoing.writeHead(200).write('x'.repeat(200))
  await assert.rejects(readText(await sent, 100), isTransport('too-large'))
  await closed
})

test('the beginning of an endless body is enough for a message', async (t) => {
  const { listener, arrived } = held()
  const url = await serve(t, listener)
  const sent = createHttpClient({ url }).send({ path: '/' })
  const { incoming, outgoing } = await arrived
  const closed = closing(incoming)
  outgoing.writeHead(500).write('x'.repeat(200))
  assert.match(await readBeginning(await sent, 100), /^x+$/)
  await closed
})

test('an exchange is reported without headers, bodies and queries', async (t) => {
  const url = await serve(t, (_, outgoing) => outgoing.writeHead(404, { 'set-cookie': 'secret' }).end('secret'))
  const exchanges: Exchange[] = []
  const client = createHttpClient({
    url: `${url}/p`,
    headers: { authorization: 'secret' },
    onExchange: (exchange) => exchanges.push(exchange),
  })
  await readText(await client.send({ method: 'POST', path: '/api/x?key=secret', body: 'secret' }), 100)
  assert.equal(exchanges.length, 1)
  const { durationMs, ...rest } = exchanges[0] ?? {}
  assert.ok(Number.isInteger(durationMs))
  assert.deepEqual(rest, { method: 'POST', path: '/p/api/x', status: 404 })
})

test('proxy variables are not for an Ollama server, and the process ends with its request', async (t) => {
  let proxied = 0
  const proxy = await serveTcp(t, (socket) => {
    proxied++
    socket.destroy()
  })
  // Kept alive by the server: a client that pools connections would hang on it.
  const url = await serve(t, (_, outgoing) =>
    outgoing.writeHead(200, { connection: 'keep-alive', 'keep-alive': 'timeout=600' }).end('direct'),
  )
  const names = ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY'].flatMap((name) => [name, name.toLowerCase()])
  const env = {
    ...process.env,
    ...Object.fromEntries(names.map((name) => [name, proxy])),
    NODE_USE_ENV_PROXY: '1',
    NO_PROXY: '',
    no_proxy: '',
  }
  const program = fileURLToPath(new URL('./one-request.ts', import.meta.url))
  const flags = 'Deno' in globalThis ? ['run', '-A', '--no-check'] : 'Bun' in globalThis ? [] : ['--import', 'tsx']
  const child = spawn(process.execPath, [...flags, program, url], { env, stdio: ['ignore', 'pipe', 'inherit'] })
  let printed = ''
  child.stdout.on('data', (chunk) => {
    printed += chunk
  })
  const [status] = await once(child, 'close')
  assert.equal(status, 0)
  assert.equal(printed, 'direct\n')
  assert.equal(proxied, 0)
})

test('lines come out the same however the bytes are cut', async () => {
  const line = fc.oneof(
    fc.constantFrom('', ' ', '\r', '{"a":"模🦙"}'),
    fc.string({ unit: 'grapheme' }).map((text) => text.replaceAll('\n', '')),
  )
  await fc.assert(
    fc.asyncProperty(
      fc.array(line),
      fc.boolean(),
      fc.array(fc.integer({ min: 1, max: 7 })),
      async (lines, ended, sizes) => {
        const text = lines.join('\n') + (ended ? '\n' : '')
        const bytes = new TextEncoder().encode(text)
        async function* pieces(): AsyncGenerator<Uint8Array> {
          let start = 0
          for (const size of sizes) {
            yield bytes.subarray(start, start + size)
            start = Math.min(start + size, bytes.length)
          }
          yield bytes.subarray(start)
        }
        const found: string[] = []
        let lastEnded = true
        for await (const each of readLines(pieces(), 10_000)) {
          assert.ok(lastEnded, 'only the last line may be unended')
          found.push(each.text)
          lastEnded = each.ended
        }
        assert.deepEqual(
          found,
          text.split('\n').filter((each) => each.trim() !== ''),
        )
        assert.equal(lastEnded, (text.split('\n').at(-1) ?? '').trim() === '')
      },
    ),
  )
})

test('a line without end is not collected for ever', async () => {
  async function* endless(): AsyncGenerator<Uint8Array> {
    while (true) yield new Uint8Array(1000).fill(120)
  }
  await assert.rejects(async () => {
    for await (const _ of readLines(endless(), 10_000));
  }, isTransport('too-large'))
})

test('a connection that waits for an answer is kept alive, by name and by address', async (t) => {
  if (process.platform !== 'linux' || 'Bun' in globalThis)
    return t.skip('only Linux tells of it in a file; Bun does not do it')
  for (const host of ['127.0.0.1', 'localhost']) {
    const { listener, arrived } = held()
    const url = new URL(await serve(t, listener))
    url.hostname = host
    const client = createHttpClient({ url: url.origin })
    const answer = client.send({ path: '/' })
    const { incoming, outgoing } = await arrived
    const port = (incoming.socket.remotePort ?? 0).toString(16).toUpperCase().padStart(4, '0')
    // Local address, remote address, state, queues, and the timer: 02 is that of keep-alive, after 01 while a byte is not acknowledged.
    const timer = () =>
      new RegExp(` 0100007F:${port} 0100007F:\\S+ 01 \\S+ (\\d\\d):`).exec(readFileSync('/proc/net/tcp', 'utf8'))?.[1]
    while (timer() === '01') await new Promise((resolve) => setImmediate(resolve))
    assert.equal(timer(), '02', host)
    outgoing.end()
    await readText(await answer, 100)
    client.close()
  }
})
