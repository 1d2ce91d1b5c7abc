import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import * as v from 'valibot'
import {
  createModelManager,
  createPlan,
  definePlugin,
  loadConfig,
  lockModels,
  type ModelManagerOptions,
  type PluginSpec,
  pullModelsWithValidation,
  type ValidatedPull,
  type ValidatedPullOptions,
} from '../../src/index.ts'
import { startServer, tempFolder, testRegistryUrl } from '../support/run-cli.ts'

const options = { env: {}, registryUrl: testRegistryUrl }

function pull(models: readonly string[] | undefined, more: ValidatedPullOptions) {
  return pullModelsWithValidation(models, { ...options, ...more })
}

const speaks = (name: string, models: readonly string[], more: Partial<PluginSpec> = {}) =>
  definePlugin({ apiVersion: 1, name, models, ...more })

const managerOf = (...plugins: NonNullable<ModelManagerOptions['plugins']>) =>
  createModelManager({ plugins, hookTimeoutMs: 1000 })

/** Short: `pulled valid code…`. */
function inShort(results: ReadonlyMap<string, ValidatedPull>): Readonly<Record<string, string>> {
  return Object.fromEntries(
    [...results].map(([name, { pulled, valid, diagnostics, error }]) => [
      name,
      [pulled, valid, ...diagnostics.map(({ code }) => code), ...(error === undefined ? [] : [error.code])].join(' '),
    ]),
  )
}

test('each model is pulled and judged by the plugin that speaks for it', async (t) => {
  const server = await startServer(t, { models: ['there', 'other'], registry: ['good', 'bad', 'nobody'] })
  const changed: string[] = []
  const manager = await managerOf(
    speaks('judge', ['good', 'bad', 'there'], {
      probe: async (_config, { models }, { client }) => {
        await client.list()
        return models.flatMap(({ reference, changed: isNew }) => {
          changed.push(`${reference} ${isNew}`)
          return reference === 'bad:latest'
            ? [{ severity: 'error' as const, code: 'mute', message: 'Says nothing' }]
            : []
        })
      },
    }),
  )
  const results = await pull(['good', 'bad', 'nobody', 'there'], { host: server.url, manager })
  assert.deepEqual(inShort(results), {
    'good:latest': 'true true',
    'bad:latest': 'true false judge/mute',
    'nobody:latest': 'true ',
    'there:latest': 'true true',
  })
  assert.equal(results.get('nobody:latest')?.valid, null)
  assert.deepEqual(changed, ['good:latest true', 'bad:latest true', 'there:latest false'])
  assert.deepEqual(server.installed(), ['bad:latest', 'good:latest', 'nobody:latest', 'other:latest', 'there:latest'])
})

test('one that cannot be pulled, or whose name is none, does not stop the others', async (t) => {
  const server = await startServer(t, { registry: ['a', 'b'] })
  const results = await pull(['a', 'nope', 'not a name', 'b', 'A:latest'], { host: server.url })
  assert.deepEqual(inShort(results), {
    'not a name': 'false  invalid-reference',
    'a:latest': 'true ',
    'nope:latest': 'false  model-not-found',
    'b:latest': 'true ',
  })
})

test('a plugin that fails, hangs or refuses its config loses no model', async (t) => {
  const server = await startServer(t, { registry: ['a', 'b', 'c', 'd', 'e'] })
  const manager = await managerOf(
    speaks('throws', ['a'], { probe: () => Promise.reject(new Error('no luck')) }),
    speaks('hangs', ['b'], { details: () => new Promise<never>(() => {}) }),
    definePlugin({
      apiVersion: 1,
      name: 'wants',
      models: ['c'],
      configSchema: v.object({ prompt: v.string() }),
      probe: () => [],
    }),
    speaks('says-nothing', ['d']),
    definePlugin({
      apiVersion: 1,
      name: 'given',
      models: ['e'],
      configSchema: v.object({ prompt: v.string() }),
      probe: ({ prompt }) => [{ severity: 'warning', code: 'prompt', message: prompt }],
    })({ prompt: 'Say ok' }),
  )
  const results = await pull(['a', 'b', 'c', 'd', 'e'], { host: server.url, manager, hookTimeoutMs: 1000 })
  assert.deepEqual(inShort(results), {
    'a:latest': 'true  plugin-failed',
    'b:latest': 'true  plugin-timeout',
    'c:latest': 'true  invalid-plugin-config',
    'd:latest': 'true ',
    'e:latest': 'true true given/prompt',
  })
  assert.deepEqual(results.get('e:latest')?.diagnostics[0]?.message, 'given: Say ok')
  assert.equal(server.installed().length, 5)
})

test('capabilities that a plugin names and the host does not know make a model invalid', async (t) => {
  const server = await startServer(t, {
    models: [
      { name: 'able', capabilities: ['completion', 'tools'] },
      { name: 'unable', capabilities: ['completion'] },
    ],
  })
  const manager = await managerOf(
    speaks('knows', ['able', 'unable'], { details: () => ({ capabilities: ['tools', 'completion'] }) }),
  )
  const results = await pull(['able', 'unable'], { host: server.url, manager })
  assert.deepEqual(inShort(results), {
    'able:latest': 'true true',
    'unable:latest': 'true false knows/capability-missing',
  })
  assert.equal(
    results.get('unable:latest')?.diagnostics[0]?.message,
    'knows: unable:latest lacks tools: it has completion',
  )
})

