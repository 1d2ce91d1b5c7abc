import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { readPlan } from '../src/plan/codec.ts'
import { formatVersion } from '../src/plan/plan.ts'
import { lockFormatVersion } from '../src/record/lock.ts'
import { readLock } from '../src/record/lock-file.ts'
import { recordFormatVersion } from '../src/record/record.ts'
import { parseRecord } from '../src/record/record-file.ts'
import { runCli, startServer, tempFolder } from './support/run-cli.ts'

type Json = null | boolean | number | string | readonly Json[] | JsonObject
interface JsonObject {
  readonly [key: string]: Json
}
type Place = readonly (string | number)[]

const docs = fileURLToPath(new URL('../docs/', import.meta.url))
const examples = fileURLToPath(new URL('./fixtures/formats/', import.meta.url))

/** Each format with the version that is written now. */
const current: Readonly<Record<string, string>> = {
  declared: formatVersion,
  error: formatVersion,
  events: formatVersion,
  lock: lockFormatVersion,
  'lock-result': formatVersion,
  outdated: formatVersion,
  plan: formatVersion,
  plugins: formatVersion,
  record: recordFormatVersion,
  report: formatVersion,
}

/** Fields that a document may lack. All others have to be there. */
const optional: Readonly<Record<string, readonly string[]>> = {
  declared: [],
  error: ['diagnostics', 'hint', 'path'],
  events: ['blocked', 'diagnostics', 'fetched', 'hint', 'lock', 'path', 'text'],
  lock: ['manifest'],
  'lock-result': [],
  outdated: ['hint', 'path'],
  plan: ['blocked', 'hint', 'lock', 'path', 'pending', 'reference', 'text'],
  plugins: ['hint', 'path'],
  record: ['writes'],
  report: ['fetched', 'hint'],
}

const schemaFiles = readdirSync(path.join(docs, 'schemas'))
// Strict: a keyword that is misspelt, or a required field that is not described, is an error.
const ajv = new Ajv2020({ strict: true, allErrors: true })
for (const file of schemaFiles) ajv.addSchema(JSON.parse(readFileSync(path.join(docs, 'schemas', file), 'utf8')))

/** What the schema has against it; an empty text means nothing. */
function problems(format: string, value: Json): string {
  const validate = ajv.getSchema(`${format}.schema.json`)
  assert.ok(validate !== undefined, `there is a schema for ${format}`)
  return validate(value) === true ? '' : ajv.errorsText(validate.errors)
}

function assertValid(format: string, value: Json, where: string): void {
  assert.equal(problems(format, value), '', `${where} as ${format}: ${JSON.stringify(value).slice(0, 500)}`)
}

const parse = (text: string): Json => JSON.parse(text)
const linesOf = (text: string): readonly Json[] => text.trimEnd().split('\n').map(parse)
const isObject = (value: Json): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const itemsOf = (value: Json): readonly Json[] => (Array.isArray(value) ? value : [])
const keysOf = (value: Json): readonly string[] => (isObject(value) ? Object.keys(value) : [])

interface Example {
  readonly version: string
  readonly format: string
  readonly file: string
  /** One, or one for each line. */
  readonly documents: readonly Json[]
}

function readExamples(): readonly Example[] {
  return readdirSync(examples).flatMap((version) =>
    readdirSync(path.join(examples, version)).map((name): Example => {
      const file = path.join(examples, version, name)
      const text = readFileSync(file, 'utf8')
      const { name: format, ext } = path.parse(name)
      return { version, format, file, documents: ext === '.jsonl' ? linesOf(text) : [parse(text)] }
    }),
  )
}

// --- Changing a document at one place -----------------------------------------------------------------------------

function placesIn(value: Json, place: Place = []): readonly Place[] {
  const inner = Array.isArray(value)
    ? value.flatMap((item: Json, index) => placesIn(item, [...place, index]))
    : isObject(value)
      ? Object.entries(value).flatMap(([key, item]) => placesIn(item, [...place, key]))
      : []
  return place.length === 0 ? inner : [place, ...inner]
}

/** The same with something else at one place; `undefined` takes the field away. */
function replaced(value: Json, [key, ...rest]: Place, other: Json | undefined): Json {
  if (key === undefined) return other ?? null
  if (Array.isArray(value)) {
    return value.map((item: Json, index) => (index === key ? replaced(item, rest, other) : item))
  }
  if (!isObject(value)) return value
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, item]): [string, Json][] => {
      if (name !== key) return [[name, item]]
      return rest.length === 0 && other === undefined ? [] : [[name, replaced(item, rest, other)]]
    }),
  )
}

