/** JSON from anywhere: manifests, configs of models, lock files, plans, records, journals, and the configs of users. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, test } from 'node:test'
import fc from 'fast-check'
import { isPredictable, predictDerived } from '../../src/artifact/derived.ts'
import { goJson, goMapJson } from '../../src/artifact/go-json.ts'
import { fitsJson, jsonText, readJsonText } from '../../src/artifact/json-text.ts'
import { blobsOf, formatManifest, isDigest, layerWord, parseManifest, totalBytes } from '../../src/artifact/manifest.ts'
import { readContent } from '../../src/artifact/model-content.ts'
import { readStoredManifest } from '../../src/artifact/stored-manifest.ts'
import { planDocument } from '../../src/cli/views/json.ts'
import { formatPlan } from '../../src/cli/views/plan.ts'
import { createStyle } from '../../src/cli/views/style.ts'
import { loadConfigFile } from '../../src/config/load.ts'
import { resolveConfig } from '../../src/config/resolve.ts'
import { isConfigError } from '../../src/errors.ts'
import { parseJson } from '../../src/json.ts'
import { formatPlanFile, readPlan } from '../../src/plan/codec.ts'
import { findKeyTwice } from '../../src/record/keys.ts'
import { formatLock, parseLock } from '../../src/record/lock-file.ts'
import { openRecord, parseRecord } from '../../src/record/record-file.ts'
import { hashOfBuild } from '../../src/resolution/declaration-hash.ts'
import { parseHolder, wordsFor } from '../../src/runtime/holder.ts'
import { parseJournal } from '../../src/transfer/journal.ts'
import { journalOf, Partial } from '../../src/transfer/partial.ts'
import {
  anyText,
  assertPrintableJson,
  assertPrintableText,
  assertVisible,
  damagedBytes,
  damagedJson,
  holds,
  hostileJson,
  isLong,
  many,
  outcomeOf,
  outcomeOfAsync,
  readsLargeTexts,
} from './hostile-input.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'ollama-config-hostile-'))
after(() => rmSync(folder, { recursive: true, force: true }))

const fixture = (name: string) => readFileSync(new URL(`../fixtures/formats/1.0/${name}`, import.meta.url), 'utf8')
const hash = (text: string) => createHash('sha256').update(text).digest('hex')
const digest = `sha256:${'ab'.repeat(32)}`
const image = 'application/vnd.ollama.image.'
const manifest = {
  schemaVersion: 2,
  mediaType: 'application/vnd.docker.distribution.manifest.v2+json',
  config: { mediaType: 'application/vnd.docker.container.image.v1+json', digest, size: 484 },
  layers: [
    { mediaType: `${image}model`, digest: digest.replace('ab', 'cd'), size: 4096, from: 'x' },
    { mediaType: `${image}params`, digest, size: 64 },
  ],
}

holds('JSON is read as JSON.parse reads it, or refused with the place; deep JSON is refused', hostileJson, (text) => {
  const read = parseJson(text)
  if ('value' in read) assert.deepEqual(JSON.stringify(read.value), JSON.stringify(JSON.parse(text)))
  else {
    assert.ok(read.offset >= 0 && read.offset <= text.length)
    assertVisible(read.expected)
  }
  const value = readJsonText(text)
  if (value !== undefined) assert.ok(fitsJson(value) || value === null)
  if ('value' in read) findKeyTwice(text)
})

holds('what is printed as JSON says the same and is fit for a terminal', hostileJson, (text) => {
  const value: unknown = readJsonText(text)
  if (value === undefined) return
  for (const indent of [undefined, 2]) {
    assertPrintableJson(jsonText(value, indent))
    assert.deepEqual(JSON.parse(jsonText(value, indent)), JSON.parse(JSON.stringify(value)))
  }
  // What Go would print is for hashes, and reads back.
  JSON.parse(goJson(value))
  JSON.parse(goMapJson(value))
})

holds(
  'a manifest is refused with an error of ours, or counts bytes that there can be',
  damagedJson(manifest),
  (text) => {
    const read = outcomeOf(() => parseManifest(text))
    if ('error' in read) return
    for (const layer of blobsOf(read.value)) {
      assert.ok(isDigest(layer.digest))
      assert.ok(Number.isSafeInteger(layer.sizeBytes) && layer.sizeBytes >= 0)
      assertVisible(layer.mediaType)
      assertVisible(layerWord(layer))
    }
    assert.ok(totalBytes(blobsOf(read.value)) >= 0)
    assert.deepEqual(parseManifest(formatManifest(read.value)), read.value)
  },
)

const storedText = JSON.stringify(manifest)

holds(
  'a stored manifest is refused with an error of ours, or hashed over bytes that are there',
  fc.oneof(
    damagedBytes(Buffer.from(storedText)),
    damagedJson(manifest).map((text): Uint8Array => Buffer.from(text)),
  ),
  (bytes) => {
    const read = outcomeOf(() => readStoredManifest(bytes))
    if ('error' in read) return
    assert.ok(read.value.hashedBytes <= bytes.byteLength)
    for (const layer of blobsOf(read.value.manifest)) assert.ok(isDigest(layer.digest))
  },
)

const configBlob = { model_format: 'gguf', model_family: 'llama', renderer: 'r', capabilities: ['tools'] }
const params = { num_ctx: 4096, stop: ['a', 'b'], temperature: 0.7 }
const info = { 'general.architecture': 'llama', 'general.parameter_count': 8_030_261_248, 'general.file_type': 15 }

holds(
  'what a build would take over of a base is worked out, or cannot be told',
  fc.tuple(damagedJson(configBlob), damagedJson(params), damagedJson(info)),
  ([config, parameters, told]) => {
    let facts: unknown
    try {
      facts = JSON.parse(told)
    } catch {
      return
    }
    if (typeof facts !== 'object' || facts === null || Array.isArray(facts)) return
    const { layers } = parseManifest(storedText)
    const content = readContent({ layers, config, params: [parameters], info: { ...facts } })
    if (content === undefined || !isPredictable(content)) return
    const build = {
      system: 'x',
      template: null,
      parameters: {},
      messages: [],
      licenses: [],
      renderer: null,
      parser: null,
      requires: null,
      adapters: [],
    }
    const derived = predictDerived(content, 'base:latest', build, hash)
    JSON.parse(derived.manifestText)
    for (const text of derived.texts.values()) assert.ok(text === 'x' || JSON.parse(text) !== undefined)
  },
)

const lock: object = JSON.parse(fixture('lock.json'))
const plan: object = JSON.parse(fixture('plan.json'))
const record: object = JSON.parse(fixture('record.json'))

holds('a lock file is refused with an error of ours, or written again as it is', damagedJson(lock), (text) => {
  const read = outcomeOf(() => parseLock(text, 'ollama.lock.json'))
  if ('error' in read) return
  const written = formatLock(read.value)
  assertPrintableJson(written)
  assert.deepEqual(parseLock(written, 'ollama.lock.json'), read.value)
})

holds('a plan is refused with an error of ours, or is fit to be shown and saved', damagedJson(plan), (text) => {
  const parsed = parseJson(text)
  if (!('value' in parsed)) return
  const read = outcomeOf(() => readPlan(parsed.value))
  if ('error' in read) return
  const options = { style: createStyle(false), file: 'ollama.config.ts', all: true }
  assertPrintableText(formatPlan(read.value, options))
  assertPrintableText(formatPlan(read.value, { ...options, columns: 40 }))
  assertPrintableJson(planDocument(read.value))
  assertPrintableJson(formatPlanFile(read.value))
  assert.deepEqual(readPlan(JSON.parse(formatPlanFile(read.value))), JSON.parse(JSON.stringify(read.value)))
})

holds('a record is refused with an error of ours, or kept as it is', damagedJson(record), async (text) => {
  const read = outcomeOf(() => parseRecord(text, '/state/record/h/1.json'))
  if ('error' in read) return
  const place = { folder: mkdtempSync(path.join(folder, 'state-')), host: read.value.host }
  const kept = await openRecord(place).update(() => read.value)
  assert.deepEqual(await openRecord(place).read(), kept)
})

holds(
  'whatever lies in the folder of a record, it is read or refused with an error of ours',
  fc.tuple(
    fc.array(fc.tuple(anyText('1.json', '999999999999999.json'), damagedJson(record)), { maxLength: 3 }),
    anyText('http://127.0.0.1:11434'),
  ),
  async ([files, host]) => {
    const state = mkdtempSync(path.join(folder, 'state-'))
    const opened = openRecord({ folder: state, host })
    const first = await outcomeOfAsync(() =>
      opened.update((before) => ({ ...before, configs: { '/a': { declared: [], models: {}, copies: {} } } })),
    )
    assert.ok('value' in first)
    const [own = ''] = readdirSync(path.join(state, 'record'))
    assert.match(own, /^[a-z0-9.-]+$/i)
    for (const [name, text] of files) {
      const file = path.join(state, 'record', own, path.basename(name).replaceAll('\0', '') || 'x')
      try {
        writeFileSync(file, text)
        // Not one that somebody may still be writing.
        utimesSync(file, 1, 1)
      } catch {
        // No name of a file.
      }
    }
    await outcomeOfAsync(() => opened.read())
  },
  0.25,
)

const journal = `ollama-config parts 1 4096\n0 1024 0\n1024 2048 deadbeef\n2048 4096 1\n`

holds(
  'a journal names ranges of its file only',
  anyText(journal),
  async (text) => {
    for (const { from, to } of parseJournal(text, 4096) ?? []) assert.ok(from >= 0 && from < to && to <= 4096)
  },
  4,
)

holds('an unfinished download is gone on with, whatever its journal says', anyText(journal), async (text) => {
  const file = path.join(mkdtempSync(path.join(folder, 'blob-')), 'blob')
  writeFileSync(file, Buffer.alloc(4096))
  writeFileSync(journalOf(file), text)
  const partial = await Partial.open(file, 4096)
  for (const { from, to } of partial.ranges) assert.ok(from >= 0 && from < to && to <= 4096)
  await partial.close()
})

test('a journal of very many true entries is believed at once', async () => {
  const file = path.join(mkdtempSync(path.join(folder, 'blob-')), 'blob')
  const size = isLong ? 200_000 : 20_000
  writeFileSync(file, Buffer.alloc(size))
  // The checksum of one byte of zeros, of every other byte; and all of it again and again, with a wrong one.
  const { crc32 } = process.getBuiltinModule('node:zlib')
  const crc = crc32(Buffer.alloc(1)).toString(16)
  const lines = Array.from({ length: size / 2 }, (_, index) => `${2 * index} ${2 * index + 1} ${crc}`)
  const whole = Array.from({ length: size / 10 }, () => `0 ${size} 1`)
  writeFileSync(journalOf(file), `ollama-config parts 1 ${size}\n${[...lines, ...whole].join('\n')}\n`)
  const partial = await Partial.open(file, size)
  assert.ok(partial.ranges.length <= size / 2)
  await partial.close()
})

const holder = {
  token: 't',
  pid: 1,
  host: 'h',
  space: 's',
  started: '1',
  command: 'apply',
  since: '2026-01-01T00:00:00Z',
}

holds('who holds a store is told in visible words', damagedJson(holder), (text) => {
  assertVisible(wordsFor(parseHolder(text)))
})

const userConfig = {
  models: [
    'all-minilm',
    { name: 'reviewer', from: 'qwen3:8b', system: 'x', parameters: { num_ctx: 1, stop: ['a'] } },
    {
      name: 'b',
      from: 'x',
      messages: [{ role: 'user', content: 'y', tool_calls: [{ function: { name: 'f', arguments: { a: 1 } } }] }],
    },
    { name: 'fast', aliasOf: 'all-minilm' },
  ],
  host: 'http://127.0.0.1:11434',
  headers: { authorization: { env: 'TOKEN' } },
  prune: 'undeclared',
  keep: ['llava*'],
  defaults: { parameters: { temperature: 0.2 } },
}

holds(
  'a config in JSON is refused with all its problems, or means models with valid names',
  damagedJson(userConfig),
  async (text) => {
    const file = path.join(folder, 'ollama.config.json')
    writeFileSync(file, text)
    const loaded = await outcomeOfAsync(() => loadConfigFile(file))
    if ('error' in loaded) return
    const resolved = outcomeOf(() => resolveConfig(loaded.value, { folder }))
    if ('error' in resolved) {
      assert.ok(isConfigError(resolved.error))
      for (const { message, path: place = '', hint = '' } of resolved.error.diagnostics)
        for (const said of [message, place, hint]) assertVisible(said)
      return
    }
    for (const { reference, recipe } of resolved.value.desired.models) {
      assert.match(reference.model, /^[\w.-]+$/)
      if (recipe?.kind === 'build') hashOfBuild(recipe, [], [])
    }
  },
)

test('a config that goes round in circles, or deeper than there is stack for, is told of at its place', () => {
  const circle: Record<string, unknown> = {}
  circle['again'] = circle
  let deep: Record<string, unknown> = {}
  for (let level = 0; level < 50_000; level++) deep = { deep }
  for (const value of [circle, deep, { big: 1n }, { toJSON: () => undefined }]) {
    const message = { role: 'user', content: 'x', tool_calls: [{ function: { name: 'f', arguments: value } }] }
    const config = { models: [{ name: 'a', from: 'b', messages: [message] }] }
    assert.throws(
      () => resolveConfig(config),
      (error) => {
        assert.ok(isConfigError(error))
        assert.match(error.diagnostics[0]?.message ?? '', /arguments must be an object that JSON can hold/)
        return true
      },
    )
  }
})

const wrapped = (text: string) =>
  JSON.stringify({ ...manifest, mediaType: text, layers: [{ mediaType: text, digest: text, size: 1 }] })

readsLargeTexts(
  {
    JSON: parseJson,
    'deep JSON': readJsonText,
    'a manifest': parseManifest,
    'a text in a manifest': (text) => parseManifest(wrapped(text)),
    'a stored manifest': (text) => readStoredManifest(Buffer.from(text)),
    'a lock file': (text) => parseLock(text, 'x'),
    'a text in a lock file': (text) =>
      parseLock(JSON.stringify({ formatVersion: '1.0', models: { [text]: text } }), 'x'),
    'a record': (text) => parseRecord(text, '/x/1.json'),
    'a text in a record': (text) =>
      parseRecord(JSON.stringify({ formatVersion: '1.0', host: text, configs: { [text]: 1 } }), '/x/1.json'),
    'a plan': (text) => readPlan(JSON.parse(JSON.stringify({ formatVersion: text, prune: text }))),
    'a journal': (text) => parseJournal(`ollama-config parts 1 4096\n${text}`, 4096),
    'a holder': (text) => wordsFor(parseHolder(JSON.stringify({ command: text, host: text }))),
    'a config': (text) =>
      resolveConfig({ models: [text, { name: text, from: text, [text]: 1 }], host: text, keep: [text] }),
    'JSON to print': (text) => jsonText([text, { [text]: text }]),
    'JSON of Go': (text) => goMapJson({ [text]: text, [`${text}x`]: 1 }),
  },
  '[',
  '{"a":',
  '\\',
  '0 1 0\n',
  '"a" ',
)

test('a manifest of very many layers, and a file of very many models', () => {
  const layers = Array.from({ length: many }, (_, index) => ({
    mediaType: `${image}tensor`,
    digest: `sha256:${index.toString(16).padStart(64, '0')}`,
    size: 1,
  }))
  const read = parseManifest(JSON.stringify({ ...manifest, layers }))
  assert.equal(blobsOf(read).length, many + 1)
  const entry = { digest, registry: 'r', config: null, layers: null }
  const models = Object.fromEntries(layers.map((_, index) => [`m${index}:latest`, entry]))
  const text = JSON.stringify({ formatVersion: '1.0', models })
  const locked = parseLock(text, 'x')
  assert.equal(Object.keys(locked.models).length, many)
  assert.deepEqual(parseLock(formatLock(locked), 'x'), locked)
})
