import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { JsonLines } from '../src/cli/views/json.ts'
import { readPlan } from '../src/plan/codec.ts'
import { formatVersion, knownActions } from '../src/plan/plan.ts'
import { lockFormatVersion } from '../src/record/lock.ts'
import { readLock } from '../src/record/lock-file.ts'
import { recordFormatVersion } from '../src/record/record.ts'
import { parseRecord } from '../src/record/record-file.ts'
import { makeGguf } from './support/gguf.ts'
import { runCli, startServer, tempFolder } from './support/run-cli.ts'
import { layer, weights, world } from './support/world.ts'

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
  doctor: formatVersion,
  error: formatVersion,
  events: formatVersion,
  leftovers: formatVersion,
  lock: lockFormatVersion,
  'lock-result': formatVersion,
  outdated: formatVersion,
  plan: formatVersion,
  plugins: formatVersion,
  record: recordFormatVersion,
  report: formatVersion,
  verification: formatVersion,
}

/** Of a message that a model is built with. */
const messageFields = ['images', 'thinking', 'tool_call_id', 'tool_calls', 'tool_name']

/** Fields that a document may lack. All others have to be there. */
const optional: Readonly<Record<string, readonly string[]>> = {
  declared: ['aliasOf', 'files', 'from', 'neededBy'],
  doctor: ['hint'],
  error: ['diagnostics', 'hint', 'path'],
  events: [
    ...['blocked', 'built', 'diagnostics', 'fetched', 'hint', 'lock', 'made', 'method', 'path', 'reference', 'text'],
    ...messageFields,
  ],
  leftovers: [],
  lock: ['manifest'],
  'lock-result': [],
  outdated: ['hint', 'path'],
  plan: ['blocked', 'built', 'hint', 'lock', 'method', 'path', 'pending', 'reference', 'text', ...messageFields],
  plugins: ['hint', 'path'],
  record: ['built', 'writes'],
  report: ['fetched', 'hint', 'made'],
  verification: ['hint'],
}

// That of the config is of what people write: test/docs.test.ts is about it.
const schemaFiles = readdirSync(path.join(docs, 'schemas')).filter((file) => file !== 'ollama.config.schema.json')
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

/** An object whose keys are data: models and configs of lock file and record, parameters of what is built. */
function isMap(format: string, place: Place): boolean {
  if (format !== 'lock' && format !== 'record') return place.at(-1) === 'parameters'
  return /^(models|configs|copies)$/.test(String(place.at(-1)))
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
        // A parameter may be any number, or a text.
        if (typeof value === 'number' && !isMap(format, place.slice(0, -1))) wrong.push(-1, 0.5, '1')
        if (typeof value === 'string' && value.startsWith('sha256:')) {
          wrong.push(value.slice('sha256:'.length), value.toUpperCase(), `${value}0`)
        }
        for (const other of wrong) {
          assert.ok(isRefused(format, document, place, other), `${place.join('.')}: ${JSON.stringify(other)}`)
        }
        if (isMap(format, place) && isObject(value) && key !== 'configs' && key !== 'parameters') {
          const renamed = Object.fromEntries(Object.values(value).map((entry, index) => [`no name ${index}`, entry]))
          assert.equal(isRefused(format, document, place, renamed), keysOf(value).length > 0, place.join('.'))
        }
        const isField = typeof key === 'string' && !isMap(format, place.slice(0, -1))
        if (isField && !isRefused(format, document, place, undefined)) lacking.add(key)
      }
    }
    assert.deepEqual([...lacking].sort(), [...(optional[format] ?? [])].sort())
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
    ['doctor', ['findings', 0, 'status']],
    ['leftovers', ['leftovers', 0, 'kind']],
    ['leftovers', ['leftovers', 0, 'spared']],
    ['verification', ['models', 0, 'status']],
    ['verification', ['models', 0, 'damage', 0, 'problem']],
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
  const known = [...knownActions].sort()
  assert.deepEqual([...new Set(actions.map((place) => at(plan, place)))].sort(), known)
  const listed = (file: string, ...place: string[]) =>
    itemsOf(
      at(parse(readFileSync(path.join(docs, 'schemas', file), 'utf8')), [...place, 'properties', 'action', 'enum']),
    )
  assert.deepEqual([...listed('plan.schema.json', '$defs', 'change')].sort(), known)
  assert.deepEqual(['no-op', ...listed('report.schema.json', '$defs', 'result')].sort(), known)
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

interface CheckedCommands {
  /** The one document that a command writes. */
  json(format: string, code: number, ...words: string[]): Promise<Json>
  lines(code: number, words: readonly string[], env?: Readonly<Record<string, string>>): Promise<readonly Json[]>
  /** Of all lines so far. */
  readonly types: ReadonlySet<string>
}

