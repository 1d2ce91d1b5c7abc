import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatManifest, type Layer, type Manifest } from '../../src/artifact/manifest.ts'
import { isOllamaConfigError } from '../../src/errors.ts'
import { type Lock, type LockedModel, lockFileOf } from '../../src/record/lock.ts'
import {
  changeLock,
  extendLock,
  formatLock,
  lockedPull,
  manifestText,
  parseLock,
  readLock,
  writeLock,
} from '../../src/record/lock-file.ts'
import { writeFileAtomically } from '../../src/runtime/atomic-file.ts'
import { tempFolder } from '../support/run-cli.ts'

const sha256 = (text: string) => `sha256:${createHash('sha256').update(text).digest('hex')}`

function layer(kind: string, seed: string, sizeBytes: number): Layer {
  return { mediaType: `application/vnd.ollama.image.${kind}`, digest: sha256(seed), sizeBytes }
}

const config: Layer = {
  mediaType: 'application/vnd.docker.container.image.v1+json',
  digest: sha256('config'),
  sizeBytes: 484,
}

function entry(seed: string, print: (manifest: Manifest) => string = formatManifest): LockedModel {
  const manifest: Manifest = { config, layers: [layer('model', seed, 4_683_087_332), layer('params', 'p', 64)] }
  const text = print(manifest)
  return lockedPull({ registry: 'registry.ollama.ai', digest: sha256(text), manifest, text })
}

const derived: LockedModel = {
  digest: null,
  declaration: 'ab'.repeat(32),
  base: { reference: 'qwen3:8b', digest: sha256('base') },
}

const pretty = (manifest: Manifest) => `${JSON.stringify(JSON.parse(formatManifest(manifest)), null, 3)}\n`

test('the file is printed so that a layer is a line, sorted, the same each time', () => {
  const lock: Lock = {
    models: {
      'b:latest': entry('b'),
      'a:latest': { digest: sha256('x'), registry: 'r:5000', config: null, layers: null },
      'c:latest': derived,
    },
  }
  const text = formatLock(lock)
  assert.equal(
    text,
    `{
  "formatVersion": "1.0",
  "models": {
    "a:latest": {
      "digest": "${sha256('x')}",
      "registry": "r:5000",
      "config": null,
      "layers": null
    },
    "b:latest": {
      "digest": "${lock.models['b:latest']?.digest}",
      "registry": "registry.ollama.ai",
      "config": { "mediaType": "${config.mediaType}", "digest": "${config.digest}", "size": 484 },
      "layers": [
        { "mediaType": "application/vnd.ollama.image.model", "digest": "${sha256('b')}", "size": 4683087332 },
        { "mediaType": "application/vnd.ollama.image.params", "digest": "${sha256('p')}", "size": 64 }
      ]
    },
    "c:latest": {
      "digest": null,
      "declaration": "${'ab'.repeat(32)}",
      "base": { "reference": "qwen3:8b", "digest": "${sha256('base')}" }
    }
  }
}
`,
  )
  assert.deepEqual(parseLock(text, 'x'), lock)
  assert.equal(formatLock(parseLock(text.replaceAll('\n', '\r\n'), 'x')), text)
  assert.equal(formatLock(parseLock(`\uFEFF${text}`, 'x')), text)
  assert.deepEqual(parseLock(formatLock({ models: {} }), 'x'), { models: {} })
})

test('the manifest can be had again byte for byte, however it was printed', () => {
  for (const print of [formatManifest, pretty]) {
    const pinned = entry('a', print)
    assert.ok('registry' in pinned)
    assert.equal(sha256(manifestText(pinned) ?? ''), pinned.digest)
    assert.equal('manifest' in pinned, print === pretty)
    assert.deepEqual(parseLock(formatLock({ models: { 'a:latest': pinned } }), 'x').models['a:latest'], pinned)
  }
  // Layers that are not what the digest stands for are not taken over.
  const manifest: Manifest = { config, layers: [] }
  assert.equal(lockedPull({ registry: 'r', digest: sha256('other'), manifest }).layers, null)
})

