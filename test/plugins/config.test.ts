/** Plugins in a config: what is told of those that are wrong, and what they declare. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as v from 'valibot'
import {
  type Config,
  ConfigError,
  createPlan,
  definePlugin,
  loadConfig,
  type Plugin,
  type PluginContext,
} from '../../src/index.ts'
import { runCli, startServer, tempFolder, testRegistryUrl } from '../support/run-cli.ts'

const persona = definePlugin({
  apiVersion: 1,
  name: 'persona',
  configSchema: v.object({ from: v.string(), names: v.array(v.string()) }),
  declare: ({ from, names }) => names.map((name) => ({ name, from, system: `You are ${name}.` })),
})

/** What is told of a config that is wrong. */
async function problemsOf(config: unknown): Promise<readonly string[]> {
  try {
    await createPlan(config as Config, { env: {}, host: 'http://127.0.0.1:9' })
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error))
    return error.diagnostics.map(
      ({ code, path, message, hint }) => `${code} ${path}: ${message}${hint === undefined ? '' : ` | ${hint}`}`,
    )
  }
  return []
}

test('what is no plugin is told in the words that help', async () => {
  assert.deepEqual(await problemsOf({ models: [], plugins: [persona, 'persona', {}], discover: 3 }), [
    'wrong-type plugins[0]: plugins[0] must be a plugin: found a factory: call it, as in persona()',
    'wrong-type plugins[1]: plugins[1] must be a plugin: found "persona" | a plugin is what the function of definePlugin returns',
    'wrong-type plugins[2]: plugins[2] must be a plugin: found an object | a plugin is what the function of definePlugin returns',
    'wrong-type discover: discover must be the path of a folder: found 3',
  ])
  assert.deepEqual(await problemsOf({ models: [], plugins: persona }), [
    'wrong-type plugins: plugins must be a list of plugins: found a function',
  ])
})

test('problems of plugins are told along with those of the rest of the config', async () => {
  const wrong = persona({ from: 'a', names: [1 as unknown as string] })
  const problems = await problemsOf({ models: ['not a name'], plugins: [wrong] })
  assert.deepEqual(
    problems.map((text) => text.replace(/:.*/s, '')),
    ['invalid-plugin-config plugins[0].names[0]', 'invalid-reference models[0]'],
  )
})

test('declared models are part of the plan, after those of the config', async (t) => {
  const server = await startServer(t, { models: ['a'], registry: ['b'] })
  const plugin = definePlugin({ apiVersion: 1, name: 'more', declare: () => [{ name: 'b' }] })
  const config = { models: ['a'], plugins: [plugin()], host: server.url }
  const plan = await createPlan(config, { env: {}, registryUrl: testRegistryUrl })
  assert.deepEqual(
    plan.targets[0]?.changes.map(({ id }) => id),
    ['no-op:a:latest', 'pull:b:latest'],
  )
})

test('what is wrong with a declaration is told with the plugin that made it', async () => {
  const plugin = (declarations: readonly object[]) =>
    definePlugin({ apiVersion: 1, name: 'more', declare: () => declarations as [] })()
  const problems = await problemsOf({
    models: ['a'],
    plugins: [plugin([{ name: 'A:latest' }, { name: 'b', formm: 'x' }, {}])],
  })
  const place = 'plugins[0] (more)'
  assert.deepEqual(
    problems.map((text) => text.replace(/ \|.*/s, '')),
    [
      `missing-key ${place}.name: ${place}.name is missing: expected a model name`,
      `unknown-key ${place}.formm: ${place}.formm is not a known key`,
      `duplicate-model ${place}.name: ${place}.name declares "A:latest", which is the same model as "a" in models[0]`,
    ],
  )
})

test('a declare hook that fails makes the config invalid: what it would declare might be deleted otherwise', async () => {
  const fails = (name: string, declare: () => never) => definePlugin({ apiVersion: 1, name, declare })()
  const plugins = [
    fails('one', () => {
      throw new Error('no luck')
    }),
    fails('two', () => 'x' as never),
  ]
  assert.deepEqual(await problemsOf({ models: [], plugins }), [
    'plugin-failed plugins[0]: one: its declare hook failed: no luck',
    'plugin-failed plugins[1]: two: its declare hook did not return what it has to: the result is not a list',
  ])
})

