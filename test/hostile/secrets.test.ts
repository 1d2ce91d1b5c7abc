/** Commands that know secrets, also when they fail and when what they ask repeats the secrets to them: nothing that is shown or kept has one. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { makeGguf } from '../support/gguf.ts'
import { startOllamaServer } from '../support/ollama-server.ts'
import { makeOllamaKey } from '../support/registry/ssh-key.ts'
import { type CliResult, openRegistry, runCli, spawnCli, tempFolder } from '../support/run-cli.ts'
import { layer } from '../support/world.ts'
import { isLong, some } from './hostile-input.ts'

const secrets = {
  header: 'literal-hunter2-header',
  variable: 'Bearer from-hunter2-environment',
  user: 'hunter2user',
  password: 'hunter2/pass word%',
  proxyUser: 'proxy-hunter2-user',
  proxyPassword: 'proxy-hunter2-pass',
}
const userInfo = `${encodeURIComponent(secrets.user)}:${encodeURIComponent(secrets.password)}`
const basic = Buffer.from(`${secrets.user}:${secrets.password}`).toString('base64')
/** Also in the spellings in which they go over the wire. */
const known = [
  ...Object.values(secrets),
  secrets.variable.replace('Bearer ', ''),
  userInfo,
  encodeURIComponent(secrets.password),
  basic,
  Buffer.from(`${secrets.proxyUser}:${secrets.proxyPassword}`).toString('base64'),
]

const log = ['--verbose', '--debug', '--log-file', 'log.jsonl']
const commands = [
  ['plan', ...log],
  ['plan', '--json', '--out', 'saved.json', ...log],
  ['apply', '--yes', ...log],
  ['check', ...log],
  ['check', '--json'],
  ['outdated', ...log],
  ['outdated', '--json'],
  ['lock', ...log],
  ['lock', '--json'],
  ['plugins', ...log],
  ['apply', 'saved.json', ...log],
  ['update', '--yes', '--json', ...log],
  ['rollback', 'a', '--yes', ...log],
  ['apply', '--yes', '--json', ...log],
] as const

function assertKept(
  cwd: string,
  { stdout, stderr }: CliResult,
  words: readonly string[],
  all: readonly string[],
): void {
  const files = readdirSync(cwd, { recursive: true, withFileTypes: true, encoding: 'utf8' })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name))
    // What the user wrote, and the key itself.
    .filter((file) => !/ollama\.config\.json$|id_ed25519(?:\.pub)?$/.test(file))
  const texts = [
    ['stdout', stdout],
    ['stderr', stderr],
    ...files.map((file) => [file, readFileSync(file, 'latin1')]),
  ] as const
  for (const [where = '', text = ''] of texts)
    for (const secret of all)
      assert.ok(!text.includes(secret), `${words.join(' ')}: ${secret} in ${where}: ${lineWith(text, secret)}`)
}

function lineWith(text: string, secret: string): string {
  return text.split('\n').find((line) => line.includes(secret)) ?? ''
}

const weights = layer('model', makeGguf({ name: 'a' }))

async function world(t: TestContext) {
  const cwd = tempFolder(t)
  const home = path.join(cwd, '.home')
  const { publicKey, file } = await makeOllamaKey(path.join(home, '.ollama'))
  const remote = await openRegistry(t, {
    models: [
      { name: 'a', layers: [weights, layer('license', 'x')], private: true },
      { name: 'b', layers: [weights], private: true },
    ],
    authorizedKeys: [publicKey],
  })
  const server = await startOllamaServer({
    models: ['old'],
    keyFile: file,
    registries: { 'registry.ollama.ai': remote.url },
    requireHeaders: { 'x-key': secrets.header, 'x-token': secrets.variable, authorization: `Basic ${basic}` },
  })
  t.after(() => server.close())
  const address = server.url.replace('://', `://${userInfo}@`)
  const headers = { 'X-Key': secrets.header, 'X-Token': { env: 'TOKEN' } }
  const config = (more: object = {}) =>
    writeFileSync(
      path.join(cwd, 'ollama.config.json'),
      JSON.stringify({ models: ['a', 'b'], headers, host: address, ...more }),
    )
  config()
  /** Tokens and signatures, as they came over the wire. */
  const wired = () =>
    remote.requests.flatMap(({ headers: { authorization = '' } }) =>
      String(authorization).startsWith('Bearer ') ? [String(authorization).slice(7)] : String(authorization).split(':'),
    )
  const run = async (words: readonly string[], env: Readonly<Record<string, string>> = {}) => {
    const result = await runCli(words, { cwd, env: { TOKEN: secrets.variable, ...env } })
    const hidden = [...known, ...wired().filter((text) => text.length > 5)]
    assertKept(cwd, result, words, hidden)
    return result
  }
  return { cwd, server, remote, address, config, run, wired }
}

