import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  applyPlan,
  type Config,
  createPlan,
  definePlugin,
  type Event,
  OllamaConfigError,
  type PluginSpec,
  type ProbeContext,
  type ProbeTarget,
  type Report,
} from '../../src/index.ts'
import { runCli, startServer, tempFolder, testRegistryUrl } from '../support/run-cli.ts'

type Probe = NonNullable<PluginSpec['probe']>

const prober = (name: string, probe: Probe) => definePlugin({ apiVersion: 1, name, probe })()

const options = { env: {}, registryUrl: testRegistryUrl }

interface Applied {
  readonly report: Report
  readonly events: readonly Event[]
}

async function apply(config: Config, more: { signal?: AbortSignal; hookTimeoutMs?: number } = {}): Promise<Applied> {
  const plan = await createPlan(config, options)
  const run = applyPlan(plan, { ...options, ...more, config, approve: { changes: true, deletions: true } })
  const events: Event[] = []
  for await (const event of run) events.push(event)
  return { report: await run.report, events }
}

function messagesOf({ targets }: Report): readonly string[] {
  return targets.flatMap(({ diagnostics }) => diagnostics.map(({ code, message }) => `${code} | ${message}`))
}

test('probes run after an apply that changed something, before it is called finished, and may fail it', async (t) => {
  const server = await startServer(t, { models: ['old', 'kept'], registry: ['new'] })
  const targets: ProbeTarget[] = []
  const plugins = [
    prober('one', (_config, target) => {
      targets.push(target)
      return [{ severity: 'warning', code: 'slow', message: 'Slow' }]
    }),
    prober('two', () => [{ severity: 'error', code: 'silent', message: 'Says nothing', reference: 'new:latest' }]),
  ]
  const config = { models: ['kept', 'new'], host: server.url, plugins }
  const { report, events } = await apply(config)
  assert.equal(report.outcome, 'failed')
  assert.deepEqual(messagesOf(report), ['one/slow | one: Slow', 'two/silent | two: Says nothing'])
  assert.deepEqual(
    events.slice(-3).map(({ type }) => type),
    ['diagnostic', 'diagnostic', 'apply-finished'],
  )
  const digests = server.digests()
  assert.deepEqual(targets, [
    {
      address: server.url,
      models: [
        { reference: 'kept:latest', digest: `sha256:${digests['kept:latest']}`, changed: false, cloud: false },
        { reference: 'new:latest', digest: `sha256:${digests['new:latest']}`, changed: true, cloud: false },
      ],
    },
  ])
  assert.deepEqual(server.installed(), ['kept:latest', 'new:latest'])
  const again = await apply(config)
  assert.equal(again.report.outcome, 'done')
  assert.equal(targets.length, 1)
})

test('probes do not run after an apply in which something failed', async (t) => {
  const server = await startServer(t, { registry: ['a', 'b'] })
  server.fail({ path: '/api/pull' }, { kind: 'status', status: 500, body: '{"error":"broken"}' }, 1)
  let probed = false
  const plugin = prober('one', () => {
    probed = true
    return []
  })
  const { report } = await apply({ models: ['a', 'b'], host: server.url, plugins: [plugin] })
  assert.equal(report.outcome, 'failed')
  assert.deepEqual(server.installed(), ['b:latest'])
  assert.equal(probed, false)
})

test('a probe that fails or hangs is told by name, and the others run', async (t) => {
  const server = await startServer(t, { registry: ['a'] })
  const plugins = [
    prober('throws', () => Promise.reject(new Error('no luck'))),
    prober('hangs', () => new Promise<never>(() => {})),
    prober('nonsense', () => undefined as never),
    prober('fine', () => [{ severity: 'warning', code: 'w', message: 'Here' }]),
  ]
  const { report } = await apply({ models: ['a'], host: server.url, plugins }, { hookTimeoutMs: 1000 })
  assert.equal(report.outcome, 'failed')
  assert.deepEqual(messagesOf(report), [
    'plugin-failed | throws: its probe hook failed: no luck',
    'plugin-timeout | hangs: its probe hook was not done after 1 s',
    'plugin-failed | nonsense: its probe hook did not return what it has to: the result is not a list',
    'fine/w | fine: Here',
  ])
})

