import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { formatReference } from '../../src/artifact/reference.ts'
import { type ResolveOptions, resolveConfig } from '../../src/config/resolve.ts'
import { ConfigError, type Diagnostic } from '../../src/errors.ts'
import { tempFolder } from '../support/run-cli.ts'

function desiredOf(models: readonly unknown[], more: object = {}, options: ResolveOptions = {}) {
  return resolveConfig({ models, ...more }, options).desired.models.map(({ reference, recipe, ...rest }) => ({
    ...rest,
    name: formatReference(reference),
    recipe,
  }))
}

function problemsOf(
  models: readonly unknown[],
  more: object = {},
  options: ResolveOptions = {},
): readonly Diagnostic[] {
  try {
    resolveConfig({ models, ...more }, options)
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error))
    return error.diagnostics
  }
  return []
}

const codes = (problems: readonly Diagnostic[]) => problems.map(({ path: at, code }) => `${at} ${code}`).sort()

test('a model that is built says from what and how; its base comes in when nobody declares it', () => {
  const [reviewer, base] = desiredOf(
    [
      {
        name: 'reviewer',
        from: 'http://corp:5000/team/base:1',
        system: 'S',
        parameters: { num_ctx: 8192 },
        license: 'L',
      },
    ],
    { defaults: { parameters: { temperature: 0.2, num_ctx: 1 } } },
  )
  assert.ok(reviewer?.recipe?.kind === 'build' && base !== undefined)
  const { from, ...build } = reviewer.recipe
  assert.equal(from === null ? null : formatReference(from), 'corp:5000/team/base:1')
  assert.deepEqual(build, {
    kind: 'build',
    files: [],
    adapters: [],
    system: 'S',
    template: null,
    parameters: { temperature: 0.2, num_ctx: 8192 },
    messages: [],
    licenses: ['L'],
    renderer: null,
    parser: null,
    requires: null,
    quantize: null,
    cleared: [],
  })
  assert.deepEqual(base, {
    name: 'corp:5000/team/base:1',
    path: 'models[0].from',
    insecure: true,
    neededBy: 'reviewer:latest',
    recipe: undefined,
  })
})

test('a declared base is not declared twice, whatever its spelling; defaults leave pulled models alone', () => {
  const models = desiredOf(['QWEN3:8b', { name: 'a', from: 'qwen3:8B' }, { name: 'b', from: 'a' }], {
    defaults: { parameters: { top_k: 1 } },
  })
  assert.deepEqual(
    models.map(({ name, neededBy }) => [name, neededBy]),
    [
      ['QWEN3:8b', undefined],
      ['a:latest', undefined],
      ['b:latest', undefined],
    ],
  )
  assert.equal(models[0]?.recipe, undefined)
})

test('plain http for a base counts wherever it is written, and not beside a declaration without it', () => {
  const plain = { name: 'a', from: 'http://reg:5000/n/m:1' }
  const secure = { name: 'c', from: 'reg:5000/n/m:1' }
  for (const models of [
    [plain, secure],
    [secure, plain],
  ])
    assert.equal(desiredOf(models).at(-1)?.insecure, true)
  const [problem, ...others] = problemsOf(['reg:5000/n/m:1', plain])
  assert.deepEqual([problem?.code, problem?.path, others], ['contradiction', 'models[1].from', []])
  assert.match(problem?.hint ?? '', /insecure: true/)
  assert.deepEqual(problemsOf([{ name: 'reg:5000/n/m:1', insecure: true }, plain]), [])
})

test('an alias of an alias is a name of what that one names', () => {
  const models = desiredOf([
    { name: 'c', aliasOf: 'b' },
    { name: 'b', aliasOf: 'a' },
    { name: 'a', aliasOf: 'qwen3:8b' },
  ])
  const ends = models.map(({ recipe }) => (recipe?.kind === 'alias' ? formatReference(recipe.of) : undefined))
  assert.deepEqual(ends, ['qwen3:8b', 'qwen3:8b', 'qwen3:8b', undefined])
})

test('a cycle is an error that prints it, once', () => {
  const problems = problemsOf([
    { name: 'x', from: 'a' },
    { name: 'a', from: 'b' },
    { name: 'b', aliasOf: 'c' },
    { name: 'c', from: 'A:latest' },
    { name: 'self', from: 'self' },
  ])
  assert.deepEqual(
    problems.map(({ path: at, message }) => `${at}: ${message}`),
    [
      'models[1].from: A model would be made from itself: a:latest → b:latest → c:latest → a:latest',
      'models[4].from: A model would be made from itself: self:latest → self:latest',
    ],
  )
})

