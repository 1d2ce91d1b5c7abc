/** Slips of programs in JavaScript, which no compiler reads. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as api from '../../src/index.ts'
import { startServer, tempFolder } from '../support/run-cli.ts'

type Loose = Readonly<Record<string, (...values: readonly unknown[]) => unknown>>
const loose = api as unknown as Loose
const unused = { env: {}, host: 'http://127.0.0.1:9' }

async function slip(name: string, ...values: readonly unknown[]): Promise<string> {
  try {
    const result = (await loose[name]?.(...values)) as { report?: Promise<unknown> }
    await result.report
  } catch (error) {
    assert.ok(api.isOllamaConfigError(error), `${name}: ${error}`)
    return `${error.code}: ${error.message} (${error.hint})`
  }
  assert.fail(`${name} took ${values}`)
}

test('what is no config is told by every function that takes one', async () => {
  const takers = [
    'createPlan',
    'createRollbackPlan',
    'environmentOf',
    'findOutdated',
    'lockModels',
    'verifyModels',
    'planSetup',
    'findLeftovers',
  ]
  for (const name of takers) {
    const more = name === 'createRollbackPlan' ? ['a', unused] : [unused]
    const wrong: readonly (readonly [unknown, string])[] = [
      ['secret.ts', 'No config was given, but a text (give what loadConfig() returned)'],
      [Promise.resolve({ models: [] }), 'The config is a promise (wait for it with await)'],
      // The last two take nothing for one.
      ...(name === 'planSetup' || name === 'findLeftovers'
        ? []
        : ([[undefined, 'No config was given, but undefined (give what loadConfig() returned)']] as const)),
    ]
    for (const [value, told] of wrong) assert.equal(await slip(name, value, ...more), `usage: ${told}`, name)
  }
  assert.match(await slip('listPlugins'), /^usage: No loaded config was given, but undefined/)
})

test('applyPlan() tells a plan, a config or an approval that is missing, before anything happens', async (t) => {
  const server = await startServer(t, { registry: ['a'] })
  const config = { models: ['a'], host: server.url }
  const plan = await api.createPlan(config, { env: {} })
  const approve = { changes: true, deletions: true }
  const noPlan = (what: string) => `usage: No plan was given, but ${what} (give what createPlan() returned)`
  assert.equal(await slip('applyPlan'), noPlan('undefined'))
  assert.equal(await slip('applyPlan', JSON.stringify(plan), { config, approve }), noPlan('a text'))
  assert.equal(await slip('applyPlan', config, { config, approve }), noPlan('an object'))
  assert.match(await slip('applyPlan', Promise.resolve(plan), { config, approve }), /^usage: The plan is a promise/)
  const noApproval = (what: string) =>
    `usage: No approval was given, but ${what} (give approve: { changes: true, deletions: false })`
  assert.equal(await slip('applyPlan', plan), noApproval('undefined'))
  assert.equal(await slip('applyPlan', plan, config), noApproval('undefined'))
  assert.equal(await slip('applyPlan', plan, { config, approve: true }), noApproval('true'))
  assert.match(await slip('applyPlan', plan, { approve }), /^usage: No config was given, but undefined/)
  assert.deepEqual(server.installed(), [])
})

test('one name instead of a list is told, and is no list of its letters', async (t) => {
  const server = await startServer(t, { models: ['a'], registry: ['b'] })
  const cwd = tempFolder(t, { 'ollama.config.json': { models: ['a', 'b'], host: server.url } })
  const config = await api.loadConfig({ cwd, env: {} })
  const pull = 'pullModelsWithValidation'
  const told = 'usage: No list of names of models was given, but "b" (write ["b"])'
  assert.equal(await slip(pull, 'b', { config, env: {} }), told)
  assert.equal(await slip('createPlan', config, { env: {}, update: 'b' }), told)
  assert.equal(await slip('lockModels', config, { env: {}, models: 'b' }), told)
  assert.equal(await slip('verifyModels', config, { env: {}, models: 'b', store: tempFolder(t) }), told)
  for (const other of [null, { config }, ['b', 5]]) assert.match(await slip(pull, other), /\(write \["qwen3:8b"\]\)$/)
  assert.match(await slip('createRollbackPlan', config, undefined, { env: {} }), /^usage: No list of names/)
  assert.deepEqual(server.installed(), ['a:latest'])
})

test('other slips are told too', async () => {
  assert.match(
    await slip('loadConfig', 'my.config.ts'),
    /^usage: .* \(give .*\{ configFile: 'ollama\.config\.ts' \}\)$/,
  )
  for (const value of [undefined, null, {}, [], { plugins: 'team' }])
    assert.match(await slip('createModelManager', value), /^usage: No list of plugins was given/)
  assert.match(await slip('collectLeftovers'), /^usage: .* \(give what findLeftovers\(\) returned\)$/)
  const manager = await api.createModelManager({ plugins: [] })
  await assert.rejects(manager.loadModel(undefined as never), { code: 'invalid-reference' })
})