test('commands that succeed show and keep no secret', async (t) => {
  const { run, cwd, wired, server } = await world(t)
  for (const words of commands.filter((list) => isLong || list.length > 3)) {
    const { code, stdout, stderr } = await run(words)
    assert.ok(
      code === 0 || (code === 1 && words[0] !== 'apply') || words[0] === 'rollback',
      `${words.join(' ')}: ${stdout}${stderr}`,
    )
  }
  assert.ok(wired().length > 2, 'nobody signed in')
  assert.ok(server.installed().includes('b:latest'))
  const names = readdirSync(cwd)
  for (const name of ['log.jsonl', 'saved.json', 'ollama.lock.json']) assert.ok(names.includes(name), name)
})

test('commands that fail show and keep no secret, also when a server repeats all of them', async (t) => {
  const { run, server, address, config } = await world(t)
  // What it was given; whose user it is, a server may say.
  const { header, variable, password } = secrets
  const echo = [header, variable, password, basic, encodeURIComponent(password)].join(' and ')
  const bodies = [JSON.stringify({ error: echo }), echo, `<html>${echo}</html>`]
  const faults = [400, 401, 403, 404, 407, 429, 500, 502, 503].flatMap((status) =>
    bodies.map((body) => ({ kind: 'status', status, body }) as const),
  )
  for (const fault of some(faults, 3)) {
    server.heal()
    for (const place of ['/api/tags', '/api/show', '/api/pull', '/api/delete', '/api/blobs/'])
      server.fail({ path: place }, fault, place === '/api/tags' ? 1 : Number.POSITIVE_INFINITY)
    for (const words of [
      ['plan', ...log],
      ['apply', '--yes', '--json', ...log],
    ])
      await run(words)
  }
  server.heal()
  server.fail({ path: '/api/pull' }, { kind: 'line', line: JSON.stringify({ error: echo }) })
  for (const words of [
    ['apply', '--yes', ...log],
    ['apply', '--yes', '--json', ...log],
  ])
    await run(words)
  // Of an address that is none, that nobody answers at, or that needs a variable which is not set.
  for (const host of [
    address.replace(/\d+$/, '9'),
    address.replace('http:', 'https:'),
    `http://${userInfo}@bad host/`,
    `ftp://${userInfo}@h`,
    `${userInfo}@h/x@y`,
  ]) {
    config({ host })
    for (const words of [
      ['plan', ...log],
      ['plan', '--json', '--host', host],
      ['check', '--json', ...log],
      ['apply', '--yes', ...log],
    ])
      await run(words)
    config({ host: undefined })
    await run(['plan', ...log], { OLLAMA_HOST: host })
  }
  config({ headers: { 'X-Token': { env: secrets.variable } } })
  await run(['plan', ...log])
  config({ headers: { 'X-Token': `${secrets.header}\r\nx: y` } })
  await run(['plan', '--json', ...log])
  config({ headers: { 'X-Token': [secrets.header], 'X-Key': 1 } })
  await run(['plan', '--json', ...log])
})

async function serve(t: TestContext, answer: (request: IncomingMessage, response: ServerResponse) => void) {
  const asked: IncomingMessage[] = []
  const server = createServer((request, response) => {
    asked.push(request)
    answer(request, response)
  })
  server.on('connect', (request, socket) => {
    asked.push(request)
    socket.end(`HTTP/1.1 403 ${secrets.proxyPassword}\r\nx-echo: ${request.headers['proxy-authorization']}\r\n\r\n`)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()))
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  return { url: `http://127.0.0.1:${address.port}`, port: address.port, asked }
}