test('parameters are checked by name and type, in defaults too', () => {
  const problems = problemsOf(
    [
      {
        name: 'a',
        from: 'b',
        parameters: {
          num_ctxx: 1,
          num_ctx: '16k',
          top_k: 1.5,
          temperature: Number.NaN,
          use_mmap: 1,
          stop: 'END',
          mirostat: 1,
          'a b': 1,
        },
      },
    ],
    { defaults: { parameters: { temprature: 1, brand_new: 1 } } },
  )
  assert.deepEqual(codes(problems), [
    'defaults.parameters.brand_new unknown-parameter',
    'defaults.parameters.temprature unknown-parameter',
    'models[0].parameters.mirostat unknown-parameter',
    'models[0].parameters.num_ctx wrong-type',
    'models[0].parameters.num_ctxx unknown-parameter',
    'models[0].parameters.stop wrong-type',
    'models[0].parameters.temperature wrong-type',
    'models[0].parameters.top_k wrong-type',
    'models[0].parameters.use_mmap wrong-type',
    'models[0].parameters["a b"] unknown-parameter',
  ])
  const hints = new Map(problems.map(({ path: at, hint }) => [at, hint]))
  assert.equal(hints.get('models[0].parameters.num_ctxx'), 'did you mean "num_ctx"?')
  assert.match(hints.get('models[0].parameters.mirostat') ?? '', /drop it/)
  assert.match(hints.get('defaults.parameters.brand_new') ?? '', /give it to a model/)
  assert.deepEqual(codes(problemsOf([], { defaults: { parameters: ['x'] } })), ['defaults.parameters wrong-type'])
})

test('unknown parameters pass when they are allowed, as far as JSON can hold them', () => {
  const allowed = { name: 'a', from: 'b', allowUnknownParameters: true }
  const [model] = desiredOf([{ ...allowed, parameters: { new_one: ['x', 1], num_ctx: 1 } }])
  assert.deepEqual(model?.recipe?.kind === 'build' && model.recipe.parameters, { new_one: ['x', 1], num_ctx: 1 })
  assert.deepEqual(codes(problemsOf([{ ...allowed, parameters: { new_one: { x: 1 }, num_ctx: 'x' } }])), [
    'models[0].parameters.new_one wrong-type',
    'models[0].parameters.num_ctx wrong-type',
  ])
})

test('what does not go together is refused', () => {
  assert.deepEqual(
    codes(
      problemsOf([
        { name: 'a', from: 'x', aliasOf: 'y' },
        { name: 'b', system: 'S' },
        { name: 'c', aliasOf: 'x', system: 'S' },
        { name: 'd', from: 'x', insecure: true },
        { name: 'e', from: 'gpt:120b-cloud' },
        { name: 'https://h/n/m', from: 'x' },
        { name: 'f', from: 'x', requires: 'new' },
        { name: 'g', gguf: [] },
        { name: 'h', modelfile: 'Modelfile', template: 'T' },
      ]),
    ),
    [
      'models[0].aliasOf contradiction',
      'models[1].system missing-key',
      'models[2].system contradiction',
      'models[3].insecure contradiction',
      'models[4].from cloud-base',
      'models[5].name wrong-value',
      'models[6].requires wrong-value',
      'models[7].gguf wrong-value',
      'models[8].template contradiction',
    ],
  )
})

test('a file where a model is wanted is told in words of the field that it is in', () => {
  const hintOf = (declaration: object) => problemsOf([{ name: 'a', ...declaration }])[0]?.hint ?? ''
  assert.match(hintOf({ from: './w.gguf' }), /^for a file write "gguf" instead of "from"$/)
  assert.match(hintOf({ aliasOf: './w.gguf' }), /^name the model that it is another name of/)
})

test('a GGUF file that is there is no model, though its name could be one', (t) => {
  const folder = tempFolder(t, { 'w.gguf': 'GGUF' })
  const found = (declaration: object) => codes(problemsOf([{ name: 'a', ...declaration }], {}, { folder }))
  assert.deepEqual(found({ from: 'w.gguf' }), ['models[0].from file-not-found'])
  assert.deepEqual(found({ aliasOf: 'w.gguf' }), ['models[0].aliasOf file-not-found'])
  assert.deepEqual(found({ from: 'other.gguf' }), [])
})

test('a path may have any spaces, and no control characters', { skip: process.platform === 'win32' }, (t) => {
  const folder = tempFolder(t)
  for (const name of ['My  Models', 'a\tb']) {
    mkdirSync(path.join(folder, name))
    writeFileSync(path.join(folder, name, 'a.gguf'), 'GGUF')
  }
  const found = (name: string) => problemsOf([{ name: 'a', gguf: `${name}/a.gguf` }], {}, { folder })
  assert.deepEqual(found('My  Models'), [])
  assert.match(found('a\tb')[0]?.message ?? '', /control characters/)
  assert.match(
    problemsOf([{ name: 'a', modelfile: '.' }], {}, { folder })[0]?.hint ?? '',
    /^name the Modelfile itself$/,
  )
})

