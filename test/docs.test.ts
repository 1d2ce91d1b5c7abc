/** What is generated of the config's schema: docs/config.md and the JSON Schema for editors. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Ajv2020 } from 'ajv/dist/2020.js'
import fc from 'fast-check'
import { generatedFiles, jsonSchema, objects, readComments } from '../docs/generate.ts'
import { parameterKinds } from '../src/artifact/parameters.ts'
import { resolveConfig } from '../src/config/resolve.ts'
import { isConfigError } from '../src/errors.ts'
import { loadConfig } from '../src/index.ts'
import { makeGguf } from './support/gguf.ts'
import { tempFolder } from './support/run-cli.ts'

const root = fileURLToPath(new URL('..', import.meta.url))

test('the generated files are those of this schema: else run "npm run docs"', () => {
  for (const [file, text] of Object.entries(generatedFiles()))
    assert.equal(readFileSync(path.join(root, file), 'utf8'), text, file)
})

test('editors show a text for every key that the schema knows, and the types have no other', () => {
  const comments = readComments()
  const known = objects(jsonSchema())
  const places: Readonly<Record<string, string>> = {
    Config: '',
    ModelDeclaration: 'models[]',
    Message: 'models[].messages[]',
    ToolCall: 'models[].messages[].tool_calls[]',
    Defaults: 'defaults',
    HeaderFromEnvironment: 'headers{}',
  }
  for (const [name, place] of Object.entries(places)) {
    assert.deepEqual([...(comments.get(name)?.keys() ?? [])].sort(), [...(known.get(place) ?? [])].sort(), name)
  }
  assert.deepEqual([...(comments.get('ModelParameters')?.keys() ?? [])].sort(), Object.keys(parameterKinds).sort())
  for (const [name, keys] of comments)
    for (const [key, { text }] of keys)
      assert.notEqual(text, '', `${name}.${key} in src/config/config.ts has no comment`)
})

test('ollama.config.json may name its schema, by the path that docs/config.md says', async (t) => {
  const page = readFileSync(path.join(root, 'docs/config.md'), 'utf8')
  const [, example = ''] = /```json\n(.*?)```/s.exec(page) ?? []
  const cwd = tempFolder(t, { 'ollama.config.json': example })
  const { config } = await loadConfig({ cwd })
  assert.deepEqual(config.models, ['all-minilm'])
  assert.ok(existsSync(path.join(root, (config.$schema ?? '').replace('./node_modules/ollama-config/', ''))))
})

// --- The same for editors and for us ------------------------------------------------------------------------------

const junk = fc.constantFrom<unknown>(
  null,
  '',
  'x',
  0,
  1.5,
  2 ** 53,
  true,
  [],
  [1],
  ['x'],
  {},
  { x: 1 },
  { env: 'A', x: 1 },
)
const mostly = (...values: readonly fc.Arbitrary<unknown>[]) =>
  fc.oneof(...values.map((arbitrary) => ({ weight: 40, arbitrary })), { weight: 1, arbitrary: junk })
const sometimes = (fields: Readonly<Record<string, fc.Arbitrary<unknown>>>, requiredKeys: readonly string[] = []) =>
  fc.record({ ...fields }, { requiredKeys: [...requiredKeys] })
/** Mostly not there. */
const rarely = (value: fc.Arbitrary<unknown>) =>
  fc.oneof({ weight: 20, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: value })
const text = mostly(fc.constantFrom('', 'Text'))

