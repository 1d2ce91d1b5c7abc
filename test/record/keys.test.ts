import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { findKeyTwice } from '../../src/record/keys.ts'

test('findKeyTwice() tells of the key and of the object it stands in', () => {
  const cases: readonly (readonly [string, string, string])[] = [
    ['{"a":1,"b":2,"a":3}', 'the file', 'a'],
    ['{"models":{"x:1":{},\n"y:1":{"digest":""},\r\n "x:1" :\t{}}}', 'models', 'x:1'],
    ['{"models":{"x:1":{"digest":"","digest":""}}}', 'models["x:1"]', 'digest'],
    ['{"models":{"x:1":{"layers":[{"a":1},{"size":1,"size":2}]}}}', 'models["x:1"]["layers"][]', 'size'],
    // However it is written.
    ['{"a":{},"\\u0061":{}}', 'the file', 'a'],
    ['{"":1,"":2}', 'the file', ''],
    ['{"__proto__":1,"__proto__":2}', 'the file', '__proto__'],
    [`{"a":1,"a"${' '.repeat(1000)}:2}`, 'the file', 'a'],
    ['[[],{"a":[],"a":[]}]', 'the file[]', 'a'],
  ]
  for (const [json, place, key] of cases) {
    JSON.parse(json)
    assert.deepEqual(findKeyTwice(json), { place, key }, json)
  }
})

test('findKeyTwice() is not misled by equal keys of different objects, or by what texts hold', () => {
  for (const json of [
    '{}',
    '"a"',
    '{"a":{"a":{"a":1}},"b":{"a":1}}',
    '{"a":"a","b":["a","a",{"a":1},{"a":1}]}',
    '{"text":"{\\"a\\":1,\\"a\\":2}","a":"\\\\","b":"\\""}',
    '{"a":"b\\"","b":",\\"a\\":"}',
  ]) {
    JSON.parse(json)
    assert.equal(findKeyTwice(json), undefined, json)
  }
})

test('findKeyTwice() finds none in any JSON.stringify(), and one in any object with a key repeated', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.string({ unit: 'grapheme' }), fc.nat(3), (value, key, indent) => {
      assert.equal(findKeyTwice(JSON.stringify(value, null, indent)), undefined)
      const [name, between, json] = [
        JSON.stringify(key),
        JSON.stringify(`${key}.`),
        JSON.stringify(value, null, indent),
      ]
      const twice = `{${name}:${json},${between}:${json},${name}:1}`
      assert.deepEqual(findKeyTwice(twice), { place: 'the file', key })
    }),
  )
})

test('findKeyTwice() takes time in proportion to the text', () => {
  const manifest = JSON.stringify(JSON.stringify(Array.from({ length: 200_000 }, (_, index) => ({ size: index }))))
  assert.equal(findKeyTwice(`{"manifest":${manifest}}`), undefined)
})
