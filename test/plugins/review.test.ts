import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as v from 'valibot'
import {
  type Config,
  createPlan,
  definePlugin,
  type HostContext,
  type Plan,
  type PluginSpec,
  type ShownModel,
} from '../../src/index.ts'
import { runCli, startServer, tempFolder, testRegistryUrl } from '../support/run-cli.ts'

const options = { env: {}, registryUrl: testRegistryUrl }

type Review = NonNullable<PluginSpec['review']>

function reviewer(name: string, review: Review) {
  return definePlugin({ apiVersion: 1, name, review })()
}

/** But that nothing is declared. */
function diagnosticsOf(plan: Plan): readonly string[] {
  const [own, ...others] = plan.targets[0]?.diagnostics ?? []
  const shown = own === undefined || own.code === 'nothing-declared' ? others : [own, ...others]
  return shown.map(({ code, message }) => `${code} | ${message}`)
}

test('what plugins say of a plan stands in it after its own diagnostics, in their order', async (t) => {
  const server = await startServer(t, { models: ['a'], registry: ['b'] })
  const seen: Plan[] = []
  const config: Config = {
    models: ['a', 'b'],
    keep: ['nothing'],
    host: server.url,
    plugins: [
      reviewer('second', async (_config, plan) => {
        seen.push(plan)
        return [{ severity: 'warning', code: 'w', message: 'Hm' }]
      }),
      definePlugin({ apiVersion: 1, name: 'silent' })(),
      reviewer('first', () => [{ severity: 'warning', code: 'x', message: 'Well', reference: 'a:latest' }]),
    ],
  }
  const plan = await createPlan(config, options)
  const [own, ...others] = diagnosticsOf(plan)
  assert.match(own ?? '', /nothing/)
  assert.deepEqual(others, ['second/w | second: Hm', 'first/x | first: Well'])
  const plain = await createPlan({ ...config, plugins: [] }, options)
  assert.deepEqual(seen, [plain])
})

test('an error of a plugin makes the plan inapplicable, and the command line says why', async (t) => {
  const server = await startServer(t, { registry: ['a'] })
  const cwd = tempFolder(t, {
    'ollama.config.ts': `
      import { definePlugin, defineConfig } from 'ollama-config'
      const small = definePlugin({
        apiVersion: 1,
        name: 'only-small',
        review: (_config, plan) =>
          plan.targets.flatMap(({ changes }) =>
            changes.map(({ reference }) => ({
              severity: 'error' as const, code: 'too-large', message: reference + ' is too large', hint: 'take a smaller one',
            }))),
      })
      export default defineConfig({ models: ['a'], host: '${server.url}', plugins: [small()] })
    `,
  })
  const shown = await runCli(['plan'], { cwd })
  assert.equal(shown.code, 1)
  assert.match(shown.stdout, /x only-small: a:latest is too large\n {4}take a smaller one/)
  const json = JSON.parse((await runCli(['plan', '--json'], { cwd })).stdout)
  assert.deepEqual(json.targets[0].diagnostics, [
    {
      severity: 'error',
      code: 'only-small/too-large',
      message: 'only-small: a:latest is too large',
      hint: 'take a smaller one',
    },
  ])
  const applied = await runCli(['apply', '--yes'], { cwd })
  assert.equal(applied.code, 1)
  assert.match(applied.stderr, /The plan cannot be applied: only-small: a:latest is too large/)
  assert.equal(
    (await runCli(['check'], { cwd })).stdout,
    'only-small: a:latest is too large. Next: take a smaller one\n',
  )
  assert.deepEqual(server.installed(), [])
})

test('a review that fails does not keep the others from theirs', async (t) => {
  const server = await startServer(t)
  const plan = await createPlan(
    {
      models: [],
      host: server.url,
      plugins: [
        reviewer('throws', () => {
          throw new Error('no luck')
        }),
        reviewer('hangs', () => new Promise<never>(() => {})),
        reviewer('nonsense', () => [{ severity: 'fatal' }] as never),
        reviewer('fine', () => [{ severity: 'warning', code: 'w', message: 'Here' }]),
      ],
    },
    { ...options, hookTimeoutMs: 20 },
  )
  assert.deepEqual(diagnosticsOf(plan), [
    'plugin-failed | throws: its review hook failed: no luck',
    'plugin-timeout | hangs: its review hook was not done after 0.02 s',
    'plugin-failed | nonsense: its review hook did not return what it has to: the result[0].severity is not "error" or "warning"',
    'fine/w | fine: Here',
  ])
})

test('a plugin says itself how long its hooks may take, also by its config', async (t) => {
  const server = await startServer(t)
  const hangs = () => new Promise<never>(() => {})
  const plugin = (name: string, timeoutMs: PluginSpec['timeoutMs']) =>
    definePlugin({ apiVersion: 1, name, timeoutMs, review: hangs })()
  const byConfig = definePlugin({
    apiVersion: 1,
    name: 'by-config',
    configSchema: v.object({ ms: v.number() }),
    timeoutMs: ({ ms }) => ms * 2,
    review: hangs,
  })
  const plan = await createPlan(
    {
      models: [],
      host: server.url,
      plugins: [plugin('number', 7), byConfig({ ms: 4 }), plugin('wrong', () => Number.NaN)],
    },
    options,
  )
  assert.deepEqual(diagnosticsOf(plan), [
    'plugin-timeout | number: its review hook was not done after 0.007 s',
    'plugin-timeout | by-config: its review hook was not done after 0.008 s',
    'plugin-failed | wrong: its timeoutMs did not return what it has to: the result is not a number of milliseconds',
  ])
})