const parameters = mostly(
  sometimes({
    num_ctx: mostly(fc.constantFrom(1, 8192, -1)),
    top_p: mostly(fc.constantFrom(0.5, 1)),
    use_mmap: mostly(fc.boolean()),
    stop: mostly(fc.constantFrom(['END'], [])),
    mirostat: rarely(fc.constantFrom(1, ['a', true], { a: 1 })),
  }),
)
const message = mostly(
  sometimes(
    {
      role: mostly(fc.constantFrom('user', 'assistant', 'tool')),
      content: text,
      thinking: text,
      images: mostly(fc.constant(['aGk='])),
      tool_calls: fc.oneof(
        { weight: 8, arbitrary: mostly(fc.constantFrom([], [{ function: { name: 'a', arguments: { any: 1 } } }])) },
        {
          weight: 1,
          arbitrary: fc.constantFrom(
            [{ function: { name: 'a', arguments: {}, more: 1 } }],
            [{ function: { name: 'a', arguments: {} }, more: 1 }],
          ),
        },
      ),
      cont: rarely(fc.constant(1)),
    },
    ['role', 'content'],
  ),
)
/** Mostly those beside which the other fields may stand. */
const origin = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom({ from: 'base' }, { gguf: 'w.gguf' }, { gguf: ['w.gguf'] }) },
  { weight: 1, arbitrary: fc.constantFrom({}, { gguf: [] }, { aliasOf: 'base' }, { modelfile: 'Modelfile' }) },
)
const keepAlive = mostly(
  fc.constantFrom('10m', '1h30m', '-1s', '0.5h', -1, 0, 600),
  rarely(fc.constantFrom('-1', '10', 0.5)),
)
const fields = sometimes({
  keepAlive,
  insecure: mostly(fc.constant(false), rarely(fc.constant(true))),
  system: text,
  template: text,
  parameters,
  allowUnknownParameters: mostly(fc.boolean()),
  messages: mostly(fc.array(message, { maxLength: 2 })),
  license: mostly(text, fc.constant(['a', 'b'])),
  adapters: mostly(fc.constantFrom('w.gguf', ['w.gguf'], []), rarely(fc.constant(['w.gguf', 'a.gguf']))),
  renderer: text,
  parser: text,
  requires: mostly(fc.constantFrom('0.14.0', 'v1.2.3-rc.1', ''), rarely(fc.constant('1.2'))),
  quantize: mostly(fc.constantFrom('Q8_0', 'F16')),
  modle: rarely(fc.constant(1)),
})
/** Few fields, so that many of them are right. */
const declaration = fc
  .tuple(
    fc.nat(),
    origin,
    fields,
    fc.subarray(['from', 'gguf', 'aliasOf'] as const, { maxLength: 1 }),
    fc.nat({ max: 9 }),
  )
  .map(([index, start, given, [other], luck]) => {
    const few = Object.entries(given).filter((_, at) => (index >> at) % 3 === 0)
    const second = other === undefined || luck > 0 ? {} : { [other]: other === 'gguf' ? 'w.gguf' : 'base' }
    return { name: `m${index}`, ...start, ...second, ...Object.fromEntries(few) }
  })
const config = sometimes(
  {
    models: mostly(fc.uniqueArray(mostly(declaration), { maxLength: 3, selector: (item) => JSON.stringify(item) })),
    host: mostly(fc.constant('gpu-box')),
    headers: mostly(
      fc.dictionary(fc.constantFrom('A', 'B'), mostly(fc.constant('x'), fc.constant({ env: 'A' })), {
        noNullPrototype: true,
      }),
    ),
    prune: mostly(fc.constantFrom('undeclared', 'managed', false)),
    keep: mostly(fc.constantFrom(['llava'], [])),
    defaults: mostly(sometimes({ parameters, keepAlive, parameter: rarely(fc.constant(1)) })),
    plugins: mostly(fc.constant([])),
    discover: text,
    $schema: text,
    model: rarely(fc.constant([])),
  },
  ['models'],
)

test('the JSON Schema refuses just what loading a config refuses, as far as one can look at the config alone', (t) => {
  const folder = tempFolder(t, { Modelfile: 'FROM base\n' })
  for (const name of ['w.gguf', 'a.gguf']) writeFileSync(path.join(folder, name), makeGguf({ name }))
  const validate = new Ajv2020({ strict: true, allErrors: true }).compile(jsonSchema())
  const counts = { taken: 0, refused: 0 }
  fc.assert(
    fc.property(config.map(asJson), (value) => {
      const problems = problemsOf(value, folder)
      // A name that is none, or a file that is not there, is nothing for a schema.
      if (problems.some(({ code }) => beyond.has(code))) return
      const taken = validate(value)
      counts[taken ? 'taken' : 'refused']++
      assert.equal(taken, problems.length === 0, JSON.stringify([validate.errors, problems], null, 1))
    }),
    { numRuns: 2000 },
  )
  assert.ok(Math.min(counts.taken, counts.refused) > 100, JSON.stringify(counts))
})

function asJson(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value))
}

const beyond = new Set(['invalid-reference', 'file-not-found', 'duplicate-model'])

function problemsOf(value: unknown, folder: string) {
  try {
    resolveConfig(value, { folder })
    return []
  } catch (error) {
    if (!isConfigError(error)) throw error
    return error.diagnostics
  }
}