/** Runs commands in a folder and holds what they write to the schemas, and every plan to its reader too. */
function checkedCommands(cwd: string, server: Readonly<Record<string, string>> = {}): CheckedCommands {
  const types = new Set<string>()
  const run = async (code: number, words: readonly string[], env = {}): Promise<string> => {
    const result = await runCli([...words, '--json'], { cwd, env: { ...server, ...env } })
    assert.equal(result.code, code, `${words.join(' ')}: ${result.stdout}${result.stderr}`)
    return result.stdout
  }
  return {
    types,
    async json(format, code, ...words) {
      const value = parse(await run(code, words))
      assertValid(format, value, words.join(' '))
      if (format === 'plan') readPlan(value)
      return value
    },
    async lines(code, words, env) {
      const written = linesOf(await run(code, words, env))
      for (const line of written) {
        assertValid('events', line, words.join(' '))
        types.add(String(at(line, ['type'])))
        if (at(line, ['type']) === 'plan') readPlan(at(line, ['plan']))
      }
      return written
    },
  }
}

function assertFilesValid(cwd: string, ...locks: readonly string[]): void {
  for (const file of locks) assertValid('lock', parse(readFileSync(path.join(cwd, file), 'utf8')), file)
  const records = readdirSync(cwd, { recursive: true, encoding: 'utf8' }).filter((file) => /record.*\.json$/.test(file))
  assert.ok(records.length > 0)
  for (const file of records) assertValid('record', parse(readFileSync(path.join(cwd, file), 'utf8')), file)
}

test('what the commands write with --json fits the schemas, and so do lock file and record', async (t) => {
  const server = await startServer(t, {
    runner: true,
    models: ['old', 'c', 'kept'],
    registry: ['a', 'b'],
  })
  server.derive('mine', 'old', { system: 'You are mine.' })
  const config = { models: ['a', 'b', 'c'], host: server.url, prune: 'undeclared', keep: ['kept', 'nothing'] }
  const cwd = tempFolder(t, {
    'ollama.config.json': config,
    'more.config.json': { ...config, models: [...config.models, 'gone'] },
    'store.config.json': { models: ['s'] },
    'other.config.json': { models: [], discover: '.' },
    'no.plugin.js': 'export default 1\n',
    'a.plugin.js':
      "import { definePlugin } from 'ollama-config'\nexport default definePlugin({ apiVersion: 1, name: 'a' })\n",
    'wrong.config.json': { models: ['not a name'], keep: 3 },
  })
  const { json, lines, types } = checkedCommands(cwd)

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
  await json('doctor', 0, 'doctor')
  await json('doctor', 1, 'doctor', '--config', 'wrong.config.json')
  await json('doctor', 1, 'doctor', '--host', '127.0.0.1:9')
  await json('plan', 0, 'plan', '--offline')
  await json('outdated', 0, 'outdated')
  await json('lock-result', 0, 'lock')
  await json('lock-result', 0, 'update', '--lock-only')
  server.fail({ path: '/api/pull' }, { kind: 'reset', afterLines: 1 }, 1)
  await lines(0, ['apply', '--yes'])
  await json('plan', 0, 'check')
  await lines(0, ['apply', '--yes', '--preload'])
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
  assertFilesValid(cwd, 'ollama.lock.json', 'more.lock.json')

  server.publish({ name: 's', layers: [layer('model', makeGguf({ name: 's' }))] })
  const store = ['--config', 'store.config.json', `--store=${path.join(cwd, 'store')}`]
  await lines(0, ['apply', '--yes', ...store])
  await json('verification', 0, 'verify', ...store)
  const [blob = ''] = readdirSync(path.join(cwd, 'store', 'blobs'))
  rmSync(path.join(cwd, 'store', 'blobs', blob))
  writeFileSync(path.join(cwd, 'store', 'blobs', `sha256-${'ab'.repeat(32)}`), 'of nobody')
  await json('verification', 1, 'verify', ...store)
  await json('leftovers', 0, 'collect', '--yes', ...store)

  await json('error', 3, 'plan', '--no-such-flag')
  const wrong = await json('error', 3, 'plan', '--config', 'wrong.config.json')
  assert.equal(itemsOf(at(wrong, ['error', 'diagnostics'])).length, 2)
  await json('error', 1, 'check', '--host', '127.0.0.1:9')
  await lines(3, ['apply', '--config', 'store.config.json', `--store=${path.join(cwd, 'new')}`])
  await lines(3, ['apply', '--yes', '--config', 'wrong.config.json'])
  await lines(3, ['rollback', 'b', '--yes'])
  await lines(3, ['update', '--no-such-flag'])
  // It takes a second process: its line is made by itself.
  const written: string[] = []
  new JsonLines((text) => written.push(text), Date.now).event({ type: 'waiting', holder: 'process 1' })
  const [, waiting = ''] = written
  assertValid('events', parse(waiting), 'waiting')
  const known = parse(readFileSync(path.join(docs, 'schemas', 'events.schema.json'), 'utf8'))
  assert.deepEqual([...types, 'waiting'].sort(), [...itemsOf(at(known, ['properties', 'type', 'enum']))].sort())
})