test('a plugin cannot change the plan by accident', async (t) => {
  const server = await startServer(t, { registry: ['a', 'b'] })
  const sorts = reviewer('sorts', (_config, plan) => {
    const { changes } = plan.targets[0] ?? { changes: [] }
    ;(changes as unknown[]).reverse()
    return []
  })
  const plan = await createPlan({ models: ['a', 'b'], host: server.url, plugins: [sorts] }, options)
  assert.match(
    diagnosticsOf(plan).join(),
    /^plugin-failed \| sorts: its review hook failed: Cannot assign to read only/,
  )
  assert.deepEqual(
    plan.targets[0]?.changes.map(({ id }) => id),
    ['pull:a:latest', 'pull:b:latest'],
  )
})

test('show tells what the host knows of a model, asks once about each, and about few at once', async (t) => {
  const names = Array.from({ length: 30 }, (_, index) => `m${index}`)
  const models = [...names, { name: 'tools', capabilities: ['completion', 'tools'] }]
  // Slow enough that what is asked at once is there at once.
  const server = await startServer(t, { models, latencyMs: 30 })
  server.derive('built', 'tools', { parameters: { num_ctx: 8192, stop: ['A', 'B'] } })
  const shown: (ShownModel | null)[] = []
  const ask = async (_config: unknown, _plan: Plan, ctx: HostContext) => {
    shown.push(await ctx.show('BUILT'), await ctx.show('none'))
    await Promise.all(names.map((name) => ctx.show(name)))
    return []
  }
  const plugins = [reviewer('one', ask), reviewer('two', ask)]
  const plan = await createPlan({ models: [], host: server.url, plugins }, options)
  assert.deepEqual(diagnosticsOf(plan), [])
  const [built, none] = shown
  assert.equal(none, null)
  assert.equal(built?.name, 'built:latest')
  assert.equal(built.digest, `sha256:${server.digests()['built:latest']}`)
  assert.deepEqual(built.parameters, { num_ctx: 8192, stop: ['A', 'B'] })
  assert.equal(built.family, 'llama')
  assert.equal(built.modelInfo['general.architecture'], 'llama')
  assert.deepEqual(shown.slice(2), [built, none])
  const asked = server.requests.filter(({ path }) => path === '/api/show')
  assert.equal(asked.length, names.length + 1)
  assert.ok(server.stats.requestsAtOnce <= 8, `${server.stats.requestsAtOnce} at once`)
})

test('what the host answers to show reaches the plugin, and a name that is none too', async (t) => {
  const server = await startServer(t, { models: ['a'] })
  server.fail({ path: '/api/show' }, { kind: 'status', status: 500, body: '{"error":"broken"}' })
  const asks = (name: string, reference: string) =>
    reviewer(name, async (_config, _plan, ctx) => {
      await ctx.show(reference)
      return []
    })
  const plugins = [asks('one', 'a'), asks('two', 'a'), asks('three', 'not a name')]
  const found = diagnosticsOf(await createPlan({ models: [], host: server.url, plugins }, options))
  assert.match(found[0] ?? '', /^plugin-failed \| one: its review hook failed: .*broken/)
  assert.match(found[1] ?? '', /^plugin-failed \| two: .*broken/)
  assert.match(found[2] ?? '', /^plugin-failed \| three: .*"not a name" is not valid/)
  assert.equal(server.requests.filter(({ path }) => path === '/api/show').length, 1)
})

test('a hook whose time is over while it asks does not spoil the answer for the next', async (t) => {
  const server = await startServer(t, { models: ['a'] })
  server.fail({ path: '/api/show' }, { kind: 'hold' })
  let shown: ShownModel | null = null
  const plugins = [
    reviewer('waits', async (_config, _plan, ctx) => {
      await ctx.show('a')
      return []
    }),
    reviewer('next', async (_config, _plan, ctx) => {
      server.release()
      shown = await ctx.show('a')
      return []
    }),
  ]
  const plan = await createPlan({ models: [], host: server.url, plugins }, { ...options, hookTimeoutMs: 1000 })
  assert.deepEqual(diagnosticsOf(plan), ['plugin-timeout | waits: its review hook was not done after 1 s'])
  assert.equal((shown as ShownModel | null)?.name, 'a:latest')
})

test('an interruption during a review goes on', async (t) => {
  const server = await startServer(t)
  const controller = new AbortController()
  const reason = new Error('interrupted')
  const plugin = reviewer('a', () => {
    controller.abort(reason)
    return []
  })
  const config = { models: [], host: server.url, plugins: [plugin] }
  await assert.rejects(createPlan(config, { ...options, signal: controller.signal }), reason)
})
