/** In what an installed model differs from its declaration, as far as the server tells. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { differencesOf, type ShownModel } from '../../src/plan/differences.ts'
import type { PlannedFile } from '../../src/plan/plan.ts'
import { shownModel } from '../support/memory-backend.ts'

const digestOf = (text: string) => `sha256:${text.repeat(64).slice(0, 64)}`
const declared = {
  from: 'base' as string | null,
  system: null as string | null,
  template: null as string | null,
  parameters: {} as Readonly<Record<string, string | number | boolean | readonly string[]>>,
  messages: [] as readonly { readonly role: string; readonly content: string }[],
  licenses: [] as readonly string[],
  renderer: null as string | null,
  parser: null as string | null,
  requires: null as string | null,
}
const base = shownModel({
  weights: [digestOf('1')],
  system: 'You are kind.',
  license: 'Free',
  parameters: { temperature: 0.7, stop: ['<|end|>', '<|user|>'] },
  messages: [{ role: 'user', content: 'hi' }],
  requires: '0.14.0',
})
const file = (digest: string): PlannedFile => ({
  name: 'a.gguf',
  file: '/a.gguf',
  digest,
  sizeBytes: 1,
  modifiedMs: 0,
  onHost: true,
})
const noFiles = { files: [], adapters: [] }

function differences(
  shown: Partial<ShownModel>,
  build: Partial<typeof declared> = {},
  { of = base, files = noFiles }: { of?: ShownModel | null; files?: Parameters<typeof differencesOf>[3] } = {},
): readonly string[] {
  const found = differencesOf({ ...base, ...shown }, of, { ...declared, ...build }, files)
  return found.map(({ field, text }) => `${field}: ${text}`)
}

test('a model that is what its base is differs in nothing', () => {
  assert.deepEqual(differences({}), [])
})

const cases: readonly [string, Partial<ShownModel>, Partial<typeof declared>, readonly string[]][] = [
  ['other weights', { weights: [digestOf('2')] }, {}, ['from: built from other weights']],
  ['weights and a projector', { weights: [digestOf('1'), digestOf('2')] }, {}, ['from: built from other weights']],
  ['an adapter that nobody declared', { adapters: [digestOf('2')] }, {}, ['adapters: other files']],
  ['a line of the system prompt', { system: 'a\nb\nc' }, { system: 'a\nB\nc' }, ['system: 1 line changed']],
  ['a repeated line', { system: 'a\na\na' }, { system: 'a\na' }, ['system: 1 line changed']],
  ['a system prompt that is not there', { system: null }, { system: 'a\nb' }, ['system: 2 lines added']],
  ['a system prompt of its own', { system: 'mine' }, {}, ['system: 1 line changed']],
  ['a renderer', { renderer: 'x' }, { renderer: 'y' }, ['renderer: x → y']],
  ['a parser that nobody declared', { parser: 'x' }, {}, ['parser: x → not set']],
  ['a required version', { requires: '0.14.0' }, { requires: '0.15.0' }, ['requires: 0.14.0 → 0.15.0']],
  ['a licence that is not there', {}, { licenses: ['More'] }, ['license: other texts']],
  ['a licence too many', { license: 'Free\nMore' }, {}, ['license: other texts']],
  ['a licence in its place', { license: 'Free\nMore\nAnd' }, { licenses: ['More', 'And'] }, []],
  ['other messages', {}, { messages: [{ role: 'user', content: 'ho' }] }, ['messages: other texts']],
  ['roles in another case', {}, { messages: [{ role: 'USER', content: 'hi' }] }, []],
  [
    'parameters, sorted',
    { parameters: { temperature: 1, stop: ['<|end|>'], top_k: 5 } },
    { parameters: { num_ctx: 4096 } },
    [
      'parameters.num_ctx: not set → 4096',
      'parameters.stop: ["<|end|>"] → ["<|end|>","<|user|>"]',
      'parameters.temperature: 1 → 0.7',
      'parameters.top_k: 5 → not set',
    ],
  ],
  [
    'a text that looks like a number',
    { parameters: { ...base.parameters, x: 5 } },
    { parameters: { x: '5' } },
    ['parameters.x: 5 → 5'],
  ],
  ['a list of one', { parameters: { ...base.parameters, stop: 'a' } }, { parameters: { stop: ['a'] } }, []],
  ['an empty list', { parameters: { temperature: 0.7 } }, { parameters: { stop: [] } }, []],
  ['a name that every object has', {}, { parameters: { constructor: 1 } }, ['parameters.constructor: not set → 1']],
]

for (const [what, shown, build, expected] of cases) {
  test(`differencesOf() ${what}`, () => assert.deepEqual(differences(shown, build), expected))
}

test('differencesOf() compares the template as the server prints it', () => {
  const printed = (templateSection: string, template: string | null) => differences({ templateSection }, { template })
  assert.deepEqual(printed('TEMPLATE {{ .Prompt }}', '{{ .Prompt }}'), [])
  assert.deepEqual(printed('TEMPLATE " a"', ' a'), [])
  assert.deepEqual(printed('TEMPLATE a\t', 'a\t'), [])
  assert.deepEqual(printed('TEMPLATE "a\nb\n"', 'a\nb\n'), [])
  assert.deepEqual(printed('TEMPLATE """say "a"\nb"""', 'say "a"\nb'), [])
  assert.deepEqual(printed('TEMPLATE "a\nb"', 'a\nc'), ['template: 1 line changed'])
  assert.deepEqual(printed('TEMPLATE a', 'a '), ['template: 1 line changed'])
  assert.deepEqual(printed('TEMPLATE other', null), ['template: 1 line changed'])
  // Whole, as it is read; and cut at a line of its own that looks like an instruction.
  assert.deepEqual(printed('TEMPLATE "a\nSYSTEM b\nc"', 'a\nSYSTEM b\nc'), [])
  assert.deepEqual(printed('TEMPLATE "a', 'a\nSYSTEM b\nc'), [])
  assert.deepEqual(printed('TEMPLATE a', 'a\nSYSTEM b\nc'), ['template: 3 lines changed'])
})

test('differencesOf() counts what an architecture brings as declared', () => {
  const of = { ...base, modelInfo: { 'general.architecture': 'gemma4' } }
  const made = { renderer: 'gemma4', parser: 'gemma4', parameters: { temperature: 0.7, stop: ['<turn|>'] } }
  assert.deepEqual(differences(made, {}, { of }), [])
  assert.deepEqual(
    differences({ ...made, parameters: { temperature: 0.7, stop: ['x'] } }, { parameters: { stop: ['x'] } }, { of }),
    [],
  )
  const own = { renderer: 'a', parser: 'b' }
  assert.deepEqual(differences(own, own, { of }), [])
  assert.deepEqual(differences({}, {}, { of }), [
    'parameters.stop: ["<|end|>","<|user|>"] → ["<turn|>"]',
    'parser: not set → gemma4',
    'renderer: not set → gemma4',
  ])
})

test('differencesOf() without the base compares only what is declared', () => {
  const of = null
  const other = {
    weights: [digestOf('9')],
    system: 'x',
    license: 'y',
    parameters: { a: 1 },
    messages: [],
    adapters: ['z'],
  }
  assert.deepEqual(differences({ ...other, renderer: 'x', templateSection: 'TEMPLATE x' }, {}, { of }), [])
  const build = {
    system: 'S',
    template: 'T',
    licenses: ['L'],
    parameters: { a: 2 },
    messages: [{ role: 'user', content: 'hi' }],
    requires: '0.15.0',
  }
  assert.deepEqual(differences(other, build, { of }), [
    'license: other texts',
    'messages: 0 → 1',
    'parameters.a: 1 → 2',
    'requires: 0.14.0 → 0.15.0',
    'system: 1 line changed',
    'template: 1 line changed',
  ])
  assert.deepEqual(differences({ license: 'Base\nL' }, { licenses: ['L'] }, { of }), [])
})

test('differencesOf() a model from files: weights are known or not, and an adapter is whole or not', () => {
  const of = null
  const build = { from: null, licenses: ['Free'] }
  const files = { files: [file(digestOf('1'))], adapters: [] }
  assert.deepEqual(differences({}, build, { of, files }), [])
  assert.deepEqual(differences({ weights: [digestOf('2')] }, build, { of, files }), [
    'gguf: not known to be built from these bytes',
  ])
  assert.deepEqual(differences({ license: 'Free\nMore' }, build, { of, files }), ['license: other texts'])
  const adapted = { files: files.files, adapters: [file(digestOf('3'))] }
  assert.deepEqual(differences({}, build, { of, files: adapted }), ['adapters: other files'])
  assert.deepEqual(differences({ adapters: [digestOf('3')] }, build, { of, files: adapted }), [])
})

test('differencesOf() takes adapters of the base, then the declared ones', () => {
  const of = { ...base, adapters: [digestOf('3')] }
  const files = { files: [], adapters: [file(digestOf('4'))] }
  assert.deepEqual(differences({ adapters: [digestOf('3'), digestOf('4')] }, {}, { of, files }), [])
  assert.deepEqual(differences({ adapters: [digestOf('4')] }, {}, { of, files }), ['adapters: other files'])
  assert.deepEqual(differences({ adapters: [digestOf('4'), digestOf('3')] }, {}, { of, files }), [
    'adapters: other files',
  ])
})

test('differencesOf() tells hostile values as one line', () => {
  const [text = ''] = differences({ renderer: 'x' }, { renderer: `\u001b[2J\n${'y'.repeat(500)}` })
  assert.doesNotMatch(text, /[\u001b\n]/)
  assert.ok(text.length < 100)
})
