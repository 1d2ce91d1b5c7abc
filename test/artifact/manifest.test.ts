import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  blobsOf,
  formatManifest,
  isDigest,
  isSameContent,
  layerWord,
  type Manifest,
  parseManifest,
} from '../../src/artifact/manifest.ts'
import { isOllamaConfigError } from '../../src/errors.ts'

interface Recorded {
  models: { repository: string; manifest: { text: string; sha256: string } }[]
}

const { models } = JSON.parse(
  readFileSync(new URL('../fixtures/transcripts/registry-content.json', import.meta.url), 'utf8'),
) as Recorded

const digest = (fill: string) => `sha256:${fill.repeat(64).slice(0, 64)}`
const layer = (kind: string, fill: string, sizeBytes = 1) => ({
  mediaType: `application/vnd.ollama.image.${kind}`,
  digest: digest(fill),
  sizeBytes,
})

test('manifests of real registries are read, and compact ones are printed to the same bytes', () => {
  let exact = 0
  for (const { manifest } of models) {
    const read = parseManifest(manifest.text)
    assert.ok(read.config !== null || read.layers.length > 0)
    const printed = formatManifest(read)
    if (printed === manifest.text) exact++
    else assert.ok(/^\s*\{\s/.test(manifest.text), `${manifest.text.slice(0, 80)} is not what is printed`)
    if (printed === manifest.text) assert.equal(createHash('sha256').update(printed).digest('hex'), manifest.sha256)
  }
  assert.ok(exact > 5, `${exact} exact`)
})

test('what is no manifest is refused, with what is wrong', () => {
  const good = { mediaType: 'm', digest: digest('a'), size: 1 }
  const cases: [unknown, RegExp][] = [
    ['<html>', /no JSON/],
    [[], /no JSON object/],
    [{}, /names no layers/],
    [{ manifests: [] }, /names no layers/],
    [{ layers: {} }, /layers are no list/],
    [{ layers: [null] }, /layers\[0\] is no object/],
    [{ layers: [{ ...good, digest: 'sha256:../../etc/passwd' }] }, /layers\[0\] has no SHA-256 digest/],
    [{ layers: [{ ...good, size: -1 }] }, /layers\[0\] has no size/],
    [{ layers: [{ ...good, size: 2 ** 60 }] }, /layers\[0\] has no size/],
    [{ layers: [{ ...good, size: '1' }] }, /layers\[0\] has no size/],
    [{ layers: [{ digest: digest('a'), size: 1 }] }, /no media type/],
    [{ config: 'x', layers: [] }, /config is no object/],
    // Go takes them in any case: a server would read these.
    [{ layers: [], Layers: [good] }, /"Layers" is spelled otherwise/],
    [{ layers: [], layer\u017f: [good] }, /"layer\u017f" is spelled otherwise/],
    [{ layers: [{ ...good, Digest: digest('b') }] }, /"Digest" is spelled otherwise/],
    [{ layers: [], config: { mediaType: 'c', DIGEST: digest('b'), size: 1 } }, /"DIGEST" is spelled otherwise/],
  ]
  for (const [value, message] of cases) {
    const text = typeof value === 'string' ? value : JSON.stringify(value)
    assert.throws(() => parseManifest(text), { code: 'registry-error', message }, text)
  }
  assert.deepEqual(parseManifest('{"layers":null,"config":{"mediaType":"c","digest":"","size":0}}').layers, [])
})

test('parseManifest() never throws anything else', () => {
  const anything = fc.oneof(fc.string(), fc.json(), fc.constantFrom('{"layers":[{"__proto__":1}]}', '[]', 'null'))
  fc.assert(
    fc.property(anything, (text) => {
      try {
        parseManifest(text)
      } catch (error) {
        assert.ok(isOllamaConfigError(error))
      }
    }),
  )
})

test('blobs come in the order of a pull, each once; content is what counts, not how it was printed', () => {
  const config = { ...layer('x', 'c'), mediaType: 'application/vnd.docker.container.image.v1+json' }
  const manifest: Manifest = { config, layers: [layer('model', 'a'), layer('license', 'b'), layer('license', 'b')] }
  assert.deepEqual(
    blobsOf(manifest).map((blob) => blob.digest),
    [digest('a'), digest('b'), digest('c')],
  )
  assert.ok(isSameContent(manifest, parseManifest(JSON.stringify(JSON.parse(formatManifest(manifest)), null, 2))))
  assert.ok(!isSameContent(manifest, { ...manifest, layers: [...manifest.layers].reverse() }))
  assert.ok(!isSameContent(manifest, { ...manifest, layers: [layer('template', 'a'), ...manifest.layers.slice(1)] }))
  assert.ok(!isSameContent(manifest, { ...manifest, config: null }))
})

test('layerWord() names a layer for people, whatever its type says', () => {
  assert.equal(layerWord(layer('model', 'a')), 'weights')
  assert.equal(layerWord(layer('params', 'a')), 'params')
  assert.equal(layerWord({ ...layer('x', 'a'), mediaType: 'application/vnd.docker.container.image.v1+json' }), 'config')
  for (const kind of ['constructor', '__proto__', 'new-thing']) assert.equal(layerWord(layer(kind, 'a')), 'other')
})

test('a digest is a whole one: it becomes the name of a file', () => {
  const hex = 'a1'.repeat(32)
  assert.ok(isDigest(`sha256:${hex}`))
  const others = [
    `sha256:${hex}/../../x`,
    `../sha256:${hex}`,
    `sha256:${hex}\n`,
    `\nsha256:${hex}`,
    `sha256:${hex}0`,
    `sha256:${hex.slice(1)}`,
    `sha256:${hex.toUpperCase()}`,
    `sha256-${hex}`,
    `sha512:${hex}`,
    hex,
    '',
  ]
  assert.deepEqual(others.filter(isDigest), [])
})

test('a layer may be empty, and has at least a digest and a size', () => {
  const entry = { mediaType: 'm', digest: digest('1'), size: 0 }
  const read = (layer: object) => parseManifest(JSON.stringify({ layers: [layer] })).layers
  assert.deepEqual(read(entry), [{ mediaType: 'm', digest: digest('1'), sizeBytes: 0 }])
  for (const wrong of [
    { size: -1 },
    { size: 0.5 },
    { size: '5' },
    { size: null },
    { digest: 5 },
    { digest: `x${digest('1')}` },
  ])
    assert.throws(() => read({ ...entry, ...wrong }), { code: 'registry-error' }, JSON.stringify(wrong))
})
