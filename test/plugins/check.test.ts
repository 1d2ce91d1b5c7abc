import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type } from 'arktype'
import * as v from 'valibot'
import { z } from 'zod'
import { type Diagnostic, definePlugin, isPlugin, isPluginFactory, type PluginSpec } from '../../src/index.ts'
import { checkPlugins } from '../../src/plugins/check.ts'

/** As a plugin in JavaScript would write it: nothing of it is checked by a compiler. */
function plugin(spec: object, ...config: unknown[]): unknown {
  const factory = definePlugin(spec as PluginSpec) as unknown as (...config: unknown[]) => unknown
  return factory(...config)
}

const plain = { apiVersion: 1, name: 'a' }
const texts = (problems: readonly Diagnostic[]) =>
  problems.map(
    ({ code, path, message, hint }) => `${code} ${path}: ${message}${hint === undefined ? '' : ` | ${hint}`}`,
  )

test('what definePlugin() makes is known for what it is, also from another copy of the package', () => {
  const factory = definePlugin({ apiVersion: 1, name: 'a' })
  assert.ok(isPluginFactory(factory) && !isPlugin(factory))
  assert.ok(isPlugin(factory()) && !isPluginFactory(factory()))
  assert.ok(isPlugin({ spec: factory.spec, config: 1, [Symbol.for('ollama-config.plugin')]: true }))
  for (const value of [null, undefined, {}, () => {}, 'a']) assert.ok(!isPlugin(value) && !isPluginFactory(value))
})

test('a plugin that keeps to the contract comes out with its name, config and place', async () => {
  const schema = v.object({ prompt: v.pipe(v.string(), v.trim()), times: v.optional(v.number(), 3) })
  const { plugins, problems } = await checkPlugins(
    [plugin(plain), plugin({ ...plain, name: 'b', configSchema: schema }, { prompt: ' Say ok ' })],
    {},
  )
  assert.deepEqual(problems, [])
  assert.deepEqual(
    plugins.map(({ name, config, path }) => ({ name, config, path })),
    [
      { name: 'a', config: undefined, path: 'plugins[0]' },
      { name: 'b', config: { prompt: 'Say ok', times: 3 }, path: 'plugins[1]' },
    ],
  )
})

test('every problem of every plugin is told at once, with its place', async () => {
  const { problems } = await checkPlugins(
    [
      plugin({ ...plain, apiVersion: 2, anything: 1 }),
      plugin({ name: 'x' }),
      plugin({ apiVersion: 1, name: 'not a name', reveiw: () => [], probe: [], models: ['a b', 3, '-x'] }),
      plugin({ apiVersion: 1, name: 'y', configSchema: {}, timeoutMs: 0, models: 'a', zzz: 1 }),
      plugin(plain, { surplus: true }),
      plugin(plain),
    ],
    {},
  )
  assert.deepEqual(texts(problems), [
    'invalid-plugin plugins[0]: plugins[0] (a) has apiVersion 2, and this version of ollama-config knows 1 | update ollama-config, or take an older version of the plugin',
    'invalid-plugin plugins[1]: plugins[1] (x) has no apiVersion | write apiVersion: 1, the version of the contract that it keeps to',
    'invalid-plugin plugins[2]: plugins[2] (not a name) must have a name of letters, digits, "-", "_" and ".": found "not a name" | give it one, as in name: "smoke-test"',
    'invalid-plugin plugins[2]: plugins[2] (not a name) has models[0] that is no name and no pattern: Pattern "a b" is not valid: write a model name, in which "*" may stand for a run of characters | "*" never crosses "/" or ":": "qwen3*", "hf.co/*/*" and "llava:*" are patterns',
    'invalid-plugin plugins[2]: plugins[2] (not a name) has models[1] that is no text: found 3',
    'invalid-plugin plugins[2]: plugins[2] (not a name) has models[2] that is no name and no pattern: Model name "-x" is not valid: its model "-x" may hold only letters, digits, "_", "-" and ".", and starts with a letter, a digit or "_"',
    'invalid-plugin plugins[2]: plugins[2] (not a name) has a probe that is no function: found an empty list',
    'invalid-plugin plugins[2]: plugins[2] (not a name) has a key or hook that is not known: "reveiw" | did you mean "review"?',
    'invalid-plugin plugins[3]: plugins[3] (y) has models that are no list: found "a"',
    'invalid-plugin plugins[3]: plugins[3] (y) has a configSchema that is no Standard Schema | valibot, zod and arktype make one; see https://standardschema.dev',
    'invalid-plugin plugins[3]: plugins[3] (y) has a timeoutMs that is no time: found 0 | write a number of milliseconds, such as 120_000',
    'invalid-plugin plugins[3]: plugins[3] (y) has a key or hook that is not known: "zzz" | known are apiVersion, name, models, configSchema, timeoutMs, details, declare, review, probe',
    'invalid-plugin-config plugins[4]: plugins[4]: a takes no config',
    'duplicate-plugin plugins[5]: plugins[5] is called "a", as plugins[4] is: the name of a plugin has to be its own | leave one of the two out, or give one of them both configs where it takes a list',
  ])
})

