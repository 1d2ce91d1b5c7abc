/** Lock files that a merge, an editor, a file system or somebody with bad intentions has been at. */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { formatManifest, type Layer, type Manifest, parseManifest } from '../../src/artifact/manifest.ts'
import { isOllamaConfigError } from '../../src/errors.ts'
import type { LockedModel } from '../../src/record/lock.ts'
import { formatLock, lockedPull, manifestText, parseLock, readLock, writeLock } from '../../src/record/lock-file.ts'
import { tempFolder } from '../support/run-cli.ts'

const sha256 = (text: string) => `sha256:${createHash('sha256').update(text).digest('hex')}`

function layer(kind: string, seed: string, sizeBytes: number): Layer {
  return { mediaType: `application/vnd.ollama.image.${kind}`, digest: sha256(seed), sizeBytes }
}

function manifestOf(seed: string): Manifest {
  return {
    config: layer('config', `${seed} config`, 480),
    layers: [layer('model', seed, 1000), layer('params', seed, 9)],
  }
}

function entry(seed: string, text = formatManifest(manifestOf(seed))): LockedModel {
  return lockedPull({ registry: 'registry.ollama.ai', digest: sha256(text), manifest: parseManifest(text), text })
}

const refused = (message: RegExp) => (error: unknown) =>
  isOllamaConfigError(error) && error.code === 'lock-invalid' && message.test(error.message)

test('two branches that update one model: the conflict is told as one, in any of its forms', (t) => {
  for (const style of ['--no-diff3', '--diff3']) {
    const folder = tempFolder(t, {
      base: formatLock({ models: { 'a:latest': entry('old') } }),
      ours: formatLock({ models: { 'a:latest': entry('ours') } }),
      theirs: formatLock({ models: { 'a:latest': entry('theirs') } }),
    })
    const words = ['merge-file', ...(style === '--diff3' ? [style] : []), 'ours', 'base', 'theirs']
    assert.ok((spawnSync('git', words, { cwd: folder }).status ?? 0) > 0)
    const merged = readFileSync(path.join(folder, 'ours'), 'utf8')
    assert.throws(() => parseLock(merged, 'x'), refused(/merge conflict/))
    assert.throws(() => parseLock(merged.replaceAll('\n', '\r\n'), 'x'), refused(/merge conflict/))
  }
})

test('a merge that takes the lines of both sides is refused, whichever lines come together', (t) => {
  const folder = tempFolder(t, {
    base: formatLock({ models: { 'a:latest': entry('old') } }),
    ours: formatLock({ models: { 'a:latest': entry('ours') } }),
    theirs: formatLock({ models: { 'a:latest': entry('theirs') } }),
  })
  execFileSync('git', ['merge-file', '--union', 'ours', 'base', 'theirs'], { cwd: folder })
  assert.throws(() => parseLock(readFileSync(path.join(folder, 'ours'), 'utf8'), 'x'), refused(/./))
  const [a, b] = ['a', 'b'].map((seed) => formatLock({ models: { 'm:latest': entry(seed) } }))
  const both = `${a?.replace(/\n {2}\}\n\}\n$/, ',')}${b?.replace(/^[\s\S]*"models": \{/, '')}`
  assert.throws(() => parseLock(both, 'x'), refused(/models has "m:latest" twice/))
  const twoLists = a?.replace('"models"', '"models": {},\n  "models"') ?? ''
  // What stands in the file acts on no terminal.
  const odd = '{"formatVersion":"1.0","models":{},"\\u001b[2J":{"a":1,"a":2}}'
  assert.throws(() => parseLock(odd, 'x'), refused(/not valid: +has "a" twice/))
  assert.throws(() => parseLock(twoLists, 'x'), refused(/the file has "models" twice/))
})

test('a newer minor version may have another list by model name', () => {
  const lock = { models: { 'a:latest': entry('a') } }
  const newer = formatLock(lock).replace('"1.0",', '"1.1",\n  "notes": { "a:latest": { "by": "x" } },')
  assert.deepEqual(parseLock(newer, 'x'), lock)
})

