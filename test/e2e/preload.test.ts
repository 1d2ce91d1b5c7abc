import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { resolveConfig } from '../../src/config/resolve.ts'
import { applyPlan, createPlan } from '../../src/index.ts'
import { modelsToLoad } from '../../src/runner/preload.ts'
import type { OllamaServerOptions } from '../support/ollama-server.ts'
import { runCli, spawnCli, startServer, tempFolder, testRegistryUrl } from '../support/run-cli.ts'

async function place(t: TestContext, config: object, options: OllamaServerOptions) {
  const server = await startServer(t, { runner: true, ...options })
  const cwd = tempFolder(t, { 'ollama.config.json': config })
  const run = (...words: string[]) => runCli(words, { cwd, env: { OLLAMA_HOST: server.url } })
  const loads = () =>
    server.requests
      .filter(({ path: at }) => at === '/api/generate' || at === '/api/embed')
      .map(({ path: at, body }) => [at, body])
  return { server, cwd, run, loads }
}

test('apply --preload loads every declared model once it is there, one after the other, and says so', async (t) => {
  const embedder = { name: 'embedder', capabilities: ['embedding'] }
  const { server, run, loads } = await place(
    t,
    { models: ['b', 'a', 'embedder'] },
    { models: ['a', 'old:7b', embedder], registry: ['b'] },
  )
  const first = await run('apply', '--yes', '--preload')
  assert.equal(first.code, 0, first.stderr)
  assert.match(
    first.stderr,
    /^b:latest: pulling\nb:latest: pulled .*\nb:latest: loading into memory\nb:latest: loaded in .*\na:latest: loading .*\na:latest: loaded .*\nembedder:latest: loading .*\nembedder:latest: loaded .*\n$/,
  )
  // No time is asked for: that is the server's to say. What only embeds is loaded by an embedding of nothing.
  const asked = [
    ['/api/generate', { model: 'b:latest' }],
    ['/api/generate', { model: 'a:latest' }],
    ['/api/generate', { model: 'embedder:latest' }],
    ['/api/embed', { model: 'embedder:latest' }],
  ]
  assert.deepEqual(loads(), asked)
  const { models } = (await (await fetch(`${server.url}/api/ps`)).json()) as { models: { name: string }[] }
  assert.deepEqual(models.map(({ name }) => name).sort(), ['a:latest', 'b:latest', 'embedder:latest'])
  // Also where nothing is left to do: the server may have been started anew.
  const second = await run('apply', '--yes', '--preload')
  assert.equal(second.code, 0)
  assert.match(second.stdout, /No changes/)
  assert.equal(loads().length, 2 * asked.length)
  await run('plan', '--out', 'plan.json')
  assert.equal((await run('apply', 'plan.json', '--preload')).code, 0)
  assert.equal(loads().length, 3 * asked.length)
  assert.deepEqual(server.problems, [])
})

test('without --preload nothing is loaded, whatever the config says', async (t) => {
  const { run, loads } = await place(t, { models: [{ name: 'a', keepAlive: '10m' }] }, { registry: ['a'] })
  assert.equal((await run('apply', '--yes')).code, 0)
  assert.deepEqual(loads(), [])
})

test('keepAlive chooses what is loaded, and is sent as it is written', async (t) => {
  const models = [
    { name: 'a', keepAlive: '1h30m' },
    { name: 'b', keepAlive: -1 },
    'c',
    { name: 'second', aliasOf: 'b' },
    { name: 'own', from: 'a', system: 'Hi.', keepAlive: 600 },
  ]
  const { run, loads } = await place(t, { models, defaults: { keepAlive: '5m' } }, { models: ['a', 'b', 'c'] })
  const { code, stderr } = await run('apply', '--yes', '--preload')
  assert.equal(code, 0, stderr)
  assert.deepEqual(loads(), [
    ['/api/generate', { model: 'a:latest', keep_alive: '1h30m' }],
    ['/api/generate', { model: 'b:latest', keep_alive: -1 }],
    ['/api/generate', { model: 'own:latest', keep_alive: 600 }],
  ])
})

test('which models are loaded, and for how long', () => {
  const wanted = (models: readonly (string | object)[], defaults: object = {}) =>
    modelsToLoad(resolveConfig({ models, defaults }).desired).map(({ reference, keepAlive }) => [
      reference.model,
      keepAlive,
    ])
  const later = { keepAlive: '1h' }
  assert.deepEqual(wanted(['b', 'a']), [
    ['b', undefined],
    ['a', undefined],
  ])
  assert.deepEqual(wanted(['b', 'a'], later), [
    ['b', '1h'],
    ['a', '1h'],
  ])
  assert.deepEqual(wanted(['b', { name: 'a', keepAlive: 5 }], later), [['a', 5]])
  assert.deepEqual(wanted(['b', { name: 'a', keepAlive: 0 }], later), [['b', '1h']])
  assert.deepEqual(
    wanted([
      { name: 'b', keepAlive: '1m' },
      { name: 'a', keepAlive: '0s' },
    ]),
    [['b', '1m']],
  )
  assert.deepEqual(wanted(['a'], { keepAlive: 0 }), [])
  // A base that nobody declared is only there to be built from.
  assert.deepEqual(wanted([{ name: 'a', from: 'base' }]), [['a', undefined]])
})