test('a bad lock file is a clear error that names the file, the place and what to do', () => {
  const good = formatLock({ models: { 'a:latest': entry('a'), 'c:latest': derived } })
  const cases: [string, RegExp, RegExp?][] = [
    ['', /broken JSON at line 1, column 1/],
    [good.slice(0, -5), /broken JSON at line/],
    [good.replace('      "registry"', '<<<<<<< HEAD\n"registry"'), /merge conflict/, /either side/],
    [good.replace('      "registry"', '=======\n      "registry"'), /merge conflict/],
    [good.replace('"1.0"', '"2.0"'), /format "2.0"/, /update ollama-config/],
    [good.replace('  "formatVersion": "1.0",\n', ''), /formatVersion is not a text/],
    ['[]', /the file is not an object/],
    [good.replace('"a:latest"', '"A:latest"').replace('"c:latest"', '"a:latest"'), /one model twice/],
    [good.replace('"c:latest": {', '"a:latest": {'), /"a:latest" twice/],
    [good.replace('"a:latest"', '"a"'), /shortest spelling, which is "a:latest"/],
    [good.replace('"a:latest"', '"../../etc"'), /is not a model name/],
    [good.replace('"a:latest"', '"__proto__"'), /shortest spelling|is not a model name/],
    [good.replace(sha256('a'), 'sha256:xyz'), /layers\[0\]\.digest is not a digest/],
    [good.replace('4683087332', '-1'), /layers\[0\]\.size is not a number of bytes/],
    [good.replace('4683087332', '1e300'), /layers\[0\]\.size/],
    [good.replace('4683087332', '4683087333'), /does not fit together/],
    [good.replace(sha256('a'), sha256('b')), /does not fit together/],
    [good.replace(/"layers": \[[^\]]*\]/, '"layers": null'), /config is not null/],
    [good.replace(/"layers": \[[^\]]*\]/, '"layers": {}'), /layers is not a list/],
    [good.replace('"qwen3:8b"', '"not a name"'), /base\.reference is not a model name/],
    [good.replace('ab'.repeat(32), 'zz'), /declaration is not a SHA-256/],
  ]
  for (const [text, message, hint = /./] of cases) {
    assert.notEqual(text, good)
    assert.throws(
      () => parseLock(text, 'ollama.lock.json'),
      (error) =>
        isOllamaConfigError(error) &&
        error.code === 'lock-invalid' &&
        message.test(error.message) &&
        error.message.includes('ollama.lock.json') &&
        hint.test(error.hint ?? ''),
      message.source,
    )
  }
})

test('newer minor versions and unknown fields are read', () => {
  const text = formatLock({ models: { 'a:latest': entry('a') } })
  const newer = text.replace('"1.0"', '"1.7"').replace('"registry"', '"more": [1], "registry"')
  assert.deepEqual(parseLock(newer, 'x'), parseLock(text, 'x'))
})

test('any lock is read as it was written, and nothing but a lock-invalid is thrown for what is none', () => {
  const name = fc.stringMatching(/^[a-z0-9_][a-z0-9._-]{0,8}:[a-z0-9_][a-z0-9._-]{0,8}$/)
  const model = fc.oneof(
    fc.string().map((seed) => entry(seed)),
    fc.string().map((seed) => entry(seed, pretty)),
    fc.constant(derived),
  )
  fc.assert(
    fc.property(
      fc.dictionary(name, model, { maxKeys: 5 }),
      fc.nat(),
      fc.string({ maxLength: 3 }),
      (models, at, change) => {
        const lock = { models: { ...models } }
        const text = formatLock(lock)
        assert.deepEqual(parseLock(text, 'x'), lock)
        const place = at % text.length
        const spoiled = text.slice(0, place) + change + text.slice(place + change.length)
        try {
          parseLock(spoiled, 'x')
        } catch (error) {
          assert.ok(isOllamaConfigError(error) && error.code === 'lock-invalid')
        }
      },
    ),
  )
})

test('entries that two branches add merge without a conflict', (t) => {
  const folder = tempFolder(t)
  const models = Object.fromEntries(['b', 'f', 'k'].map((name) => [`${name}:latest`, entry(name)]))
  const write = (name: string, more: Record<string, LockedModel>) =>
    writeFileSync(path.join(folder, name), formatLock({ models: { ...models, ...more } }))
  write('base', {})
  write('ours', { 'd:latest': entry('d') })
  write('theirs', { 'h:latest': entry('h') })
  execFileSync('git', ['merge-file', 'ours', 'base', 'theirs'], { cwd: folder })
  const merged = parseLock(readFileSync(path.join(folder, 'ours'), 'utf8'), 'ours')
  assert.deepEqual(
    Object.keys(merged.models),
    ['b', 'd', 'f', 'h', 'k'].map((name) => `${name}:latest`),
  )
})