test('without models those of the config that is found are pulled, and nothing is deleted', async (t) => {
  const server = await startServer(t, { models: ['old'], registry: ['a', 'b'] })
  const cwd = tempFolder(t, {
    'ollama.config.json': { models: ['a', 'b'], host: server.url, prune: 'undeclared', headers: { 'x-team': 'blue' } },
  })
  const types = new Set<string>()
  const results = await pull(undefined, { cwd, onEvent: ({ type }) => types.add(type) })
  assert.deepEqual(inShort(results), { 'a:latest': 'true ', 'b:latest': 'true ' })
  assert.deepEqual(server.installed(), ['a:latest', 'b:latest', 'old:latest'])
  assert.ok(types.has('change-progress') && types.has('apply-finished'))
  assert.ok(server.requests.every(({ headers }) => headers['x-team'] === 'blue'))
})

test('a config that is given names the host and, unless models are given, the models', async (t) => {
  const server = await startServer(t, { registry: ['a', 'b'] })
  const config = { models: ['a'], host: server.url }
  assert.deepEqual(inShort(await pull(['b'], { config })), { 'b:latest': 'true ' })
  assert.deepEqual(server.installed(), ['b:latest'])
  assert.deepEqual(inShort(await pull(undefined, { config })), { 'a:latest': 'true ' })
})

test('what is named is neither hindered by what is not, nor declared by being named', async (t) => {
  const server = await startServer(t, { registry: ['base', 'extra'] })
  const seen: string[] = []
  const policy = definePlugin({
    apiVersion: 1,
    name: 'policy',
    review: (_config, plan) => {
      seen.push(...plan.targets.flatMap(({ changes }) => changes.map(({ reference }) => reference)))
      return []
    },
  })
  await pull(['base'], { config: { models: ['base', 'gone'], host: server.url, plugins: [policy()] } })
  assert.deepEqual(seen, ['base:latest'])

  const cwd = tempFolder(t, { 'ollama.config.json': { models: ['base'], host: server.url, prune: 'managed' } })
  const config = await loadConfig({ cwd, env: {} })
  const home = { ...options, env: { HOME: cwd, XDG_STATE_HOME: cwd } }
  await lockModels(config, home)
  assert.deepEqual(inShort(await pull(['extra'], { ...home, config })), { 'extra:latest': 'true ' })
  assert.doesNotMatch(readFileSync(path.join(cwd, 'ollama.lock.json'), 'utf8'), /extra/)
  const plan = await createPlan(config, { ...home, prune: true })
  const changes = plan.targets.flatMap((target) => target.changes)
  assert.deepEqual(changes.map(({ id }) => id).sort(), ['no-op:base:latest', 'no-op:extra:latest'])
})

test('a plan with an error pulls nothing, and says so for each model that would have been', async (t) => {
  const server = await startServer(t, { models: ['there'], registry: ['a'] })
  const policy = speaks('policy', [], { review: () => [{ severity: 'error', code: 'no', message: 'Not today' }] })
  const config = { models: ['a', 'there'], host: server.url, plugins: [policy()] }
  const results = await pull(undefined, { config })
  assert.deepEqual(inShort(results), { 'a:latest': 'false  invalid-plan', 'there:latest': 'true ' })
  assert.equal(results.get('a:latest')?.error?.message, 'policy: Not today')
})

test('an interruption goes on, and so does a host that does not answer', async (t) => {
  const server = await startServer(t, { registry: ['a'] })
  const controller = new AbortController()
  const reason = new Error('interrupted')
  const onEvent = () => controller.abort(reason)
  await assert.rejects(pull(['a'], { host: server.url, signal: controller.signal, onEvent }), reason)
  await assert.rejects(pull(['a'], { host: 'http://127.0.0.1:9' }), { code: 'host-unreachable' })
})

test('a named model that the config declares is made as it is declared, and its lock file holds', async (t) => {
  const server = await startServer(t, { registry: ['base', 'mine', 'other'] })
  const cwd = tempFolder(t, {
    'ollama.config.json': { models: ['base', { name: 'mine', from: 'base', system: 'S' }, 'other'], host: server.url },
  })
  const config = await loadConfig({ cwd, env: {} })
  await lockModels(config, options)
  assert.deepEqual(inShort(await pull(['mine'], { config })), { 'mine:latest': 'true ' })
  assert.deepEqual(server.installed(), ['base:latest', 'mine:latest'])
  assert.equal(new TextDecoder().decode(server.stored('mine').layers.at(-1)?.bytes), 'S')
  server.publish({ name: 'other', revision: 'moved' })
  assert.deepEqual(inShort(await pull(['other'], { config })), { 'other:latest': 'false  locked-version-gone' })
})

test('what is made of a model that cannot be had tells why that one could not', async (t) => {
  const server = await startServer(t, { registry: ['other'] })
  const cwd = tempFolder(t, {
    'ollama.config.json': {
      models: [{ name: 'mine', from: 'nope', system: 'S' }, { name: 'second', aliasOf: 'mine' }, 'other'],
      host: server.url,
    },
  })
  const results = await pull(undefined, { config: await loadConfig({ cwd, env: {} }) })
  assert.deepEqual(inShort(results), {
    'mine:latest': 'false  model-not-found',
    'nope:latest': 'false  model-not-found',
    'other:latest': 'true ',
    'second:latest': 'false  model-not-found',
  })
})