test('a registry and a storage that repeat tokens and signed addresses are not repeated', async (t) => {
  if (process.platform === 'win32') return t.skip('no file of Windows is named after a registry with a port')
  const cwd = tempFolder(t)
  const { publicKey } = await makeOllamaKey(path.join(cwd, '.home', '.ollama'))
  const token = 'token-hunter2-0123456789'
  const signed = 'signature-hunter2-abcdef'
  const seen: string[] = []
  let fails = 'manifest'
  let echo = ''
  const manifest = JSON.stringify({
    schemaVersion: 2,
    config: {
      mediaType: 'application/vnd.docker.container.image.v1+json',
      digest: `sha256:${'a'.repeat(64)}`,
      size: 7,
    },
    layers: [{ mediaType: 'application/vnd.ollama.image.model', digest: `sha256:${'b'.repeat(64)}`, size: 9 }],
  })
  const storage = await serve(t, (request, response) =>
    response.writeHead(isLong ? 403 : 404).end(`${echo} to ${request.url}`),
  )
  const registry = await serve(t, (request, response) => {
    const { authorization = '', host = '' } = request.headers
    const url = request.url ?? ''
    if (url.startsWith('/token')) {
      seen.push(...authorization.split(':'))
      return void response.end(JSON.stringify({ token }))
    }
    if (authorization !== `Bearer ${token}`)
      return void response
        .writeHead(401, { 'www-authenticate': `Bearer realm="http://${host}/token",service="s",scope="x"` })
        .end()
    echo = `you said ${authorization} ${seen.slice(-2).join(' ')}`
    if (url.includes('/manifests/') && fails !== 'manifest') return void response.end(manifest)
    if (url.includes('/blobs/') && fails === 'storage')
      return void response.writeHead(307, { location: `http://localhost:${storage.port}/blob?sig=${signed}` }).end()
    response.writeHead(fails === 'nothing' ? 404 : 500, { 'retry-after': '0' }).end(echo)
  })
  const { url } = registry
  const name = `${url.replace('http://', '')}/team/x`
  writeFileSync(path.join(cwd, 'ollama.config.json'), JSON.stringify({ models: [{ name, insecure: true }] }))
  const remote = await openRegistry(t)
  Object.assign(remote, { url })
  const flag = `--store=${path.join(cwd, 'models')}`
  // What may get better is tried again for half a minute: only in a long run.
  for (fails of ['nothing', 'storage', ...(isLong ? ['manifest', 'blob'] : [])]) {
    for (const words of [
      ['plan', flag, ...log],
      ['apply', '--yes', '--json', flag, ...log],
      ['lock', '--json', flag, ...log],
      ['outdated', flag, ...log],
    ]) {
      // What another run was given, nobody can know.
      seen.length = 0
      const result = await runCli(words, { cwd })
      // Where a storage is, is no secret but for what is signed.
      assertKept(
        cwd,
        result,
        [fails, ...words],
        [token, signed, ...seen.filter((text) => text.length > 5 && !publicKey.includes(text))],
      )
    }
  }
  assert.ok(storage.asked.length > 0)
  for (const { headers } of storage.asked) assert.equal(headers.authorization, undefined)
})

test('a proxy that refuses and repeats what it got is not repeated, and a server on this machine is not asked through it', async (t) => {
  const { cwd, server, address } = await world(t)
  const proxy = await serve(t, (request, response) =>
    response.writeHead(407).end(String(request.headers['proxy-authorization'])),
  )
  const through = `http://${secrets.proxyUser}:${secrets.proxyPassword}@127.0.0.1:${proxy.port}`
  writeFileSync(
    path.join(cwd, 'ollama.config.json'),
    JSON.stringify({
      models: ['a', { name: 'r.example/x/y', insecure: true }],
      headers: { 'X-Key': secrets.header, 'X-Token': { env: 'TOKEN' } },
      host: address,
    }),
  )
  const env = { TOKEN: secrets.variable, HTTPS_PROXY: through, HTTP_PROXY: through }
  const words = ['outdated', '--json', ...log]
  const { code, stdout, stderr } = await spawnCli(words, { cwd, env }).done
  assert.equal(code, 0, stderr)
  assertKept(cwd, { code, stdout, stderr }, words, known)
  assert.ok(proxy.asked.length >= 2, 'no registry was asked through the proxy')
  assert.ok(server.requests.length > 0)
  for (const { headers } of proxy.asked) {
    assert.match(String(headers['proxy-authorization']), /^Basic /)
    for (const name of ['authorization', 'x-key', 'x-token']) assert.equal(headers[name], undefined)
  }
  for (const { headers } of server.requests) assert.equal(headers['proxy-authorization'], undefined)
})