function at(value: Json, place: Place): Json {
  return place.reduce<Json>((inner, key) => (inner as Record<string | number, Json> | null)?.[key] ?? null, value)
}

/** Whether the schema refuses the document with something else at one place, or with nothing there. */
function isRefused(format: string, document: Json, place: Place, other: Json | undefined): boolean {
  return problems(format, replaced(document, place, other)) !== ''
}

/** An object whose keys are data: of lock file and record. */
function isMap(format: string, place: Place): boolean {
  return (format === 'lock' || format === 'record') && /^(models|configs|copies)$/.test(String(place.at(-1)))
}

/** As a newer minor version might write it. */
function extended(format: string, document: Json): Json {
  const withNews = [[], ...placesIn(document)].reduce<Json>((value, place) => {
    const old = at(value, place)
    return isObject(old) && !isMap(format, place) ? replaced(value, place, { ...old, newField: { is: 'new' } }) : value
  }, document)
  return isObject(document) && 'formatVersion' in document ? replaced(withNews, ['formatVersion'], '1.7') : withNews
}

// --- Schemas and examples -----------------------------------------------------------------------------------------

test('every format has a schema, and an example of the version that is written now', () => {
  assert.deepEqual(
    [...schemaFiles].sort(),
    ['common', ...Object.keys(current)].map((name) => `${name}.schema.json`).sort(),
  )
  const found = readExamples().map(({ version, format }) => `${version} ${format}`)
  for (const [format, version] of Object.entries(current)) {
    assert.ok(found.includes(`${version} ${format}`), `test/fixtures/formats/${version} has an example of ${format}`)
  }
  for (const { format, file } of readExamples()) assert.ok(format in current, `${file} is of a known format`)
})

test('every schema is valid, and says by its own name what it is for', () => {
  for (const file of schemaFiles) {
    const schema = parse(readFileSync(path.join(docs, 'schemas', file), 'utf8'))
    assert.equal(at(schema, ['$id']), file)
    for (const key of ['title', 'description']) assert.match(String(at(schema, [key])), /^[A-Z].+/, `${file}: ${key}`)
    assert.ok(ajv.getSchema(file) !== undefined, file)
  }
})

for (const { version, format, file, documents } of readExamples()) {
  test(`the example of ${format} ${version} fits its schema, and any that is broken at one place does not`, () => {
    const lacking = new Set<string>()
    for (const document of documents) {
      assertValid(format, document, file)
      for (const place of placesIn(document)) {
        const value = at(document, place)
        const key = place.at(-1)
        const wrong: Json[] = [isObject(value) ? [] : {}]
        if (typeof value === 'number') wrong.push(-1, 0.5, '1')
        if (typeof value === 'string' && value.startsWith('sha256:')) {
          wrong.push(value.slice('sha256:'.length), value.toUpperCase(), `${value}0`)
        }
        for (const other of wrong) {
          assert.ok(isRefused(format, document, place, other), `${place.join('.')}: ${JSON.stringify(other)}`)
        }
        if (isMap(format, place) && isObject(value) && key !== 'configs') {
          const renamed = Object.fromEntries(Object.values(value).map((entry, index) => [`no name ${index}`, entry]))
          assert.equal(isRefused(format, document, place, renamed), keysOf(value).length > 0, place.join('.'))
        }
        const isField = typeof key === 'string' && !isMap(format, place.slice(0, -1))
        if (isField && !isRefused(format, document, place, undefined)) lacking.add(key)
      }
    }
    assert.deepEqual([...lacking].sort(), optional[format])
  })

  test(`the schema of ${format} takes what a newer minor version adds to ${version}, and no other major`, () => {
    for (const document of documents) {
      assertValid(format, extended(format, document), file)
      if (at(document, ['formatVersion']) === null) continue
      for (const other of ['2.0', '10.0', '1', 1]) assert.ok(isRefused(format, document, ['formatVersion'], other))
    }
  })
}

