import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import * as v from 'valibot'
import {
  createModelManager,
  definePlugin,
  isOllamaConfigError,
  type OllamaConfigError,
  type PluginContext,
  type PluginSpec,
} from '../../src/index.ts'
import { tempFolder } from '../support/run-cli.ts'

const speaks = (name: string, models: readonly string[], more: Partial<PluginSpec> = {}) =>
  definePlugin({ apiVersion: 1, name, models, ...more })

/** The error that a promise ends in. */
async function errorOf(promise: Promise<unknown>): Promise<OllamaConfigError> {
  try {
    await promise
  } catch (error) {
    assert.ok(isOllamaConfigError(error), String(error))
    return error
  }
  throw new Error('there was no error')
}

test('availableModels() has what plugins name, with what they tell of it', async () => {
  const details = (reference: string) => ({ sizeBytes: reference.length, capabilities: ['tools'] })
  const manager = await createModelManager({
    plugins: [
      speaks('b', ['qwen3:8b', 'user/*', 'gemma3'], { details }),
      speaks('a', ['GEMMA3:latest', 'all-minilm:latest', 'ALL-minilm'])(),
      definePlugin({ apiVersion: 1, name: 'none', details }),
    ],
  })
  assert.deepEqual(manager.problems, [])
  assert.deepEqual(
    [...(await manager.availableModels())],
    [
      ['all-minilm:latest', { plugin: 'a' }],
      ['gemma3:latest', { plugin: 'b', sizeBytes: 13, capabilities: ['tools'] }],
      ['qwen3:8b', { plugin: 'b', sizeBytes: 8, capabilities: ['tools'] }],
    ],
  )
})

test('availableModels() tells of a plugin that fails, and has the others', async () => {
  const manager = await createModelManager({
    plugins: [speaks('bad', ['a'], { details: () => ({ sizeBytes: -1 }) }), speaks('good', ['b'])],
  })
  const models = await manager.availableModels()
  assert.equal(
    models.get('a:latest')?.problem?.message,
    'bad: its details hook did not return what it has to: the result.sizeBytes is not a whole number',
  )
  assert.deepEqual(models.get('b:latest'), { plugin: 'good' })
})

test('loadModel() takes the plugin that names the model, then the first whose pattern covers it', async () => {
  const manager = await createModelManager({
    plugins: [
      speaks('wide', ['*', 'user/*:7b']),
      speaks('qwen', ['qwen3:*', 'gemma3']),
      speaks('exact', ['qwen3:8b', 'wide-too:1']),
      speaks('late', ['qwen3:8b']),
    ],
  })
  const owner = async (name: string) => (await manager.loadModel(name)).plugin.name
  const cases: Readonly<Record<string, string>> = {
    'QWEN3:8B': 'exact',
    'qwen3:4b': 'wide',
    gemma3: 'qwen',
    'gemma3:27b': 'wide',
    'user/x:7b': 'wide',
    'wide-too:1': 'exact',
  }
  for (const [name, plugin] of Object.entries(cases)) assert.equal(await owner(name), plugin, name)
  assert.equal((await errorOf(manager.loadModel('user/x:8b'))).code, 'no-plugin-for-model')
})

test('a name without a tag covers its other tags, as in keep', async () => {
  const manager = await createModelManager({ plugins: [speaks('a', ['gemma3'])] })
  const { plugin, reference } = await manager.loadModel('Gemma3:27b')
  assert.deepEqual([plugin.name, reference], ['a', 'Gemma3:27b'])
})

test('loadModel() has the plugin check the config, and gives what it made of it', async () => {
  const configSchema = v.object({
    times: v.optional(v.number(), 3),
    limits: v.optional(v.object({ tokens: v.number() })),
  })
  const factory = definePlugin({ apiVersion: 1, name: 'a', models: ['x'], configSchema })
  const manager = await createModelManager({ plugins: [factory] })
  assert.deepEqual((await manager.loadModel('x')).config, { times: 3 })
  assert.deepEqual((await manager.loadModel('x', { times: 5 })).config, { times: 5 })
  const given = await createModelManager({ plugins: [factory({ times: 7 })] })
  assert.deepEqual((await given.loadModel('x')).config, { times: 7 })
  assert.deepEqual((await given.loadModel('x', {})).config, { times: 3 })
  const { code, message, details } = await errorOf(manager.loadModel('x', { times: 'many', limits: { tokens: 'x' } }))
  assert.equal(code, 'invalid-plugin-config')
  const issues = details?.['issues'] as readonly { path: string; message: string }[]
  assert.deepEqual(
    issues.map(({ path: at }) => at),
    ['config.times', 'config.limits.tokens'],
  )
  for (const issue of issues) assert.ok(message.includes(issue.message))
  assert.match(message, /^The config for "a" is not valid: config\.times: Invalid type/)
})

