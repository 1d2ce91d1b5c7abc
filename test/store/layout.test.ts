/** Where things lie, and that nothing leads out of there. */
import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseReference, type Reference } from '../../src/artifact/reference.ts'
import { isOllamaConfigError } from '../../src/errors.ts'
import {
  assertKnownLayout,
  assertStorable,
  blobFile,
  defaultFolder,
  layoutOf,
  manifestFile,
} from '../../src/store/layout.ts'
import { tempFolder } from '../support/run-cli.ts'

const layout = layoutOf(path.resolve('store'))
const hex = '0123456789abcdef'.repeat(4)

test('blobs and manifests have the places that a server gives them', () => {
  assert.equal(blobFile(layout, `sha256:${hex}`), path.join(layout.folder, 'blobs', `sha256-${hex}`))
  const places: readonly (readonly [string, string])[] = [
    ['small', 'registry.ollama.ai/library/small/latest'],
    ['team-a/notes:q8_0', 'registry.ollama.ai/team-a/notes/q8_0'],
    ['127.0.0.1:5060/library/chatty:8b', '127.0.0.1:5060/library/chatty/8b'],
    ['Hf.co/A/B:C', 'Hf.co/A/B/C'],
  ]
  for (const [name, place] of places)
    assert.equal(manifestFile(layout, parseReference(name)), path.join(layout.folder, 'manifests', ...place.split('/')))
})

test('no digest leads out of the store', () => {
  const bad = ['', 'sha256:', hex, `sha256-${hex}`, `sha256:${hex}0`, `sha256:${hex.toUpperCase()}`, `md5:${hex}`]
  const paths = [
    `sha256:../../${hex.slice(6)}`,
    `sha256:${hex}/../x`,
    `../sha256:${hex}`,
    `sha256:${hex}\n`,
    '../../etc',
  ]
  for (const digest of [...bad, ...paths])
    assert.throws(() => blobFile(layout, digest), { code: 'invalid-response' }, JSON.stringify(digest))
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.string().map((text) => `sha256:${text}`),
      ),
      (digest) => {
        assert.throws(() => blobFile(layout, digest), isOllamaConfigError)
      },
    ),
  )
})

test('no reference leads out of the store, whoever made it', () => {
  const good: Reference = parseReference('127.0.0.1:5060/team/model:tag')
  const parts = [
    '',
    '.',
    '..',
    '../..',
    'a/b',
    'a\\b',
    '/etc',
    'C:\\x',
    'a/../../b',
    '.hidden',
    'a\0b',
    'a b',
    '-a',
    'a:b',
  ]
  for (const part of parts) {
    for (const key of ['namespace', 'model', 'tag', 'host'] as const) {
      // Only a host has a port.
      if (key === 'host' && part === 'a:b') continue
      const reference = { ...good, [key]: part }
      assert.throws(() => manifestFile(layout, reference), { code: 'invalid-reference' }, `${key} ${part}`)
    }
  }
  const any = fc.oneof(fc.string(), fc.constantFrom(...parts, 'good'))
  fc.assert(
    fc.property(any, any, any, any, (host, namespace, model, tag) => {
      try {
        const file = manifestFile(layout, { host, namespace, model, tag, cloud: false })
        assert.deepEqual(path.relative(layout.manifests, file).split(path.sep), [host, namespace, model, tag])
      } catch (error) {
        assert.ok(isOllamaConfigError(error), String(error))
      }
    }),
  )
})

test('names that Windows cannot store are refused there, and only there', () => {
  const bad = [
    'registry:5000/team/model',
    'con',
    'a/NUL',
    'x:com1',
    'aux.txt',
    'host.com/prn/x',
    'x:lpt9.q4',
    'a.',
    'x:v1.',
  ]
  for (const name of bad) {
    const reference = parseReference(name)
    assert.throws(() => assertStorable(reference, 'win32'), { code: 'invalid-reference', message: /on Windows/ }, name)
    for (const platform of ['linux', 'darwin']) assertStorable(reference, platform)
  }
  for (const name of ['small', 'hf.co/a/b:c', 'console', 'com10', 'nul-1', 'x:v1.5', 'auxiliary.txt'])
    assertStorable(parseReference(name), 'win32')
})

test('the folder is the one that a server of this user takes', () => {
  const folder = (value: string | undefined) => defaultFolder({ OLLAMA_MODELS: value }, 'linux', '/home/me')
  for (const unset of [undefined, '', '  ', '""', " '' "]) assert.equal(folder(unset), '/home/me/.ollama/models')
  for (const [value, wanted] of [
    ['/srv/models', '/srv/models'],
    ['  "/srv/my models"\t', '/srv/my models'],
    [`'/srv/it"s'`, '/srv/it"s'],
  ] as const) {
    assert.equal(folder(value), wanted)
  }
  assert.equal(defaultFolder({}, 'win32', 'C:\\Users\\me'), 'C:\\Users\\me\\.ollama\\models')
})

test('a layout that is not known is left alone', (t) => {
  const store = layoutOf(tempFolder(t))
  assertKnownLayout(store)
  mkdirSync(store.manifests)
  assertKnownLayout(store)
  mkdirSync(path.join(store.folder, 'manifests-v2'))
  assert.throws(() => assertKnownLayout(store), { code: 'store-unsupported', message: /"manifests-v2"/ })
})
