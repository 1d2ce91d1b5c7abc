/** Entries added to files of other people, of which every other byte stays. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { addEntries } from '../../src/init/scripts.ts'

const entries = { 'models:plan': 'ollama-config plan', 'models:"x"': 'a\\b' }
const lines = ['"models:plan": "ollama-config plan"', '"models:\\"x\\"": "a\\\\b"']

test("they go where they belong, in the file's own way of writing", () => {
  const [a, b] = lines
  const cases: readonly (readonly [string, string])[] = [
    ['{}', `{\n  "scripts": {\n    ${a},\n    ${b}\n  }\n}`],
    ['{\n\t"a": 1\n}\n', `{\n\t"a": 1,\n\t"scripts": {\n\t\t${a},\n\t\t${b}\n\t}\n}\n`],
    [
      '{\r\n  "scripts": {\r\n    "t": "x"\r\n  }\r\n}',
      `{\r\n  "scripts": {\r\n    "t": "x",\r\n    ${a},\r\n    ${b}\r\n  }\r\n}`,
    ],
    ['{\n  "scripts": {},\n  "b": []\n}', `{\n  "scripts": {\n    ${a},\n    ${b}\n  },\n  "b": []\n}`],
    ['{"scripts":{"t":"}"},"a":{"scripts":{}}}', `{"scripts":{"t":"}", ${a}, ${b}},"a":{"scripts":{}}}`],
  ]
  for (const [before, after] of cases) assert.deepEqual(addEntries(before, 'scripts', entries).text, after)
})

test('what is there is never replaced, and what has comments is not touched', () => {
  const text = '{ "tasks": { "models:plan": "mine" } }'
  const once = addEntries(text, 'tasks', { 'models:plan': 'x' })
  assert.deepEqual(once, { text, added: [], present: ['models:plan'] })
  for (const odd of ['{ // a\n}', '{ "tasks": [] }', '{ "tasks": null }', '[]', '', '{ "a": 1, }'])
    assert.deepEqual(addEntries(odd, 'tasks', { x: 'y' }), { text: undefined, added: ['x'], present: [] })
})

test('of any file the rest stays, byte for byte and in meaning', () => {
  const file = fc
    .tuple(
      fc.dictionary(fc.oneof(fc.constant('scripts'), fc.string()), fc.jsonValue({ maxDepth: 2 }), {
        noNullPrototype: true,
      }),
      fc.constantFrom(undefined, ' ', '  ', '\t'),
      fc.option(fc.dictionary(fc.string(), fc.string(), { noNullPrototype: true }), { nil: undefined }),
    )
    .map(([value, indent, scripts]) =>
      JSON.stringify(scripts === undefined ? value : { ...value, scripts }, null, indent),
    )
  fc.assert(
    fc.property(file, (before) => {
      const { text, added } = addEntries(before, 'scripts', entries)
      const { scripts = {}, ...rest } = JSON.parse(before)
      if (text === undefined) {
        assert.ok(typeof scripts !== 'object' || scripts === null || Array.isArray(scripts))
        return
      }
      const { scripts: now, ...others } = JSON.parse(text)
      assert.deepEqual(others, rest)
      const expected = {
        ...scripts,
        ...Object.fromEntries(added.map((name) => [name, entries[name as keyof typeof entries]])),
      }
      assert.equal(JSON.stringify(now), JSON.stringify(expected))
      // One piece was put in, and nothing taken out.
      let same = 0
      while (before[same] === text[same] && same < before.length) same++
      assert.ok(text.endsWith(before.slice(same)), text)
    }),
  )
})
