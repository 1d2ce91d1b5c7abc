import assert from 'node:assert/strict'
import { readdirSync, statSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { emptyConfigRecord } from '../../src/record/record.ts'
import { openRecord, parseRecord } from '../../src/record/record-file.ts'
import { tempFolder } from '../support/run-cli.ts'

const host = 'http://127.0.0.1:11434'
const digest = `sha256:${'ab'.repeat(32)}`

test('a record is read as it was written, for its host only; nothing changed is nothing written', async (t) => {
  const folder = path.join(tempFolder(t), 'state')
  const record = openRecord({ folder, host })
  assert.equal(await record.read(), undefined)
  const blobs = [{ mediaType: 'm', digest, sizeBytes: 7 }]
  const model = { digest, broughtIn: true, at: '2026-01-01T00:00:00.000Z', blobs }
  const copies = { 'a:p': { ...model, of: 'a:latest', blobs: null } }
  const config = { declared: ['a:latest'], models: { 'a:latest': model }, copies }
  const configs = Object.fromEntries([
    ['/x/ollama.config.ts', config],
    ['__proto__', emptyConfigRecord],
  ])
  await record.update((before) => ({ ...before, configs }))
  const read = await openRecord({ folder, host }).read()
  assert.deepEqual(read, { host, configs })
  assert.deepEqual(Object.keys(read?.configs ?? {}), ['/x/ollama.config.ts', '__proto__'])
  const [only = ''] = readdirSync(path.join(folder, 'record'))
  const inside = path.join(folder, 'record', only)
  await record.update((same) => ({ ...same }))
  assert.deepEqual(readdirSync(inside), ['1.json'])
  if (process.platform !== 'win32') {
    assert.equal(statSync(path.join(inside, '1.json')).mode & 0o777, 0o600)
    assert.equal(statSync(inside).mode & 0o777, 0o700)
  }
  assert.equal(await openRecord({ folder, host: 'http://other:1' }).read(), undefined)
})

test('what is no record is refused with the place', () => {
  const model = { digest, broughtIn: true, at: '2026-01-01T00:00:00Z', blobs: [] }
  const good = JSON.stringify({
    formatVersion: '1.0',
    host: 'h',
    configs: { '/x': { declared: ['a:latest'], models: { 'a:latest': model }, copies: {} } },
  })
  assert.ok(parseRecord(good, '/r/1.json'))
  const cases: [string, string, RegExp][] = [
    ['"1.0"', '1', /formatVersion is not a text/],
    ['"1.0"', '"2.0"', /newer ollama-config/],
    [digest, 'sha256:1', /models\["a:latest"\]\.digest is not a digest/],
    ['"broughtIn":true', '"broughtIn":1', /broughtIn is not true or false/],
    ['2026-01-01T00:00:00Z', 'yesterday', /at is not a time/],
    ['"blobs":[]', '"blobs":[{}]', /blobs\[0\]/],
    ['["a:latest"]', '["a b"]', /declared\[0\] is not a model name/],
    ['{"a:latest"', '{"../x"', /not a model name/],
    ['"configs"', '"config"', /configs is not an object/],
  ]
  for (const [from, to, message] of cases) {
    assert.ok(good.includes(from))
    const text = good.replace(from, to)
    assert.throws(() => parseRecord(text, '/r/1.json'), { code: 'record-invalid', message }, message.source)
  }
})