const answer = { model: 'a', created_at: '2026-01-01T00:00:00Z', response: 'ok', done: true }

test('the client is that of the host, with its headers, whole answers and streams', async (t) => {
  const headers = { 'x-team': 'blue' }
  const server = await startServer(t, { registry: ['a'], requireHeaders: headers })
  const lines = [
    { ...answer, response: 'o', done: false },
    { ...answer, response: 'k' },
  ]
  const said: string[] = []
  const plugin = prober('one', async (_config, _target, { client, show }) => {
    server.fail({ path: '/api/generate' }, { kind: 'body', body: JSON.stringify(answer) }, 1)
    said.push(String((await client.generate({ model: 'a', prompt: 'Say ok' })).response))
    server.fail(
      { path: '/api/generate' },
      { kind: 'body', body: lines.map((line) => `${JSON.stringify(line)}\n`).join('') },
      1,
    )
    for await (const { response } of await client.generate({ model: 'a', prompt: 'Say ok', stream: true }))
      said.push(String(response))
    said.push((await client.list()).models.map(({ name }) => name).join())
    said.push((await show('a'))?.name ?? 'nothing')
    return []
  })
  const { report } = await apply({ models: ['a'], host: server.url, headers, plugins: [plugin] })
  assert.deepEqual(messagesOf(report), [])
  assert.deepEqual(said, ['ok', 'o', 'k', 'a:latest', 'a:latest'])
  const [generate] = server.requests.filter(({ path }) => path === '/api/generate')
  assert.deepEqual(generate?.body, { model: 'a', prompt: 'Say ok', stream: false })
})

test('errors of the client are those of a backend, and hold no secret', async (t) => {
  const secret = 'Bearer very-secret-token'
  const server = await startServer(t, { registry: ['a'] })
  const plugin = prober('one', async (_config, _target, { client }) => {
    server.fail({ path: '/api/generate' }, { kind: 'status', status: 500, body: `{"error":"no ${secret} here"}` }, 1)
    await client.generate({ model: 'a', prompt: 'x' })
    return []
  })
  const config = { models: ['a'], host: server.url, headers: { authorization: secret }, plugins: [plugin] }
  const [message] = messagesOf((await apply(config)).report)
  assert.match(message ?? '', /POST \/api\/generate .*status 500/)
  assert.doesNotMatch(message ?? '', /very-secret/)
})

test('an error in the middle of a stream, and one of a copy, a deletion or a pull, is an error of a backend too', async (t) => {
  const secret = 'Bearer very-secret-token'
  const server = await startServer(t, { registry: ['a'] })
  const codes: unknown[] = []
  const plugin = prober('one', async (_config, _target, { client }) => {
    const tell = (error: unknown) => codes.push(error instanceof OllamaConfigError ? error.code : error)
    await client.copy({ source: 'gone', destination: 'b' }).catch(tell)
    await client.delete({ model: 'gone' }).catch(tell)
    await client.pull({ model: 'gone' }).catch((error: unknown) => {
      tell(error)
      assert.match(String(error), /Model "gone" cannot be pulled/)
    })
    const lines = await client.pull({ model: 'gone', stream: true })
    await (async () => {
      for await (const _ of lines);
    })().catch(tell)
    const body = `${JSON.stringify({ ...answer, done: false })}\n{"error":"no ${secret} here"}\n`
    server.fail({ path: '/api/generate' }, { kind: 'body', body, contentType: 'application/x-ndjson' }, 1)
    for await (const { response } of await client.generate({ model: 'a', prompt: 'x', stream: true }))
      codes.push(response)
    return []
  })
  const config = { models: ['a'], host: server.url, headers: { authorization: secret }, plugins: [plugin] }
  const [message] = messagesOf((await apply(config)).report)
  assert.deepEqual(codes, [...Array(4).fill('model-not-found'), 'ok'])
  assert.match(message ?? '', /POST \/api\/generate failed: no /)
  assert.doesNotMatch(message ?? '', /very-secret/)
})