test('reading and writing: none is none, the same is not written, entries are put into what is there', async (t) => {
  const file = path.join(tempFolder(t), 'ollama.lock.json')
  assert.equal(await readLock(file), undefined)
  assert.deepEqual(await extendLock(file, new Map([['a:latest', entry('a')]]), { models: {} }), [])
  assert.equal(await readLock(file), undefined, 'apply never makes one')
  assert.equal(await writeLock(file, { models: { 'A:latest': entry('a'), 'b:latest': entry('b') } }), true)
  writeFileSync(file, readFileSync(file, 'utf8').replaceAll('\n', '\r\n'))
  assert.equal(await writeLock(file, { models: { 'A:latest': entry('a'), 'b:latest': entry('b') } }), false)
  const known = await readLock(file)
  // Those that say the same are not told of.
  const entries = new Map([
    ['b:latest', entry('b')],
    ['a:latest', entry('x')],
  ])
  assert.deepEqual(await extendLock(file, entries, known), ['a:latest'])
  // Somebody else has changed it since: theirs stays.
  assert.deepEqual(await extendLock(file, new Map([['a:latest', entry('y')]]), known), [])
  const lock = await readLock(file)
  assert.deepEqual(lock?.models['a:latest'], entry('x'))
  assert.deepEqual(Object.keys(lock?.models ?? {}), ['a:latest', 'b:latest'])
  mkdirSync(path.join(path.dirname(file), 'folder'))
  await assert.rejects(readLock(path.join(path.dirname(file), 'folder')), { code: 'lock-invalid' })
})

test('the lock file lies beside the config, under its name', () => {
  assert.equal(lockFileOf('/x/ollama.config.ts'), '/x/ollama.lock.json')
  assert.equal(lockFileOf('/x/.config/ollama.config.json'), '/x/.config/ollama.lock.json')
  assert.equal(lockFileOf('/x/gpu.config.mts'), '/x/gpu.lock.json')
  assert.equal(lockFileOf('/x.ts/gpu.mjs'), '/x.ts/gpu.lock.json')
})

test('a file is written whole or not at all, links and modes stay', async (t) => {
  const folder = tempFolder(t, { target: 'old' })
  const target = path.join(folder, 'target')
  chmodSync(target, 0o640)
  symlinkSync('target', path.join(folder, 'link'))
  await writeFileAtomically(path.join(folder, 'link'), 'new')
  assert.equal(readFileSync(target, 'utf8'), 'new')
  assert.ok(lstatSync(path.join(folder, 'link')).isSymbolicLink())
  await writeFileAtomically(path.join(folder, 'private'), 'x', { mode: 0o600 })
  if (process.platform !== 'win32') {
    assert.equal(statSync(target).mode & 0o777, 0o640)
    assert.equal(statSync(path.join(folder, 'private')).mode & 0o777, 0o600)
  }
  mkdirSync(path.join(folder, 'dir'))
  for (const file of ['dir', 'target/x', 'missing/x', `${'n'.repeat(300)}`]) {
    await assert.rejects(writeFileAtomically(path.join(folder, file), 'x'), { code: 'file-not-written' }, file)
  }
  assert.deepEqual(readdirSync(folder).sort(), ['dir', 'link', 'private', 'target'])
})

test('many writers at once lose no entry; a mutex that a crash left is in nobody’s way for long', async (t) => {
  const folder = tempFolder(t)
  const file = path.join(folder, 'ollama.lock.json')
  await writeLock(file, { models: {} })
  const names = Array.from({ length: 20 }, (_, index) => `m${index}:latest`)
  await Promise.all(
    names.map((name) => changeLock(file, (now) => ({ models: { ...now?.models, [name]: entry(name) } }))),
  )
  assert.deepEqual(Object.keys((await readLock(file))?.models ?? {}).sort(), [...names].sort())
  const mutex = path.join(folder, '.ollama.lock.json.mutex')
  writeFileSync(mutex, '')
  utimesSync(mutex, 1, 1)
  assert.equal((await changeLock(file, () => ({ models: {} }))).changed, true)
  assert.deepEqual(readdirSync(folder), ['ollama.lock.json'])
})
