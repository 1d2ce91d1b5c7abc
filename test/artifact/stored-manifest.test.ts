/** Stored manifests as a server reads them: the recorded ones, half-written ones, and what lies behind the end. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { decoderBuffer, readStoredManifest } from '../../src/artifact/stored-manifest.ts'
import { isOllamaConfigError } from '../../src/errors.ts'
import { derivedModels, pulledModels } from '../support/recorded-store.ts'

const encode = (text: string) => new TextEncoder().encode(text)
const read = (value: unknown) => readStoredManifest(encode(JSON.stringify(value)))
const digest = `sha256:${'a'.repeat(64)}`
const layer = (kind: string, more: object = {}) => ({
  mediaType: `application/vnd.ollama.image.${kind}`,
  digest,
  size: 1,
  ...more,
})

test('what is hashed gives the digests that a server listed', () => {
  const recorded = [...pulledModels(), ...derivedModels()]
  assert.ok(recorded.length > 35)
  for (const { what, stored, listed } of recorded) {
    const bytes = Buffer.from(stored.manifest.base64, 'base64')
    const { hashedBytes, parentModel } = readStoredManifest(bytes)
    const found = createHash('sha256').update(bytes.subarray(0, hashedBytes)).digest('hex')
    assert.equal(found, listed.digest, what)
    assert.equal(parentModel ?? '', listed.details.parent_model, what)
  }
})

/** Reads as encoding/json does: whenever less than 512 bytes are free, it doubles the room and adds 512. */
function bytesReadByGo(size: number, needed: number): number {
  let [capacity, length] = [0, 0]
  while (length < needed) {
    if (capacity - length < 512) capacity = 2 * capacity + 512
    length = Math.min(size, capacity)
  }
  return length
}

test('as many bytes are hashed as a streaming decoder reads', () => {
  fc.assert(
    fc.property(fc.nat(9000), fc.nat(3000), fc.nat(40), (padding, behind, before) => {
      const json = JSON.stringify({ layers: [], padding: 'x'.repeat(padding) })
      const bytes = encode(`${' '.repeat(before)}${json}${'}'.repeat(behind)}`)
      const { hashedBytes } = readStoredManifest(bytes)
      assert.equal(hashedBytes, bytesReadByGo(bytes.length, before + json.length))
    }),
    { numRuns: 300 },
  )
  assert.deepEqual(
    [0, 1, 512, 513, 1536, 1537, 3584, 3585].map(decoderBuffer),
    [512, 512, 512, 1536, 1536, 3584, 3584, 7680],
  )
})

test('braces and quotes in texts are no end', () => {
  const name = 'a}]"\\"}{[\\'
  const { manifest, hashedBytes } = readStoredManifest(
    encode(`${JSON.stringify({ name, layers: [layer('model')] })}rest`),
  )
  assert.equal(manifest.layers.length, 1)
  assert.equal(hashedBytes, JSON.stringify({ name, layers: [layer('model')] }).length + 4)
})

test('a model without config or layers is one', () => {
  const none = { manifest: { config: null, layers: [] }, parentModel: null }
  for (const value of [{}, { layers: null }, { config: null, layers: null }, { layers: [] }, { schemaVersion: 2 }]) {
    const { hashedBytes, ...rest } = read(value)
    assert.deepEqual(rest, none, JSON.stringify(value))
    assert.equal(hashedBytes, JSON.stringify(value).length)
  }
  assert.equal(read({ config: { digest: '' }, layers: [layer('model')] }).manifest.config, null)
})

test('the parent is that of the last layer of weights, also when that has none', () => {
  const parent = (...layers: object[]) => read({ layers }).parentModel
  assert.equal(parent(layer('model', { from: 'a:latest' })), 'a:latest')
  assert.equal(
    parent(layer('model', { from: 'a' }), layer('model', { from: 'b' }), layer('system', { from: 'c' })),
    'b',
  )
  assert.equal(parent(layer('model', { from: 'a' }), layer('model')), null)
  assert.equal(parent(layer('model', { from: '' })), null)
  assert.equal(parent(layer('projector', { from: 'a' })), null)
})

test('no beginning of a manifest is taken for one, nor is anything else', () => {
  const whole = Buffer.from(pulledModels()[0]?.stored.manifest.base64 ?? '', 'base64')
  for (let length = 0; length < whole.length; length++) {
    assert.throws(() => readStoredManifest(whole.subarray(0, length)), isOllamaConfigError, String(length))
  }
  for (const text of [
    '',
    'no json',
    '[]',
    '"{}"',
    '1',
    '{"layers":1}',
    '{"layers":[1]}',
    '\ufeff{}',
    'x{}',
    '{]',
    '\0\0',
  ]) {
    assert.throws(() => readStoredManifest(encode(text)), isOllamaConfigError, text)
  }
  // A server reads these, so that nobody may take their blobs for unused.
  assert.throws(() => read({ Layers: [layer('model')] }), isOllamaConfigError)
  const outside = layer('model', { digest: 'sha256:../../../etc/passwd' })
  assert.throws(() => read({ layers: [outside] }), isOllamaConfigError)
})

test('any bytes give a manifest or a clear error', () => {
  const whole = Buffer.from(derivedModels().at(-1)?.stored.manifest.base64 ?? '', 'base64')
  const changed = fc
    .array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 5 })
    .map((changes) => changes.reduce((bytes, [at, byte]) => bytes.fill(byte, at, at + 1), Buffer.from(whole)))
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), changed), (bytes) => {
      try {
        const { hashedBytes } = readStoredManifest(bytes)
        assert.ok(hashedBytes > 0 && hashedBytes <= bytes.length)
      } catch (error) {
        assert.ok(isOllamaConfigError(error), String(error))
      }
    }),
    { numRuns: 1000 },
  )
})
