/** `doctor` as a whole command: what it says of real servers on loopback, of none, and of hostile ones; and how it looks. */
import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, realpathSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { formatExamination } from '../../src/cli/views/examination.ts'
import { createStyle } from '../../src/cli/views/style.ts'
import { textWidth } from '../../src/cli/views/text.ts'
import { type Examination, examine } from '../../src/index.ts'
import { makeGguf } from '../support/gguf.ts'
import { startOllamaServer } from '../support/ollama-server.ts'
import { posixOnly, standInPrograms } from '../support/programs.ts'
import { type CliOptions, openRegistry, runCli, spawnCli, startServer, tempFolder } from '../support/run-cli.ts'
import { layer } from '../support/world.ts'

async function examined(
  code: number,
  cwd: string,
  words: readonly string[],
  options: Partial<CliOptions> = {},
): Promise<{ readonly found: Readonly<Record<string, string>>; readonly text: string; readonly json: Examination }> {
  const { code: exit, stdout, stderr } = await runCli(['doctor', '--json', ...words], { cwd, ...options })
  assert.equal(exit, code, stdout + stderr)
  const json: Examination = JSON.parse(stdout)
  const found = Object.fromEntries(
    json.findings.map((finding) => [finding.subject, `${finding.status} ${finding.code}`]),
  )
  return { found, text: stdout, json }
}

