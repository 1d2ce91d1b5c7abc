import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatReference } from '../../src/artifact/reference.ts'
import type { Config } from '../../src/config/config.ts'
import { resolveConfig } from '../../src/config/resolve.ts'
import { ConfigError, type Diagnostic } from '../../src/errors.ts'

function problemsOf(config: unknown): readonly Diagnostic[] {
  try {
    resolveConfig(config)
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error))
    return error.diagnostics
  }
  return []
}

test('resolveConfig() resolves names, insecure and keep', () => {
  const config: Config = {
    models: ['all-minilm', { name: 'http://registry.corp:5000/team/base:1' }, { name: 'h:1/n/m', insecure: true }],
    keep: ['llava'],
  }
  const { desired } = resolveConfig(config)
  assert.deepEqual(
    desired.models.map(({ reference, insecure, path }) => [formatReference(reference), insecure, path]),
    [
      ['all-minilm:latest', false, 'models[0]'],
      ['registry.corp:5000/team/base:1', true, 'models[1].name'],
      ['h:1/n/m:latest', true, 'models[2].name'],
    ],
  )
  assert.equal(desired.prune, 'undeclared')
  assert.equal(desired.keep[0]?.text, 'llava')
  assert.equal(resolveConfig({ models: [], prune: false }).desired.prune, false)
  assert.equal(resolveConfig({ models: [], prune: 'managed' }).desired.prune, 'managed')
})

test('resolveConfig() reports every problem at once, each with its path', () => {
  const problems = problemsOf({
    models: ['ok', 'not ok', { nam: 'x' }, 7, { name: 'y', insecure: 'yes' }],
    prun: true,
    keep: ['a b', 3],
  })
  assert.deepEqual(problems.map(({ path, code }) => `${path} ${code}`).sort(), [
    'keep[0] invalid-reference',
    'keep[1] wrong-type',
    'models[1] invalid-reference',
    'models[2].nam unknown-key',
    'models[2].name missing-key',
    'models[3] wrong-type',
    'models[4].insecure wrong-type',
    'prun unknown-key',
  ])
  assert.equal(problems.find(({ path }) => path === 'models[2].nam')?.hint, 'did you mean "name"?')
  assert.equal(problems.find(({ path }) => path === 'prun')?.hint, 'did you mean "prune"?')
  assert.match(
    problems.find(({ path }) => path === 'models[4].insecure')?.message ?? '',
    /must be true or false: found "yes"/,
  )
})

test('resolveConfig() names every unknown key, not only the first', () => {
  const problems = problemsOf({
    models: [{ name: 'x', a: 1, b: 2 }],
    kep: [],
    hots: 1,
    headers: { H: { env: 'X', evn: 1 } },
  })
  assert.deepEqual(
    problems
      .map(({ path, hint }) => `${path} ${hint?.replace(/(known keys are "name", "insecure", ).*/, '$1…')}`)
      .sort(),
    [
      'headers.H.evn did you mean "env"?',
      'hots did you mean "host"?',
      'kep did you mean "keep"?',
      'models[0].a known keys are "name", "insecure", …',
      'models[0].b known keys are "name", "insecure", …',
    ],
  )
})

test('resolveConfig() says what it expected and found, for any value', () => {
  const withMessage = (more: object) => ({
    models: [{ name: 'a', from: 'b', messages: [{ role: 'assistant', content: '', ...more }] }],
  })
  const cases: [unknown, RegExp][] = [
    [undefined, /The config must be an object such as .*: found undefined/],
    [null, /found null/],
    [[], /found an empty list/],
    ['x', /found "x"/],
    [{}, /models is missing: expected a list of model names/],
    [{ models: 'qwen3' }, /models must be a list of model names: found "qwen3"/],
    [withMessage({ images: [7] }), /images\[0\] must be text: found 7/],
    [withMessage({ tool_calls: [7] }), /tool_calls\[0\] must be an object such as \{ function: /],
    [withMessage({ tool_calls: [{ function: { arguments: {} } }] }), /function\.name is missing: expected text/],
    [{ models: [null] }, /models\[0\] must be a model name or an object/],
    [{ models: [['x']] }, /models\[0\] must be a model name or an object/],
    [{ models: [], prune: true }, /prune must be "undeclared", "managed" or false: found true/],
    [{ models: [], host: 7 }, /host must be an address as text: found 7/],
    [{ models: [], headers: ['X-A: 7'] }, /headers must be an object of header names and values: found a list/],
    [{ models: [], headers: { 'X-A': 7 } }, /headers\["X-A"\] must be text or/],
    [{ models: [], headers: { A: { en: 'B' } } }, /headers\.A\.env is missing/],
  ]
  for (const [config, expected] of cases) {
    assert.match(
      problemsOf(config)
        .map(({ message }) => message)
        .join('\n'),
      expected,
      JSON.stringify(config),
    )
  }
})

test('resolveConfig() refuses two declarations of one model and names both', () => {
  for (const [first, second] of [
    ['x', 'X:latest'],
    ['qwen3:8b', 'library/Qwen3:8B'],
    ['x', 'x:local'],
    ['m:20b:cloud', 'm:20b-cloud'],
  ]) {
    const [problem] = problemsOf({ models: [first, { name: second }] })
    assert.equal(problem?.code, 'duplicate-model')
    assert.ok(
      problem.message.includes(`"${first}"`) &&
        problem.message.includes(`"${second}"`) &&
        problem.message.includes('models[0]'),
    )
  }
  assert.deepEqual(problemsOf({ models: ['x', 'ollama.com/library/x', 'x:7b'] }), [])
})

test('resolveConfig() refuses https together with insecure', () => {
  assert.equal(problemsOf({ models: [{ name: 'https://h/n/m', insecure: true }] })[0]?.code, 'contradiction')
})

test('resolveConfig() uses what it checked: keep counts also when it is inherited or made by a getter', () => {
  class Team {
    models = ['a']
    #reads = 0
    get keep(): string[] {
      return this.#reads++ === 0 ? ['precious'] : []
    }
  }
  const inherited: unknown = Object.assign(Object.create({ keep: ['precious'] }), { models: ['a'] })
  for (const config of [new Team(), inherited]) {
    assert.deepEqual(
      resolveConfig(config).desired.keep.map(({ text }) => text),
      ['precious'],
    )
  }
})

test('resolveConfig() prints no value of a header, and no password of a name', () => {
  const texts = [
    { models: [], headers: 'Authorization: Bearer hunter2hunter2' },
    { models: [], headers: { Authorization: ['hunter2hunter2'] } },
    { models: ['https://me:hunter2hunter2@registry.corp/team/m'], keep: ['me:hunter2hunter2@registry.corp/team/m'] },
  ].map((config) => JSON.stringify(problemsOf(config)))
  for (const text of texts) {
    assert.notEqual(text, '[]')
    assert.ok(!text.includes('hunter2'), text)
  }
})

test('resolveConfig() takes an optional key that is undefined for one that is not there', () => {
  const { desired } = resolveConfig({
    models: [{ name: 'a', insecure: undefined }],
    host: undefined,
    keep: undefined,
    prune: undefined,
  })
  assert.deepEqual([desired.models[0]?.insecure, desired.keep, desired.prune], [false, [], 'undeclared'])
})