// A file that nobody can read from its start, root included.
test('a Modelfile that cannot be read is told', { skip: process.platform !== 'linux' }, () => {
  const [problem, ...others] = problemsOf([{ name: 'a', modelfile: '/proc/self/mem' }])
  assert.deepEqual([problem?.code, problem?.path, others], ['file-not-found', 'models[0].modelfile', []])
  assert.match(problem?.message ?? '', /names "mem", which cannot be read \(E[A-Z]+\)$/)
})

test('files are found from the folder of the config, and one that is missing is told', (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'recipes-'))
  t.after(() => import('node:fs').then(({ rmSync }) => rmSync(folder, { recursive: true })))
  writeFileSync(path.join(folder, 'a.gguf'), 'GGUF')
  const [model] = desiredOf([{ name: 'a', gguf: './a.gguf', adapters: ['a.gguf'] }], {}, { folder })
  const file = { name: 'a.gguf', file: path.join(folder, 'a.gguf') }
  assert.ok(model?.recipe?.kind === 'build')
  assert.deepEqual([model.recipe.from, model.recipe.files, model.recipe.adapters], [null, [file], [file]])
  assert.deepEqual(codes(problemsOf([{ name: 'a', gguf: ['no.gguf', '.', 'a.gguf', './a.gguf'] }], {}, { folder })), [
    'models[0].gguf[0] file-not-found',
    'models[0].gguf[1] file-not-found',
    'models[0].gguf[3] contradiction',
  ])
})

test('fields declared as empty are remembered: they cannot take away what a base has', () => {
  const [model] = desiredOf([{ name: 'a', from: 'b', system: '', messages: [], license: '', template: 'T' }])
  assert.ok(model?.recipe?.kind === 'build')
  assert.deepEqual([model.recipe.system, model.recipe.cleared], [null, ['system', 'messages', 'license']])
})

test('what a tool is called with is what JSON makes of it, and a call has no other keys', () => {
  const message = (call: object) => [
    { name: 'a', from: 'b', messages: [{ role: 'assistant', content: '', tool_calls: [call] }] },
  ]
  const call = { function: { name: 'day', arguments: { at: new Date(0) } } }
  const [model] = desiredOf(message(call))
  assert.ok(model?.recipe?.kind === 'build')
  assert.deepEqual(model.recipe.messages[0]?.tool_calls, [
    { function: { name: 'day', arguments: { at: '1970-01-01T00:00:00.000Z' } } },
  ])
  const wrong = { id: '1', function: { ...call.function, strict: true } }
  assert.deepEqual(codes(problemsOf(message(wrong))), [
    'models[0].messages[0].tool_calls[0].function.strict unknown-key',
    'models[0].messages[0].tool_calls[0].id unknown-key',
  ])
  const fails = () => {
    throw new Error('no JSON')
  }
  for (const given of [new Date(0), { at: { toJSON: fails } }])
    assert.deepEqual(codes(problemsOf(message({ function: { name: 'day', arguments: given } }))), [
      'models[0].messages[0].tool_calls[0].function.arguments wrong-type',
    ])
})

test('half a character becomes what the server reads it as, wherever it is written', () => {
  const [model] = desiredOf(
    [
      {
        name: 'a',
        from: 'b',
        system: 'x\ud800',
        license: ['\udc00'],
        messages: [{ role: 'user', content: '🦙\ud800' }],
      },
    ],
    { defaults: { parameters: { stop: ['\ud800y'] } } },
  )
  assert.ok(model?.recipe?.kind === 'build')
  const { system, licenses, messages, parameters } = model.recipe
  assert.deepEqual([system, licenses, parameters], ['x\ufffd', ['\ufffd'], { stop: ['\ufffdy'] }])
  assert.deepEqual(messages, [{ role: 'user', content: '🦙\ufffd' }])
})

test('what plugins declare is checked like the rest and told with its plugin', () => {
  const place = 'plugins[0] (persona)'
  const declared = [
    { declaration: { name: 'a', from: 'b', sistem: 1 }, path: place },
    { declaration: { name: 'x' }, path: place },
    { declaration: 7, path: 'plugins[1] (p)' },
  ]
  assert.deepEqual(codes(problemsOf(['x'], {}, { declared })), [
    'plugins[0] (persona).name duplicate-model',
    'plugins[0] (persona).sistem unknown-key',
    'plugins[1] (p) wrong-type',
  ])
})