/** Answers as the test says; closed afterwards, with all who wait. */
async function listen(t: TestContext, answer: (request: IncomingMessage, response: ServerResponse) => void) {
  const server: Server = createServer(answer)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

test('of a server that is well, and a config that was applied, nothing is wrong', async (t) => {
  const server = await startServer(t, { registry: ['a', 'b'], loaded: [] })
  const cwd = tempFolder(t, { 'ollama.config.json': { models: ['a', 'b'], host: server.url } })
  for (const words of [['apply', '--yes'], ['lock']]) assert.equal((await runCli(words, { cwd })).code, 0)
  const asked = server.remote.requests.length
  const before = server.requests.length
  const { found, json } = await examined(0, cwd, [])
  const { server: answers, version, loaded, config, lock, record, cloud } = found
  assert.deepEqual(
    { answers, version, loaded, config, lock, record, cloud },
    {
      answers: 'ok server-answers',
      version: 'ok version',
      loaded: 'ok loaded-none',
      config: 'ok config',
      lock: 'ok lock',
      record: 'ok record',
      cloud: 'ok cloud-off',
    },
  )
  assert.deepEqual([json.address, json.serverVersion], [server.url, '0.33.0'])
  assert.equal(server.remote.requests.length, asked)
  const sent = server.requests.slice(before)
  assert.ok(sent.length > 0 && sent.every(({ method, path: at }) => method === 'GET' || at === '/api/show'))
  assert.deepEqual(server.problems, [])

  server.install({ name: 'b', revision: 'two' })
  server.remove('a')
  const later = await examined(0, cwd, [])
  assert.deepEqual([later.found['lock'], later.found['record']], ['warning lock-differs', 'warning record-differs'])
})

test('a folder of models that the server names is looked at, and so is that of this user', posixOnly, async (t) => {
  const remote = await openRegistry(t, { models: [{ name: 'a', layers: [layer('model', makeGguf())] }] })
  const cwd = tempFolder(t, { 'ollama.config.json': { models: ['a'] } })
  const store = path.join(cwd, 'models')
  const filled = await runCli(['apply', '--yes', `--store=${store}`], { cwd })
  assert.equal(filled.code, 0, filled.stderr)
  const { stdout } = await runCli(['verify', `--store=${store}`, '--json'], { cwd })
  const [model] = JSON.parse(stdout).models
  let listed = model.digest.slice('sha256:'.length)
  const host = await listen(t, (request, response) => {
    const answers: Readonly<Record<string, object>> = {
      '/api/version': { version: '0.33.0' },
      '/api/tags': { models: [{ name: 'a:latest', digest: listed, size: 1, details: {} }] },
      '/api/show': { details: {}, modelfile: `FROM ${store}/blobs/sha256-${'a'.repeat(64)}\nTEMPLATE x` },
    }
    request.resume().on('end', () => response.end(JSON.stringify(answers[request.url ?? ''] ?? {})))
  })
  const home = path.join(cwd, 'home')
  mkdirSync(path.join(home, '.ollama/models/manifests/x'), { recursive: true })
  const options = { env: { HOME: home, OLLAMA_HOST: host } }
  const { found, json } = await examined(0, cwd, [], options)
  assert.equal(found['models'], 'warning folder-two')
  assert.equal(json.facts.modelFolder, store)
  assert.ok((json.facts.freeBytes ?? 0) > 0)
  // Other models: the path is one of a container.
  listed = 'b'.repeat(64)
  assert.equal((await examined(0, cwd, [], options)).found['models'], 'ok folder-elsewhere')
  assert.deepEqual(remote.problems, [])
})

test('where no server answers, each fact that does not need one is told all the same', posixOnly, async (t) => {
  const cwd = tempFolder(t, { 'ollama.config.json': { models: ['a'] } })
  const programs = standInPrograms(tempFolder(t))
  const host = ['--host', '127.0.0.1:9']
  const without = await examined(1, cwd, host, { env: { PATH: programs.path } })
  assert.equal(without.found['program'], 'error program-missing')
  assert.equal(without.found['server'], 'error host-unreachable')
  assert.equal(without.found['config'], 'ok config')
  assert.equal(without.found['proxy'], undefined)
  programs.add('ollama')
  const { found, json } = await examined(1, cwd, host, { env: { PATH: programs.path } })
  assert.equal(found['program'], 'ok program-found')
  assert.equal(json.facts.program, path.join(programs.path, 'ollama'))
  assert.deepEqual(programs.calls(), [], 'what is found is not run')
})

test('a server that takes the connection and is silent, or drips, holds nothing up', async (t) => {
  const silent = await listen(t, () => {})
  const dripping = await listen(t, (_, response) => {
    response.writeHead(200)
    const timer = setInterval(() => response.write(' '), 5)
    response.on('close', () => clearInterval(timer))
  })
  const cwd = tempFolder(t)
  for (const host of [silent, dripping]) {
    const { findings } = await examine({ cwd, host, env: {}, limitMs: 100 })
    assert.equal(findings.find(({ subject }) => subject === 'server')?.code, 'host-timeout')
  }
  writeFileSync(path.join(cwd, 'ollama.config.mjs'), 'await new Promise(() => {})\n')
  const { findings } = await examine({ cwd, host: silent, env: {}, limitMs: 100 })
  const late = findings.find(({ subject }) => subject === 'config')
  assert.deepEqual([late?.status, late?.message], ['error', 'The config does not finish loading within 0.5 s'])
  const stop = new AbortController()
  const running = examine({ cwd, host: silent, env: {}, signal: stop.signal })
  stop.abort(new Error('stop'))
  await assert.rejects(running, { message: 'stop' })
})

test('one that runs but cannot list its models is told from one that does not run', async (t) => {
  const server = await startOllamaServer({})
  t.after(() => server.close())
  server.fail(
    { path: '/api/tags' },
    { kind: 'status', status: 500, body: '{"error":"stat /x: no such file or directory"}' },
  )
  const { found, text } = await examined(1, tempFolder(t), ['--host', server.url])
  assert.equal(found['server'], 'error host-error')
  assert.match(text, /runs, but does not list its models: .*no such file/)
  assert.equal(found['version'], 'ok version')
})

test('what a hostile server says cannot reach the terminal, and no secret is shown', async (t) => {
  const evil = '\x1b]0;owned\x07\x1b[2J\u202e'
  const host = await listen(t, (request, response) => {
    request.resume()
    const answers: Readonly<Record<string, object>> = {
      '/api/version': { version: `0.33.0${evil}` },
      '/api/tags': { models: [] },
      '/api/ps': { models: [{ name: `a${evil}`, size: 1 }, 3, { size: 'x' }] },
      '/api/status': { cloud: { disabled: true, source: evil } },
    }
    response.end(JSON.stringify(answers[request.url ?? ''] ?? {}))
  })
  const secret = 'hunter2-secret'
  const cwd = tempFolder(t, { 'ollama.config.json': { models: [], headers: { authorization: `Bearer ${secret}` } } })
  const env = { HTTPS_PROXY: `http://user:${secret}@proxy:1` }
  const { stdout, stderr } = await runCli(['doctor', '--host', host.replace('//', `//u:${secret}@`)], { cwd, env })
  assert.match(stdout, /0\.33\.0/)
  assert.match(stdout, /…@proxy:1 is set here/)
  assert.doesNotMatch(stdout + stderr, /hunter2|\x1b|\x07|\u202e/)
  // A proxy that quotes what it was sent.
  const quoting = await listen(t, (request, response) => {
    response.writeHead(401).end(JSON.stringify({ error: `no: ${request.headers.authorization}` }))
  })
  const refused = await runCli(['doctor', '--host', quoting], { cwd })
  assert.match(refused.stdout, /host|401/)
  assert.doesNotMatch(refused.stdout, /hunter2/)
})

test('what is wrong with config, plugins, lock and record is told in place of them', async (t) => {
  const server = await startOllamaServer({})
  t.after(() => server.close())
  const cwd = tempFolder(t, {
    'wrong.config.json': { models: 3 },
    'host.config.json': { models: [], host: 'http:/x' },
    'header.config.json': { models: [], headers: { Authorization: { env: 'NOT_SET' } } },
    'ollama.config.json': { models: ['a'], discover: '.' },
    'bad.plugin.js': 'export default 1\n',
    'ollama.lock.json': '{',
  })
  const options = { env: { OLLAMA_HOST: server.url } }
  const foundIn = async (code: number, ...words: string[]) => (await examined(code, cwd, words, options)).found
  assert.equal((await foundIn(1, '--config', 'wrong.config.json'))['config'], 'error config-invalid')
  const { plugins, lock } = await foundIn(1)
  assert.deepEqual([plugins, lock], ['error invalid-plugin', 'error lock-invalid'])
  const { server: header } = await foundIn(1, '--config', 'header.config.json')
  assert.equal(header, 'error config-invalid')
  assert.equal((await foundIn(1, '--config', 'host.config.json'))['server'], 'error invalid-address')
  // Given on the command line it is a slip of whoever is there.
  for (const words of [
    ['--host', 'http:/x'],
    ['--config', 'none.config.json'],
  ])
    assert.equal((await runCli(['doctor', ...words], { cwd })).code, 3)
})

test('a config that is there and cannot be one is told as that, with what mends it', async (t) => {
  const server = await startOllamaServer({})
  t.after(() => server.close())
  const cwd = tempFolder(t)
  mkdirSync(path.join(cwd, 'ollama.config.ts'))
  const { found } = await examined(1, cwd, [], { env: { OLLAMA_HOST: server.url } })
  assert.equal(found['config'], 'error config-not-found')
  const { stdout } = await runCli(['doctor'], { cwd, env: { OLLAMA_HOST: server.url } })
  assert.match(stdout, /✖ config +"[^"]*ollama\.config\.ts" is not a file but a folder\n +→ remove it, or name another/)
  assert.doesNotMatch(stdout, /ollama-config init/)
})

test('a record that cannot be read is told', async (t) => {
  const server = await startServer(t, { registry: ['a'] })
  const cwd = realpathSync(tempFolder(t, { 'ollama.config.json': { models: ['a'], host: server.url } }))
  assert.equal((await runCli(['apply', '--yes'], { cwd })).code, 0)
  const state = path.join(cwd, 'state')
  assert.equal((await runCli(['apply', '--yes'], { cwd, env: { XDG_STATE_HOME: state } })).code, 0)
  assert.equal((await examined(0, cwd, [])).found['record'], 'ok record')
  const records = readdirSync(path.join(cwd, '.home'), { recursive: true, encoding: 'utf8' })
  for (const file of records.filter((name) => /record.*\.json$/.test(name)))
    writeFileSync(path.join(cwd, '.home', file), '{')
  assert.equal((await examined(0, cwd, [])).found['record'], 'warning record-invalid')
})

const sample: Examination = {
  formatVersion: '1.0',
  address: 'http://127.0.0.1:11434',
  serverVersion: '0.33.0',
  file: null,
  findings: [
    { subject: 'server', status: 'ok', code: 'c', message: 'http://127.0.0.1:11434 (the default) answers: 3 models' },
    {
      subject: 'proxy',
      status: 'error',
      code: 'c',
      message: 'http://proxy:3128 is set here, but not on the server',
      hint: 'ollama serve',
    },
    { subject: 'gpu', status: 'unknown', code: 'c', message: 'not known of another machine' },
    { subject: 'config', status: 'warning', code: 'c', message: 'there is none here', hint: 'write one' },
  ],
  facts: { program: null, modelFolder: null, freeBytes: null, memoryBytes: null, gpus: null, loaded: null },
}

test('it is a line for each fact, and below what is wrong the next thing to do', () => {
  const style = createStyle(false)
  assert.equal(
    formatExamination(sample, { style, unicode: true, columns: 80 }),
    `✔ server   http://127.0.0.1:11434 (the default) answers: 3 models
✖ proxy    http://proxy:3128 is set here, but not on the server
           → ollama serve
? gpu      not known of another machine
! config   there is none here
           → write one

1 problem, 1 warning.
`,
  )
  const narrow = formatExamination(sample, { style, unicode: false, columns: 40 })
  assert.ok(
    narrow.split('\n').every((line) => textWidth(line) <= 40),
    narrow,
  )
  assert.match(narrow, /^\+ server: http/)
  assert.match(narrow, /\nx proxy: http:\/\/proxy:3128 is set here,\n {4}but not on the server\n {2}-> ollama serve\n/)
  assert.match(
    formatExamination(sample, { style: createStyle(true), unicode: true, columns: 80 }),
    /\x1b\[31m✖\x1b\[39m/,
  )
  const fine = { ...sample, findings: sample.findings.slice(0, 1) }
  assert.match(formatExamination(fine, { style, unicode: true, columns: 80 }), /\n\nNothing is wrong\.\n$/)
})

test('what Deno does not permit is told as that, and not as a container', async (t) => {
  if (!('Deno' in globalThis) || process.platform !== 'linux') return t.skip('only Deno has permissions')
  const { url } = await startServer(t, { models: ['a'] })
  const cwd = tempFolder(t, { 'ollama.config.json': { models: ['a'] } })
  const denoPermissions = ['--allow-net', '--allow-read', '--allow-env', '--allow-sys=homedir']
  const env = { OLLAMA_HOST: url, HTTPS_PROXY: 'http://proxy:1' }
  const { stdout } = await spawnCli(['doctor'], { cwd, env, denoPermissions }).done
  assert.match(stdout, /http:\/\/proxy:1 is set here[^\n]*Deno lets a program look at others with --allow-all only/)
})
