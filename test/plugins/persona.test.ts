import assert from 'node:assert/strict'
import { test } from 'node:test'
import persona from '../../plugins/persona/index.ts'
import type { Plugin } from '../../src/plugin.ts'
import { check, contextOf } from './hooks.ts'

async function declared(plugin: Plugin) {
  return plugin.spec.declare?.(await check(plugin), contextOf())
}

test('traits become a system prompt, the same each time', async () => {
  const traits = {
    name: 'reviewer',
    from: 'qwen3:8b',
    role: 'a careful code reviewer.',
    tone: 'friendly and brief',
    rules: ['Quote the line.', 'Say why.'],
  }
  const system =
    'You are a careful code reviewer.\n\nYour tone is friendly and brief.\n\nRules:\n- Quote the line.\n- Say why.'
  assert.deepEqual(await declared(persona(traits)), [{ name: 'reviewer', from: 'qwen3:8b', system }])
  assert.deepEqual(await declared(persona({ name: 'a', from: 'b', role: 'a poet', rules: [] })), [
    { name: 'a', from: 'b', system: 'You are a poet.' },
  ])
})

test('a system prompt that is given wins; all else is passed on', async () => {
  const rest = { name: 'a', from: 'b', system: 'Speak.', parameters: { num_ctx: 8192 }, template: '{{ .Prompt }}' }
  const unchecked = { ...rest, allowUnknownParameters: true }
  assert.deepEqual(await declared(persona({ ...unchecked, role: 'a poet', tone: 'grave' })), [unchecked])
})

test('several personas keep their order', async () => {
  const plugin = persona([
    { name: 'b', from: 'x', role: 'a poet' },
    { name: 'a', from: 'x', role: 'a cook' },
  ])
  assert.deepEqual(
    (await declared(plugin))?.map(({ name }) => name),
    ['b', 'a'],
  )
})

test('what is wrong is said with what is wanted', async () => {
  const cases: readonly [config: unknown, problem: string][] = [
    [{ name: 'a', from: 'b' }, ': Expected role or system: neither is given'],
    [
      { from: 'b', role: 'r' },
      'name: Expected name, from, and role or system; also tone, rules, parameters, allowUnknownParameters and template, found nothing',
    ],
    [{ name: 'a', from: 'b', role: 1 }, 'role: Expected who it is, such as "a careful code reviewer", found 1'],
    [{ name: 'a', from: 'b', role: 'r', rules: 'x' }, 'rules: Expected a list of rules, found "x"'],
    [
      { name: 'a', from: 'b', role: 'r', rool: 'x' },
      'rool: Key "rool" is not known: expected name, from, and role or system; also tone, rules, parameters, allowUnknownParameters and template',
    ],
    [[{ name: 'a', from: 'b', system: '' }], '0.system: Expected a system prompt as text, found ""'],
    [
      { name: 'a', from: 'b', role: 'r', parameters: [] },
      'parameters: Expected parameters such as { temperature: 0.2 }, found Array',
    ],
  ]
  for (const [config, problem] of cases) {
    await assert.rejects(check({ ...persona([]), config }), { message: problem })
  }
})