test('the schemas know actions, outcomes and other closed sets', () => {
  const cases: readonly [format: string, place: Place][] = [
    ['plan', ['targets', 0, 'kind']],
    ['plan', ['targets', 0, 'changes', 0, 'action']],
    ['plan', ['targets', 0, 'changes', 0, 'reference']],
    ['plan', ['targets', 0, 'diagnostics', 0, 'severity']],
    ['report', ['outcome']],
    ['report', ['targets', 0, 'results', 0, 'action']],
    ['report', ['targets', 0, 'results', 0, 'outcome']],
    ['events', ['type']],
    ['events', ['time']],
    ['outdated', ['targets', 0, 'models', 0, 'status']],
    ['lock', ['models', 'mine:latest', 'declaration']],
    ['record', ['configs', '/home/ada/project/ollama.config.json', 'models', 'a:latest', 'at']],
  ]
  for (const [format, place] of cases) {
    const documents = readExamples().find((example) => example.format === format)?.documents ?? []
    const having = documents.filter((document) => at(document, place) !== null)
    assert.ok(having.length > 0, `${format} has ${place.join('.')}`)
    for (const document of having) assert.ok(isRefused(format, document, place, 'something else'), place.join('.'))
  }
  const [plan = null] = readExamples().find(({ format }) => format === 'plan')?.documents ?? []
  const actions = placesIn(plan).filter((place) => place.at(-1) === 'action')
  assert.deepEqual([...new Set(actions.map((place) => at(plan, place)))].sort(), [
    'delete',
    'no-op',
    'pull',
    'restore',
    'update',
  ])
})

// --- Readers ------------------------------------------------------------------------------------------------------

for (const { version, format, documents } of readExamples()) {
  const [document = null] = documents
  if (format === 'plan') {
    test(`a plan of format ${version} is still read, with fields that are not known yet too`, () => {
      assert.deepEqual(readPlan(document), document)
      readPlan(extended(format, document))
      const other = replaced(document, ['formatVersion'], '2.0')
      assert.throws(() => readPlan(other), { code: 'invalid-plan' })
    })
  }
  if (format === 'lock') {
    test(`a lock file of format ${version} is still read, with fields that are not known yet too`, async (t) => {
      const other = replaced(document, ['formatVersion'], '2.0')
      const folder = tempFolder(t, {
        'old.json': JSON.stringify(document),
        'new.json': JSON.stringify(extended(format, document)),
        'other.json': JSON.stringify(other),
      })
      const old = await readLock(path.join(folder, 'old.json'))
      assert.deepEqual(Object.keys(old?.models ?? {}), keysOf(at(document, ['models'])))
      assert.deepEqual(await readLock(path.join(folder, 'new.json')), old)
      await assert.rejects(readLock(path.join(folder, 'other.json')), { code: 'lock-invalid' })
    })
  }
  if (format === 'record') {
    test(`a record of format ${version} is still read, with fields that are not known yet too`, () => {
      const read = (value: Json) => parseRecord(JSON.stringify(value), '/state/1.json')
      const old = read(document)
      assert.deepEqual(Object.keys(old.configs), keysOf(at(document, ['configs'])))
      assert.deepEqual(read(extended(format, document)), old)
      const other = replaced(document, ['formatVersion'], '2.0')
      assert.throws(() => read(other), { code: 'record-invalid' })
    })
  }
}

// --- Real output --------------------------------------------------------------------------------------------------