const schemas = {
  valibot: v.object({ prompt: v.string(), limits: v.optional(v.array(v.object({ 'max tokens': v.number() }))) }),
  zod: z.object({ prompt: z.string(), limits: z.array(z.object({ 'max tokens': z.number() })).optional() }),
  arktype: type({ prompt: 'string', 'limits?': type({ 'max tokens': 'number' }).array() }),
}

for (const [library, configSchema] of Object.entries(schemas)) {
  test(`${library}: each issue is told with its path, and a config that fits comes out`, async () => {
    const spec = { ...plain, configSchema }
    const wrong = await checkPlugins([plugin(spec, { prompt: 5, limits: [{ 'max tokens': 'many' }] })], {})
    assert.deepEqual(wrong.problems.map(({ code, path }) => `${code} ${path}`).sort(), [
      'invalid-plugin-config plugins[0].limits[0]["max tokens"]',
      'invalid-plugin-config plugins[0].prompt',
    ])
    for (const { path, message } of wrong.problems) assert.ok(message.startsWith(`${path}: `), message)
    const config = { prompt: 'Say ok', limits: [{ 'max tokens': 3 }] }
    const right = await checkPlugins([plugin(spec, config)], {})
    assert.deepEqual([right.problems, right.plugins[0]?.config], [[], config])
  })
}

test('a schema may be asynchronous, and one whose parts may all be left out may be called with nothing', async () => {
  const configSchema = v.pipeAsync(
    v.object({ times: v.optional(v.number(), 3) }),
    v.checkAsync(async ({ times }) => times < 10, 'At most 9'),
  )
  const spec = { ...plain, configSchema }
  const { plugins, problems } = await checkPlugins([plugin(spec)], {})
  assert.deepEqual([problems, plugins[0]?.config], [[], { times: 3 }])
  assert.deepEqual(texts((await checkPlugins([plugin(spec, { times: 10 })], {})).problems), [
    'invalid-plugin-config plugins[0]: plugins[0]: At most 9 (config of a)',
  ])
})

test('a schema that throws, or answers with nonsense, is a failure of the plugin', async () => {
  const schema = (validate: () => unknown) => ({ '~standard': { version: 1, vendor: 'test', validate } })
  const answers = [
    () => {
      throw new Error('no\u001b[31m luck')
    },
    () => undefined,
    () => ({ issues: [{ path: [] }] }),
    // Neither right nor wrong.
    () => ({ value: {}, issues: [] }),
  ]
  const found = await checkPlugins(
    answers.map((validate, index) => plugin({ apiVersion: 1, name: `p${index}`, configSchema: schema(validate) }, {})),
    {},
  )
  assert.deepEqual(texts(found.problems), [
    'plugin-failed plugins[0]: p0: its configSchema failed: no luck',
    'plugin-failed plugins[1]: p1: its configSchema did not return what it has to: the result is not an object',
    'plugin-failed plugins[2]: p2: its configSchema did not return what it has to: the result.issues[0].message is not a text',
    'plugin-failed plugins[3]: p3: its configSchema did not return what it has to: the result.issues is not absent, or a list of at least one problem',
  ])
})