test('what is in memory under one name is not loaded again under another, and cloud models never are', async (t) => {
  const cloud = { name: 'big:cloud', remoteHost: 'https://ollama.com:443', remoteModel: 'big' }
  const config = { models: ['a', { name: 'second', aliasOf: 'a' }, 'big:cloud', 'stub'] }
  const { run, loads } = await place(t, config, { models: ['a', cloud, { ...cloud, name: 'stub' }] })
  assert.equal((await run('apply', '--yes', '--preload')).code, 0)
  assert.deepEqual(loads(), [['/api/generate', { model: 'a:latest' }]])
})

test('a model that cannot be loaded is an error of the run: the others are loaded, and what was pulled stays', async (t) => {
  const { server, run, loads } = await place(t, { models: ['a', 'b', 'c'] }, { models: ['a', 'b'], registry: ['c'] })
  const body = JSON.stringify({ error: 'model requires more system memory (9.0 GiB) than is available' })
  server.fail({ path: '/api/generate', model: 'a' }, { kind: 'status', status: 500, body })
  server.fail({ path: '/api/generate', model: 'b' }, { kind: 'status', status: 503, body: '{"error":"server busy"}' })
  const { code, stdout } = await run('apply', '--yes', '--preload')
  assert.equal(code, 1)
  assert.match(stdout, /x "a:latest" was not loaded: .*more system memory \(9\.0 GiB\)/)
  assert.match(stdout, /x "b:latest" was not loaded: .*server busy\n.*OLLAMA_MAX_QUEUE/)
  assert.match(stdout, /Failed: 1 pulled, 2 failed\nMore: ollama-config help host-error\n$/)
  assert.equal(loads().length, 3)
  assert.deepEqual(server.installed(), ['a:latest', 'b:latest', 'c:latest'])
})

test('an error in an answer that promised success is one', async (t) => {
  const { server, run } = await place(t, { models: ['a'] }, { models: ['a'] })
  server.fail({ path: '/api/generate' }, { kind: 'body', body: '{"error":"llama runner is gone"}' })
  const { code, stdout } = await run('apply', '--yes', '--preload')
  assert.equal(code, 1)
  assert.match(stdout, /x "a:latest" was not loaded: POST \/api\/generate failed: llama runner is gone\n/)
})

test('while a model loads, which takes minutes, another apply is not kept waiting', { timeout: 30_000 }, async (t) => {
  const { server, cwd, run } = await place(t, { models: ['a'] }, { registry: ['a', 'b'] })
  server.fail({ path: '/api/generate' }, { kind: 'hold' }, 1)
  const first = run('apply', '--yes', '--preload')
  await server.waitForRequest({ path: '/api/generate' })
  writeFileSync(path.join(cwd, 'ollama.config.json'), JSON.stringify({ models: ['a', 'b'] }))
  const { code, stderr } = await run('apply', '--yes')
  server.release()
  assert.equal(code, 0)
  assert.doesNotMatch(stderr, /Waiting/)
  assert.equal((await first).code, 0)
})

test('after a failed pull nothing is loaded', async (t) => {
  const { run, loads } = await place(t, { models: ['a', 'gone'] }, { models: ['a'] })
  assert.equal((await run('apply', '--yes', '--preload')).code, 1)
  assert.deepEqual(loads(), [])
})

test('a program is told by events, and by the outcome', async (t) => {
  const { server } = await place(t, {}, { models: ['a'] })
  const config = { models: ['a'], host: server.url }
  const options = { env: { HOME: tempFolder(t) }, registryUrl: testRegistryUrl }
  const plan = await createPlan(config, options)
  const approve = { changes: true, deletions: false }
  const events: unknown[] = []
  for await (const event of applyPlan(plan, { ...options, config, approve, preload: true }))
    events.push('reference' in event ? [event.type, event.reference] : event.type)
  assert.deepEqual(events, [
    'apply-started',
    ['model-loading', 'a:latest'],
    ['model-loaded', 'a:latest'],
    'apply-finished',
  ])
})

test('Ctrl-C while a model loads ends the request, and the run with 130', {
  skip: process.platform === 'win32' ? 'signals of POSIX' : false,
  timeout: 60_000,
}, async (t) => {
  const { server, cwd } = await place(t, { models: ['a', 'b'] }, { models: ['a', 'b'] })
  server.fail({ path: '/api/generate' }, { kind: 'hold' })
  const run = spawnCli(['apply', '--yes', '--preload'], { cwd, env: { OLLAMA_HOST: server.url } })
  const asked = await server.waitForRequest({ path: '/api/generate' })
  run.kill('SIGINT')
  const { code, stdout } = await run.done
  assert.equal(code, 130)
  assert.match(stdout, /Interrupted:/)
  assert.ok((await server.waitForRequest({ path: '/api/generate', aborted: true })).aborted)
  assert.deepEqual(asked.body, { model: 'a:latest' })
})

test('--preload with --store exits with 3 before anything happens', async (t) => {
  const cwd = tempFolder(t, { 'ollama.config.json': { models: ['a'] } })
  const { code, stderr } = await runCli(['apply', '--yes', '--store=models', '--preload'], { cwd })
  assert.equal(code, 3)
  assert.match(stderr, /--preload and --store were both given/)
})

test('a keepAlive that the server would not take is an error with its place', async (t) => {
  const cwd = tempFolder(t)
  for (const keepAlive of ['soon', '10', '-1', '', 0.5, true]) {
    writeFileSync(path.join(cwd, 'ollama.config.json'), JSON.stringify({ models: [{ name: 'a', keepAlive }] }))
    const { code, stderr } = await runCli(['plan', '--config-only'], { cwd })
    assert.equal(code, 3)
    assert.match(stderr, /models\[0\]\.keepAlive must be a time such as "10m", or a whole number of seconds: found /)
  }
})