test('a plugin without a schema takes an empty config and no other', async () => {
  const manager = await createModelManager({ plugins: [speaks('a', ['x'])] })
  assert.equal((await manager.loadModel('x', {})).config, undefined)
  assert.equal((await errorOf(manager.loadModel('x', 5))).code, 'invalid-plugin-config')
  const { code, message } = await errorOf(manager.loadModel('x', { times: 1 }))
  assert.deepEqual(
    [code, message],
    ['invalid-plugin-config', 'The config for "a" is not valid: config: a takes no config'],
  )
})

test('a model that nobody speaks for is told with the closest that somebody does', async () => {
  const models = ['qwen3:8b', 'qwen3:4b', 'qwen3:14b', 'qwen3:32b', 'all-minilm', 'user/*']
  const manager = await createModelManager({ plugins: [speaks('a', models)] })
  const near = await errorOf(manager.loadModel('qwen3:6b'))
  assert.deepEqual([near.code, near.message], ['no-plugin-for-model', 'No plugin speaks for "qwen3:6b"'])
  assert.equal(near.hint, 'the closest are qwen3:8b, qwen3:4b, qwen3:14b')
  assert.equal(
    (await errorOf(manager.loadModel('zzz'))).hint,
    'there are plugins for qwen3:8b, qwen3:4b, qwen3:14b, qwen3:32b, all-minilm',
  )
  const none = await createModelManager({ plugins: [] })
  assert.equal((await errorOf(none.loadModel('a'))).hint, 'no plugin of the manager has "models"')
  assert.equal((await errorOf(manager.loadModel('not a name'))).code, 'invalid-reference')
})

test('details() asks the plugin, which knows where it is, and gives what a terminal can show', async () => {
  const seen: (readonly [string, PluginContext])[] = []
  const details = async (reference: string, ctx: PluginContext) => {
    seen.push([reference, ctx])
    return { license: 'M\u001b[31mI\u202eT', capabilities: ['too\u0007ls'] }
  }
  const cwd = '/somewhere'
  const manager = await createModelManager({
    plugins: [speaks('a', ['x'], { details })],
    cwd,
    host: 'gpu-box',
    env: {},
  })
  assert.deepEqual(await (await manager.loadModel('X')).details(), { license: 'MIT', capabilities: ['tools'] })
  const [[reference, ctx] = []] = seen
  assert.equal(reference, 'X:latest')
  assert.equal(ctx?.cwd, path.resolve(cwd))
  assert.deepEqual(ctx.host, {
    address: 'http://gpu-box:11434',
    loopback: false,
    serverVersion: null,
    memoryBytes: null,
  })
})

test('details() of a plugin that fails or hangs is an error', async () => {
  const fails = () => Promise.reject(new Error('no luck'))
  const plugins = [
    speaks('fails', ['a'], { details: fails }),
    speaks('hangs', ['b'], { details: () => new Promise<never>(() => {}) }),
  ]
  const manager = await createModelManager({ plugins, hookTimeoutMs: 20 })
  const failed = await errorOf((await manager.loadModel('a')).details())
  assert.deepEqual([failed.code, failed.message], ['plugin-failed', 'fails: its details hook failed: no luck'])
  assert.equal((await errorOf((await manager.loadModel('b')).details())).code, 'plugin-timeout')
})

test('plugins that do not keep to the contract are refused, all at once', async () => {
  const plugins = [
    speaks('a', []),
    speaks('a', []),
    definePlugin({ apiVersion: 2, name: 'b' } as unknown as PluginSpec),
    'c' as never,
  ]
  const { code, message } = await errorOf(createModelManager({ plugins }))
  assert.equal(code, 'invalid-plugin')
  assert.match(message, /plugins\[1\] is called "a", as plugins\[0\] is/)
  assert.match(message, /plugins\[2\] \(b\) has apiVersion 2/)
  assert.match(message, /plugins\[3\] is no plugin/)
})

test('plugins may come from a folder; what is broken in it is told and hides nothing', async (t) => {
  const cwd = tempFolder(t)
  mkdirSync(path.join(cwd, 'plugins'))
  const write = (name: string, text: string) => writeFileSync(path.join(cwd, 'plugins', name), text)
  write(
    'a.plugin.ts',
    `import { definePlugin } from 'ollama-config'
     export default definePlugin({ apiVersion: 1, name: 'a', models: ['x'], details: () => ({ contextLength: 10 }) })`,
  )
  write('b.plugin.ts', 'throw new Error("no luck")\n')
  const manager = await createModelManager({ discover: 'plugins', cwd })
  assert.deepEqual([...(await manager.availableModels())], [['x:latest', { plugin: 'a', contextLength: 10 }]])
  assert.deepEqual(
    manager.problems.map(({ code, path: file }) => `${code} ${file}`),
    ['plugin-failed plugins/b.plugin.ts'],
  )
  const { code, message } = await errorOf(createModelManager({ discover: '..', cwd }))
  assert.equal(code, 'invalid-plugin')
  assert.match(message, /lies outside/)
})