test('what the commands write with --json fits the schemas, and so do lock file and record', async (t) => {
  const server = await startServer(t, { models: ['old', 'c', 'kept'], registry: ['a', 'b'] })
  server.derive('mine', 'old', { system: 'You are mine.' })
  const config = { models: ['a', 'b', 'c'], host: server.url, prune: 'undeclared', keep: ['kept', 'nothing'] }
  const cwd = tempFolder(t, {
    'ollama.config.json': config,
    'more.config.json': { ...config, models: [...config.models, 'gone'] },
    'other.config.json': { models: [], discover: '.' },
    'no.plugin.js': 'export default 1\n',
    'a.plugin.js':
      "import { definePlugin } from 'ollama-config'\nexport default definePlugin({ apiVersion: 1, name: 'a' })\n",
    'wrong.config.json': { models: ['not a name'], keep: 3 },
  })
  const seen = new Set<string>()
  const json = async (format: string, expected: number, ...words: string[]): Promise<Json> => {
    const { code, stdout, stderr } = await runCli([...words, '--json'], { cwd })
    assert.equal(code, expected, `${words.join(' ')}: ${stdout}${stderr}`)
    const value = parse(stdout)
    assertValid(format, value, words.join(' '))
    return value
  }
  const lines = async (expected: number, words: readonly string[], env = {}): Promise<void> => {
    const { code, stdout, stderr } = await runCli([...words, '--json'], { cwd, env })
    assert.equal(code, expected, `${words.join(' ')}: ${stdout}${stderr}`)
    for (const line of linesOf(stdout)) {
      assertValid('events', line, words.join(' '))
      seen.add(String(at(line, ['type'])))
    }
  }

  await json('declared', 0, 'plan', '--config-only')
  await json('plugins', 0, 'plugins')
  const plugins = await json('plugins', 1, 'plugins', '--config', 'other.config.json')
  assert.deepEqual(at(plugins, ['plugins', 0, 'from']), 'a.plugin.js')
  const plan = await json('plan', 0, 'plan', '--prune', '--out', 'plan.json')
  const saved = parse(readFileSync(path.join(cwd, 'plan.json'), 'utf8'))
  assertValid('plan', saved, 'plan --out')
  assert.deepEqual(plan, {
    ...(isObject(saved) ? saved : {}),
    pending: ['pull:a:latest', 'pull:b:latest', 'delete:old:latest'],
  })
  await json('plan', 1, 'check')
  await json('plan', 0, 'plan', '--offline')
  await json('outdated', 0, 'outdated')
  await json('lock-result', 0, 'lock')
  await json('lock-result', 0, 'update', '--lock-only')
  await lines(0, ['apply', '--yes'])
  await json('plan', 0, 'check')
  for (const name of ['a', 'b']) server.publish({ name, revision: 'two' })
  await json('outdated', 0, 'outdated')
  await lines(0, ['update', 'a', '--yes', '--keep-previous'])
  await lines(0, ['rollback', 'a', '--yes'])
  server.remove('a')
  await json('plan', 0, 'plan')
  // The record cannot be kept there: people are told, and the apply goes on.
  await lines(1, ['apply', '--yes'], { XDG_STATE_HOME: path.join(cwd, 'ollama.config.json') })
  await lines(1, ['apply', '--yes', '--prune', '--config', 'more.config.json'])
  await json('lock-result', 1, 'lock', '--config', 'more.config.json')
  for (const file of ['ollama.lock.json', 'more.lock.json']) {
    assertValid('lock', parse(readFileSync(path.join(cwd, file), 'utf8')), file)
  }
  const records = readdirSync(cwd, { recursive: true, encoding: 'utf8' }).filter((file) => /record.*\.json$/.test(file))
  assert.ok(records.length > 0)
  for (const file of records) assertValid('record', parse(readFileSync(path.join(cwd, file), 'utf8')), file)

  await json('error', 3, 'plan', '--no-such-flag')
  const wrong = await json('error', 3, 'plan', '--config', 'wrong.config.json')
  assert.equal(itemsOf(at(wrong, ['error', 'diagnostics'])).length, 2)
  await json('error', 1, 'check', '--host', '127.0.0.1:9')
  await lines(3, ['apply'])
  await lines(3, ['apply', '--yes', '--config', 'wrong.config.json'])
  await lines(3, ['rollback', 'b', '--yes'])
  await lines(3, ['update', '--no-such-flag'])
  const known = parse(readFileSync(path.join(docs, 'schemas', 'events.schema.json'), 'utf8'))
  assert.deepEqual([...seen].sort(), [...itemsOf(at(known, ['properties', 'type', 'enum']))].sort())
})

// --- docs/formats.md ----------------------------------------------------------------------------------------------

test('docs/formats.md links to every schema, and its examples fit the one that their section links to', () => {
  const text = readFileSync(path.join(docs, 'formats.md'), 'utf8')
  const linked = [...text.matchAll(/\]\(([^)#]+)[^)]*\)/g)].map(([, target = '']) => target)
  for (const target of linked) assert.ok(existsSync(path.join(docs, target)), target)
  for (const format of Object.keys(current)) assert.ok(linked.includes(`schemas/${format}.schema.json`), format)
  let count = 0
  for (const section of text.split(/^## /m).slice(1)) {
    const format = /\(schemas\/([a-z-]+)\.schema\.json\)/.exec(section)?.[1]
    for (const [, kind, block = ''] of section.matchAll(/^```(jsonl?)\n(.*?)^```$/gms)) {
      assert.ok(format !== undefined, `a section with an example links to a schema: ${section.slice(0, 40)}`)
      for (const document of kind === 'jsonl' ? linesOf(block) : [parse(block)]) {
        assertValid(format, document, 'docs/formats.md')
        count++
      }
    }
  }
  assert.ok(count >= Object.keys(current).length)
})