test('layers beside a manifest that was stored as text have to be those of the text', () => {
  const text = JSON.stringify(JSON.parse(formatManifest(manifestOf('a'))), null, 2)
  const good = formatLock({ models: { 'a:latest': entry('a', text) } })
  parseLock(good, 'x')
  assert.throws(
    () => parseLock(good.replace('"size": 1000 }', '"size": 1001 }'), 'x'),
    refused(/does not fit together/),
  )
  const other = 'no manifest'
  const bad = good.replace(JSON.stringify(text), JSON.stringify(other)).replace(sha256(text), sha256(other))
  assert.throws(() => parseLock(bad, 'x'), refused(/"a:latest".*does not fit together/))
})

test('whatever a registry serves as a manifest can be stored and read', () => {
  const served = JSON.parse(formatManifest(manifestOf('a')))
  const cases = [
    { ...served, note: '\u2028<<<<<<< HEAD\u2029=======\u0085>>>>>>>' },
    { ...served, note: '\n<<<<<<<\r=======' },
    { ...served, config: { ...served.config, digest: served.config.digest.replace(':', '-') } },
    { ...served, config: { digest: '', mediaType: '', size: 0 } },
    { ...served, config: undefined },
    { ...served, layers: null },
    { ...served, layers: [{ ...served.layers[0], mediaType: 'a\u001b[31mb\nc', from: '/x' }] },
    { ...served, '"models": {': '"a:latest": {' },
  ]
  for (const value of cases) {
    const text = `\n${JSON.stringify(value)}`
    const locked = entry('a', text)
    assert.ok('layers' in locked)
    assert.equal(manifestText(locked), text)
    const printed = formatLock({ models: { 'a:latest': locked, 'b:latest': entry('b') } })
    assert.deepEqual(parseLock(printed, 'x').models['a:latest'], locked)
    assert.equal(formatLock(parseLock(printed, 'x')), printed)
  }
})

test('names such as __proto__ and constructor neither crash nor leave anything behind', () => {
  const good = formatLock({ models: { 'a:latest': entry('a') } })
  for (const name of ['__proto__', 'constructor', 'toString', '__proto__:latest', 'constructor:latest']) {
    const text = good.replace('"a:latest"', JSON.stringify(name))
    if (name.includes(':')) assert.deepEqual(Object.keys(parseLock(text, 'x').models), [name])
    else assert.throws(() => parseLock(text, 'x'), refused(/shortest spelling|model name/))
  }
  assert.throws(() => parseLock('{"__proto__":{"formatVersion":"1.0","models":{}}}', 'x'), refused(/formatVersion/))
  assert.equal('models' in {}, false)
})

test('a lock file that is there but cannot be looked at is never taken for none', async (t) => {
  const folder = tempFolder(t, { file: '' })
  assert.equal(await readLock(path.join(folder, 'missing.lock.json')), undefined)
  assert.equal(await readLock(path.join(folder, 'file', 'x.lock.json')), undefined)
  symlinkSync('loop.lock.json', path.join(folder, 'loop.lock.json'))
  await assert.rejects(readLock(path.join(folder, 'loop.lock.json')), refused(/loop\.lock\.json cannot be read/))
  // Of which Windows says that it is not there.
  if (process.platform !== 'win32')
    await assert.rejects(readLock(path.join(folder, `${'n'.repeat(300)}.lock.json`)), refused(/cannot be read/))
})

test('a lock file that no lock file is that large is refused before it is read', async (t) => {
  const file = path.join(tempFolder(t), 'x.lock.json')
  writeFileSync(file, '')
  const { truncateSync } = process.getBuiltinModule('node:fs')
  truncateSync(file, 64 * 1024 * 1024 + 1)
  await assert.rejects(readLock(file), refused(/larger than/))
})

test('a pipe in the place of the lock file is refused instead of waited for', async (t) => {
  if (process.platform === 'win32') return t.skip('Windows has no pipes in folders')
  const file = path.join(tempFolder(t), 'x.lock.json')
  execFileSync('mkfifo', [file])
  await assert.rejects(readLock(file), refused(/is no file/))
  await assert.rejects(writeLock(file, { models: {} }), { code: 'file-not-written' })
})
