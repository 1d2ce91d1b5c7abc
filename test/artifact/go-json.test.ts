/** JSON as Go prints it, against what a real server stored (test/fixtures/transcripts/bytes-derived.json). */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import { goJson, goMapJson } from '../../src/artifact/go-json.ts'

interface Stored {
  readonly manifest: { readonly text: string }
  readonly config: { readonly text: string }
  readonly layers: readonly { readonly mediaType: string; readonly text?: string }[]
}
const recording: { readonly cases: readonly { readonly case: string; readonly stored: Stored }[] } = JSON.parse(
  readFileSync(new URL('../fixtures/transcripts/bytes-derived.json', import.meta.url), 'utf8'),
)

test('goJson() and goMapJson() give the bytes of every config, manifest, message and parameter that was recorded', () => {
  let count = 0
  for (const { case: label, stored } of recording.cases) {
    const texts = (kind: string) =>
      stored.layers.filter(({ mediaType }) => mediaType.endsWith(kind)).flatMap(({ text }) => text ?? [])
    for (const text of [stored.manifest.text, stored.config.text, ...texts('.messages')]) {
      assert.equal(`${goJson(JSON.parse(text))}\n`, text, label)
      count++
    }
    for (const text of texts('.params')) {
      assert.equal(`${goMapJson(JSON.parse(text))}\n`, text, label)
      count++
    }
  }
  assert.ok(count > 2 * recording.cases.length)
})

test('goMapJson() sorts by bytes, at every depth, also names that look like numbers; lists keep their order', () => {
  assert.equal(
    goMapJson({
      b: 1,
      10: 2,
      9: 3,
      a: { z: [2, 1, { y: 0, x: 0 }], '🦙': 1, ｚ: 2, é: 3 },
      '': null,
      absent: undefined,
    }),
    '{"":null,"10":2,"9":3,"a":{"z":[2,1,{"x":0,"y":0}],"é":3,"ｚ":2,"🦙":1},"b":1}',
  )
  assert.equal(goMapJson({ ab: 1, a: 2, abc: 3 }), '{"a":2,"ab":1,"abc":3}')
})

test('goJson() keeps the order it is given, leaves absent values out, and escapes for HTML and for JavaScript', () => {
  assert.equal(
    goJson({ b: '<&>\u2028\u2029"\\/\u007f', a: undefined, '<': 0 }),
    '{"b":"\\u003c\\u0026\\u003e\\u2028\\u2029\\"\\\\/\u007f","\\u003c":0}',
  )
  assert.equal(goJson(['\b\f\n\r\t\u0001\u001f']), '["\\b\\f\\n\\r\\t\\u0001\\u001f"]')
})

test('half a character is what Go reads it as', () => {
  assert.equal(
    goJson({ a: 'x\ud800y', b: ['\udc00', '🦙', '\\ud800'] }),
    '{"a":"x\ufffdy","b":["\ufffd","🦙","\\\\ud800"]}',
  )
  assert.equal(goMapJson({ b: '\ud800', '\udc00': ['\ud800'] }), '{"b":"\ufffd","\ufffd":["\ufffd"]}')
})

test('goJson() prints numbers as Go does', () => {
  assert.equal(
    goJson([1e20, 1e21, 1e-6, 1e-7, 123456789012, 0.1, 5e-324, 1.7976931348623157e308, -0]),
    '[100000000000000000000,1e+21,0.000001,1e-7,123456789012,0.1,5e-324,1.7976931348623157e+308,0]',
  )
})

test('whatever is printed reads as the same value, has none of the five characters, and depends on no order of keys', () => {
  const values = fc.jsonValue({ stringUnit: 'binary', depthSize: 'small' })
  fc.assert(
    fc.property(values, (value) => {
      for (const print of [goJson, goMapJson]) {
        const text = print(value)
        assert.deepEqual(JSON.parse(text), JSON.parse(JSON.stringify(value)))
        assert.doesNotMatch(text, /[<>&\u2028\u2029]/)
        assert.equal(print(JSON.parse(text)), text)
      }
      assert.equal(goMapJson(reversed(value)), goMapJson(value))
    }),
  )
  const keys = fc.uniqueArray(fc.string({ unit: 'binary' }), { maxLength: 8 })
  fc.assert(
    fc.property(keys, (names) => {
      const sorted = [...names].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
      const printed = goMapJson(Object.fromEntries(names.map((name) => [name, 0])))
      assert.equal(printed, `{${sorted.map((name) => `${goJson(name)}:0`).join(',')}}`)
    }),
  )
})

function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, item]) => [key, reversed(item)]),
  )
}