test('what they write of models that are built, and of second names, fits as well', async (t) => {
  const revision = (seed: number) => ({ name: 'base', layers: [weights(seed), layer('license', 'Free')] })
  const messages = [
    { role: 'user', content: 'Which day is it?', images: ['iVBORw0KGgo='] },
    {
      role: 'assistant',
      content: '',
      thinking: 'Ask.',
      tool_calls: [{ function: { name: 'day', arguments: { in: 1 } } }],
    },
    { role: 'tool', content: 'Sunday', tool_name: 'day', tool_call_id: 'call_1' },
  ]
  const parameters = { num_ctx: 4096, num_predict: -1, temperature: 0.7, stop: ['<|end|>'], use_mmap: true }
  const reviewer = { name: 'reviewer', from: 'base', system: 'You review.', parameters }
  const models = [
    reviewer,
    { name: 'own', gguf: 'own.gguf', license: 'Free', renderer: 'qwen3-coder', parser: 'qwen3-coder' },
    { name: 'talker', from: 'base', messages, template: '{{ .Prompt }}', requires: '0.20.0' },
    { name: 'tuned', from: 'base', adapters: 'lora.gguf' },
    { name: 'fast', aliasOf: 'reviewer' },
  ]
  const made = await world(t, [revision(1)], {
    models: [...models, { name: 'late', from: 'gone' }, { name: 'later', aliasOf: 'late' }],
  })
  const { server, remote, cwd } = made
  const own = path.join(cwd, 'own.gguf')
  writeFileSync(own, makeGguf())
  // Older than the times that the formats know.
  utimesSync(own, new Date(-1000), new Date(-1000))
  writeFileSync(path.join(cwd, 'lora.gguf'), makeGguf({ type: 'adapter' }))
  const { json, lines } = checkedCommands(cwd, { OLLAMA_HOST: server.url })
  const seen = new Set<string>()
  /** What the changes of a plan say of how models are made. */
  const look = (plan: Json): void => {
    for (const change of itemsOf(at(plan, ['targets', 0, 'changes']))) {
      const [action, method] = ['action', 'method'].map((key) => at(change, [key]))
      seen.add([action, ...(method === null ? [] : [method])].join(' '))
      for (const key of ['blocked', 'built']) if (at(change, [key]) !== null) seen.add(`${action} ${key}`)
    }
  }
  const apply = async (code: number, ...words: string[]): Promise<void> => {
    for (const line of await lines(code, words)) {
      if (at(line, ['type']) === 'plan') look(at(line, ['plan']))
      for (const result of itemsOf(at(line, ['report', 'targets', 0, 'results'])))
        seen.add(`${at(result, ['action'])}: ${at(result, ['skipReason']) ?? at(result, ['outcome'])}`)
    }
  }

  const declared = await json('declared', 0, 'plan', '--config-only')
  for (const key of ['aliasOf', 'files', 'from', 'neededBy'])
    assert.ok(
      itemsOf(at(declared, ['models'])).some((model) => at(model, [key]) !== null),
      key,
    )
  await json('plan', 0, 'plan', '--out', 'plan.json')
  const saved = parse(readFileSync(path.join(cwd, 'plan.json'), 'utf8'))
  assertValid('plan', saved, 'plan --out')
  assert.deepEqual(readPlan(saved), saved)
  await json('lock-result', 1, 'lock')
  await apply(1, 'apply', '--yes')
  look(await json('plan', 1, 'check'))
  made.config({ models: models.map((model) => (model === reviewer ? { ...reviewer, system: 'You judge.' } : model)) })
  await json('lock-result', 0, 'lock')
  await apply(0, 'apply', '--yes', '--keep-previous')
  remote.publish(revision(2))
  await json('outdated', 0, 'outdated')
  await apply(0, 'update', '--yes', '--keep-previous')
  assertFilesValid(cwd, 'ollama.lock.json')
  // Nothing is recorded any more: it is foreseen, or what the server tells is compared.
  rmSync(path.join(cwd, '.home'), { recursive: true })
  look(await json('plan', 0, 'plan'))
  look(await json('plan', 0, 'plan', '--offline'))
  server.derive('reviewer', 'base', { system: 'Mine.' })
  look(await json('plan', 0, 'plan', '--offline'))
  // The locked version of the base can no longer be had.
  for (const name of ['base', 'reviewer']) server.remove(name)
  remote.publish(revision(3))
  await apply(1, 'apply', '--yes')
  assertFilesValid(cwd, 'ollama.lock.json')
  assert.deepEqual(server.problems, [])
  const wanted = [
    ...['derive', 'derive blocked', 'derive: done', 'derive: failed', 'derive: dependency-failed'],
    ...['rebuild base', 'rebuild compared', 'rebuild predicted', 'rebuild: done'],
    ...['alias', 'alias blocked', 'alias: done', 'alias: dependency-failed'],
    ...['no-op', 'no-op built', 'no-op compared', 'no-op predicted', 'no-op recorded'],
  ]
  assert.deepEqual(
    wanted.filter((shape) => !seen.has(shape)),
    [],
    [...seen].join(', '),
  )
  const locked = parse(readFileSync(path.join(cwd, 'ollama.lock.json'), 'utf8'))
  assert.equal(at(locked, ['models', 'own:latest', 'base']), null)
  assert.equal(at(locked, ['models', 'tuned:latest', 'base', 'reference']), 'base:latest')
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