test('calls of the client end when the hook ends or its time is over', async (t) => {
  const server = await startServer(t, { registry: ['a'] })
  server.fail({ path: '/api/generate' }, { kind: 'hold' })
  let left: Promise<unknown> | undefined
  const asks = (name: string, waits: boolean) =>
    prober(name, async (_config, _target, { client }) => {
      const call = client.generate({ model: name, prompt: 'x' })
      call.catch(() => {})
      await server.waitForRequest({ path: '/api/generate' })
      if (waits) await call
      left = call
      return []
    })
  const plugins = [asks('leaves', false), asks('waits', true)]
  const { report } = await apply({ models: ['a'], host: server.url, plugins }, { hookTimeoutMs: 1000 })
  assert.deepEqual(messagesOf(report), ['plugin-timeout | waits: its probe hook was not done after 1 s'])
  await assert.rejects(left ?? Promise.resolve(), { name: 'AbortError' })
  await server.waitForRequest({ path: '/api/generate', aborted: true })
})

test('a call may have a signal of its own', async (t) => {
  const server = await startServer(t, { registry: ['a'] })
  server.fail({ path: '/api/generate' }, { kind: 'hold' })
  const reason = new Error('enough')
  let ended: unknown
  const plugin = prober('one', async (_config, _target, { clientFor, client }) => {
    const own = new AbortController()
    const call = clientFor(own.signal).generate({ model: 'a', prompt: 'x' })
    await server.waitForRequest({ path: '/api/generate' })
    own.abort(reason)
    ended = await call.catch((error: unknown) => error)
    await client.list()
    return []
  })
  const { report } = await apply({ models: ['a'], host: server.url, plugins: [plugin] })
  assert.deepEqual(messagesOf(report), [])
  assert.equal(ended, reason)
})

test('an interruption during a probe is reported, with what was pulled', async (t) => {
  const server = await startServer(t, { registry: ['a'] })
  const controller = new AbortController()
  const plugin = prober('one', () => {
    controller.abort(new Error('interrupted'))
    return []
  })
  const { report } = await apply({ models: ['a'], host: server.url, plugins: [plugin] }, { signal: controller.signal })
  assert.equal(report.outcome, 'interrupted')
  assert.deepEqual(
    report.targets[0]?.results.map(({ id, outcome }) => `${id} ${outcome}`),
    ['pull:a:latest done'],
  )
})

test('a host that is gone when probes would run fails the apply', async (t) => {
  const server = await startServer(t, { registry: ['a'] })
  const plugin = prober('one', () => [])
  const config = { models: ['a'], host: server.url, plugins: [plugin] }
  const plan = await createPlan(config, options)
  const run = applyPlan(plan, { ...options, config, approve: { changes: true, deletions: false } })
  for await (const event of run) {
    if (event.type === 'change-started') server.fail({ path: '/api/tags' }, { kind: 'status', status: 500, body: '{}' })
  }
  assert.equal((await run.report).outcome, 'failed')
})

test('on the command line a probe that fails is told in the report', async (t) => {
  const server = await startServer(t, { registry: ['a'] })
  const cwd = tempFolder(t, {
    'ollama.config.ts': `
      import { definePlugin, defineConfig } from 'ollama-config'
      const probe = definePlugin({
        apiVersion: 1,
        name: 'mute',
        probe: (_config, { models }) =>
          models.map(({ reference }) => ({ severity: 'error', code: 'silent', message: reference + ' says nothing' })),
      })
      export default defineConfig({ models: ['a'], host: '${server.url}', plugins: [probe()] })
    `,
  })
  const { code, stdout } = await runCli(['apply', '--yes'], { cwd })
  assert.equal(code, 1)
  assert.match(stdout, /x mute: a:latest says nothing/)
  assert.match(stdout, /Failed: 1 pulled/)
})

/** What a probe may do with its context, for the compiler. */
export const typed = async ({ client, show, signal, host }: ProbeContext): Promise<string> => {
  signal.throwIfAborted()
  const { response } = await client.generate({ model: 'a', prompt: 'x' })
  return `${response}${(await show('a'))?.digest}${host.serverVersion}`
}