test('a server that redirects gets no second chance elsewhere: no header goes to another host', async (t) => {
  const { run, config } = await world(t)
  const elsewhere = await serve(t, (_, response) => response.end('{"models":[]}'))
  for (const status of [301, 302, 307, 308]) {
    const front = await serve(t, (_, response) =>
      response
        .writeHead(status, {
          location: `http://${userInfo}@127.0.0.1:${elsewhere.port}/api/tags?key=${secrets.header}`,
        })
        .end(),
    )
    config({ host: front.url.replace('://', `://${userInfo}@`) })
    for (const words of [
      ['plan', ...log],
      ['apply', '--yes', '--json', ...log],
    ]) {
      const { code } = await run(words)
      assert.equal(code, 1)
    }
  }
  assert.deepEqual(elsewhere.asked, [])
})

test('an address with a secret in it, right or wrong, is shown nowhere, nor is it in a command to paste', async (t) => {
  const hosts = [
    'http://127.0.0.1:1?token=hunter2',
    'http://127.0.0.1:1/?token=hunter2',
    '127.0.0.1:1#hunter2',
    'http://127.0.0.1:1?mail=me@hunter2',
    'http://me:hunter2@127.0.0.1:1',
    'me:hunter2@127.0.0.1:1',
    'http://me:hun/hunter2@127.0.0.1:1',
    // The end of it was forgotten.
    'http://127.0.0.1:hunter2',
    'ftp://me:hunter2@127.0.0.1',
    'http//me:hunter2@127.0.0.1',
  ]
  const asked = [
    ['plan'],
    ['plan', '--json'],
    ['apply', 'no.json'],
    ['apply', 'no.json', '--json'],
    ['apply', '--yes'],
    ['apply', '--yes', '--json', '--debug'],
    ['check'],
    ['check', '--json', '--debug'],
    ['outdated'],
    ['lock'],
    ['update'],
    ['rollback', 'a'],
    ['verify'],
    ['plugins'],
    ['doctor'],
    ['doctor', '--json'],
    ['setup'],
    ['setup', '--json'],
    ['init'],
    ['init', '--from-installed'],
    ['init', '--json'],
    ['exec', '--', 'true'],
  ]
  for (const host of hosts) {
    for (const words of some(asked, 6)) {
      const flag = await runCli([words[0] ?? '', '--host', host, ...words.slice(1)], { cwd: tempFolder(t) })
      const config = { 'ollama.config.json': { models: ['a'] } }
      const withConfig = await runCli([words[0] ?? '', '--host', host, ...words.slice(1)], {
        cwd: tempFolder(t, config),
      })
      const env = await runCli(words, { cwd: tempFolder(t, config), env: { OLLAMA_HOST: host } })
      const named = await runCli(words, { cwd: tempFolder(t, { 'ollama.config.json': { models: ['a'], host } }) })
      for (const { stdout, stderr } of [flag, withConfig, env, named])
        assert.doesNotMatch(stdout + stderr, /hunter2/, `${words.join(' ')} with ${host}`)
    }
  }
})

test('an address without a secret is in a command to paste as it was written', async (t) => {
  for (const host of [':1', '127.0.0.1:1', 'http://127.0.0.1:1/prefix', 'unix:///nowhere/ollama.sock']) {
    const { stderr } = await runCli(['apply', 'no.json', '--host', host], { cwd: tempFolder(t) })
    assert.ok(stderr.includes(`"ollama-config plan --out FILE --host ${host}"`), stderr)
  }
})
