import assert from 'node:assert/strict'
import { test } from 'node:test'
import capabilities, { type Requirement } from '../../plugins/capabilities/index.ts'
import type { UpdateChange } from '../../src/index.ts'
import { noOp, planOf, pull } from '../support/plans.ts'
import { startServer } from '../support/run-cli.ts'
import { askShow, check, probe, review, shownModel } from './hooks.ts'

const toolsAndThinking: Requirement = { models: ['qwen3:8b'], require: ['tools', 'thinking'] }
const message = '"qwen3:8b" must have "tools", "thinking": it has "completion", "tools", not "thinking"'
const lacking = { shown: { 'qwen3:8b': shownModel({ capabilities: ['completion', 'tools'] }) } }

test('an installed model that lacks a capability is an error before the apply, which names what it has', async (t) => {
  const models = [
    { name: 'qwen3:8b', capabilities: ['completion', 'tools'] },
    { name: 'all-minilm', capabilities: ['embedding'] },
  ]
  const { url: address } = await startServer(t, { models })
  const shown = {
    'qwen3:8b': await askShow(address, 'qwen3:8b'),
    'all-minilm:latest': await askShow(address, 'all-minilm:latest'),
  }
  const plan = planOf(noOp('all-minilm:latest'), noOp('qwen3:8b'))
  const plugin = capabilities([toolsAndThinking, { models: ['all-minilm'], require: ['embedding'] }])
  assert.deepEqual(await review(plugin, plan, { address, shown }), [
    {
      severity: 'error',
      code: 'capability-missing',
      message,
      reference: 'qwen3:8b',
      hint: 'declare a model that has it, or another version of this one',
    },
  ])
})

test('what the plan brings is judged after the apply, and not by the version that goes', async () => {
  const { manifest, presentBytes, insecure, locked } = pull('qwen3:8b')
  const fetch = { manifest, presentBytes, insecure, locked, keepAs: null }
  const update: UpdateChange = { ...noOp('qwen3:8b'), ...fetch, action: 'update' }
  for (const change of [pull('qwen3:8b'), update])
    assert.deepEqual(await review(capabilities(toolsAndThinking), planOf(change), lacking), [])
  const probed = await probe(capabilities(toolsAndThinking), [{ reference: 'qwen3:8b' }, { reference: 'x:1' }], lacking)
  assert.deepEqual(
    probed.map((problem) => problem.message),
    [message],
  )
})

test('cloud models are not asked, and after an apply neither is what it left alone', async () => {
  const plugin = capabilities(toolsAndThinking)
  assert.deepEqual(await review(plugin, planOf(noOp('qwen3:8b', { cloud: true })), lacking), [])
  const models = [
    { reference: 'qwen3:8b', cloud: true },
    { reference: 'qwen3:8b', changed: false },
  ]
  assert.deepEqual(await probe(plugin, models, lacking), [])
})

test('a server that tells no capabilities, and a name that means no model, are warnings', async () => {
  const shown = { 'qwen3:8b': shownModel({ capabilities: [] }) }
  const plugin = capabilities({ models: ['qwen3:*', 'lama3'], require: ['tools'] })
  const found = await review(plugin, planOf(noOp('qwen3:8b')), { shown })
  assert.deepEqual(
    found.map(({ severity, code, message: text }) => `${severity} ${code}: ${text}`),
    [
      'warning model-not-declared: "lama3" means no declared model',
      'warning capabilities-unknown: "qwen3:8b" must have "tools": the server does not tell what it can do',
    ],
  )
})

test('what is wrong is said with what is wanted', async () => {
  const known = 'completion, tools, vision, thinking, embedding, insert, image, audio'
  const cases: readonly [config: unknown, problem: string][] = [
    [{ models: ['x'], require: ['tool'] }, `require.0: Expected one of ${known}, found "tool"`],
    [{ models: 'x', require: [] }, 'models: Expected a list of model names, found "x"'],
    [{ models: ['x'] }, 'require: Expected models and require, found nothing'],
    [
      [{ models: ['x'], require: [], requires: [] }],
      '0.requires: Key "requires" is not known: expected models and require',
    ],
  ]
  for (const [config, problem] of cases)
    await assert.rejects(check({ ...capabilities([]), config }), { message: problem })
})