test('hooks run in the order of the list, and are told where they are', async () => {
  const seen: string[] = []
  let context: PluginContext | undefined
  const plugin = (name: string): Plugin =>
    definePlugin({
      apiVersion: 1,
      name,
      declare: (_config, ctx) => {
        context = ctx
        seen.push(name)
        return []
      },
    })()
  const config = { models: [], plugins: [plugin('b'), plugin('a'), plugin('c')] }
  await assert.rejects(createPlan(config, { env: { OLLAMA_HOST: '127.0.0.1:9' } }), { code: 'host-unreachable' })
  assert.deepEqual(seen, ['b', 'a', 'c'])
  assert.equal(context?.cwd, process.cwd())
  const { memoryBytes, ...host } = context.host
  assert.deepEqual(host, { address: 'http://127.0.0.1:9', loopback: true, serverVersion: null })
  assert.ok(memoryBytes !== null && memoryBytes > 1e6)
})

test('of another machine the memory is not known', async () => {
  let memoryBytes: number | null | undefined
  const declare = (_: undefined, ctx: PluginContext) => {
    memoryBytes = ctx.host.memoryBytes
    return []
  }
  const plugin = definePlugin({ apiVersion: 1, name: 'a', declare })
  const wrong = { models: ['not a name'], plugins: [plugin()], host: 'gpu-box' }
  await assert.rejects(createPlan(wrong, { env: {} }), { code: 'config-invalid' })
  assert.equal(memoryBytes, null)
})

test('an interruption during a declare hook goes on', async () => {
  const controller = new AbortController()
  const reason = new Error('interrupted')
  const plugin = definePlugin({
    apiVersion: 1,
    name: 'a',
    declare: () => {
      controller.abort(reason)
      return []
    },
  })
  await assert.rejects(createPlan({ models: [], plugins: [plugin()] }, { env: {}, signal: controller.signal }), reason)
})

test('from a file, in TypeScript: the folder of the config is known, and hooks that hang are named', async (t) => {
  const cwd = tempFolder(t, {
    'ollama.config.ts': `
      import { definePlugin, defineConfig, type PluginContext } from 'ollama-config'
      const here = definePlugin({
        apiVersion: 1,
        name: 'here',
        declare: (_config, ctx: PluginContext) => [{ name: 'from-' + ctx.cwd.split(/[\\\\/]/).length }],
      })
      const hangs = definePlugin({ apiVersion: 1, name: 'hangs', declare: () => new Promise<never>(() => {}) })
      export default defineConfig(({ env }) => ({ models: [], plugins: env.HANG ? [hangs()] : [here()] }))
    `,
  })
  const { desired, plugins } = await loadConfig({ cwd, env: {} })
  assert.equal(desired.models[0]?.reference.model, `from-${cwd.split(/[\\/]/).length}`)
  assert.equal(desired.models[0]?.path, 'plugins[0] (here).name')
  assert.deepEqual(
    plugins.map(({ name, path }) => [name, path]),
    [['here', 'plugins[0]']],
  )
  await assert.rejects(loadConfig({ cwd, env: { HANG: '1' }, hookTimeoutMs: 5 }), (error: unknown) => {
    assert.ok(error instanceof ConfigError)
    assert.deepEqual(
      error.diagnostics.map(({ code, message }) => [code, message]),
      [['plugin-timeout', 'hangs: its declare hook was not done after 0.005 s']],
    )
    return true
  })
})

test('on the command line a wrong plugin is a config error', async (t) => {
  const cwd = tempFolder(t, {
    'ollama.config.js': `
      import { definePlugin } from 'ollama-config'
      const a = definePlugin({ apiVersion: 1, name: 'a', reveiw: () => [] })
      export default { models: [], plugins: [a()] }
    `,
  })
  const { code, stderr } = await runCli(['plan'], { cwd })
  assert.equal(code, 3)
  assert.match(
    stderr,
    /x plugins\[0\] \(a\) has a key or hook that is not known: "reveiw"\n {4}did you mean "review"\?/,
  )
})
