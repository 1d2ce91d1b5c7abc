/** Configs as text: whatever is in them, they say the same when they are run. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { DraftItem } from '../../src/init/draft.ts'
import { renderConfig } from '../../src/init/render.ts'

/** What is written is JavaScript too. */
function evaluate(text: string): unknown {
  const code = text.replace(/^import .*\n/, '').replace('export default defineConfig(', 'return (')
  return new Function(code)()
}

/** As text, where -0 is 0; parameters that are not known come last. */
function sorted(value: unknown): string {
  return JSON.stringify(value, (_, item: unknown) =>
    typeof item === 'object' && item !== null && !Array.isArray(item)
      ? Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1)))
      : item,
  )
}

const anyText = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({
    unit: fc.constantFrom('`', '$', '{', '}', '\\', "'", '"', '\n', '\r', '\u2028', '\u202e', '*/', '//', 'a'),
  }),
)
const parameters = fc.dictionary(
  fc.oneof(fc.constantFrom('num_ctx', 'stop', '__proto__', 'constructor'), anyText),
  fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.boolean(), anyText, fc.array(anyText)),
  { noNullPrototype: true },
)
const declaration = fc.record({ name: anyText, system: anyText, parameters }, { requiredKeys: ['name'] })

test('whatever names, texts and comments hold, the config says just what it was given', () => {
  const item = fc.oneof(
    fc.record({ comment: anyText }),
    fc.record({ declaration: fc.oneof(anyText, declaration), note: anyText }),
  )
  const kept = fc.record({ name: anyText, reason: anyText })
  fc.assert(
    fc.property(fc.array(anyText), fc.array(item), fc.array(kept), (intro, drawn, keep) => {
      const items = drawn as readonly DraftItem[] // Parameters of any name are none of the types.
      const text = renderConfig({ intro, items, keep })
      const models = items.flatMap((one) => ('declaration' in one ? [one.declaration] : []))
      const expected = { models, ...(keep.length === 0 ? {} : { keep: keep.map(({ name }) => name) }) }
      assert.equal(sorted(evaluate(text)), sorted(expected))
      // Nothing that an editor would show elsewhere than it is, or not at all.
      assert.doesNotMatch(text, /[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/)
    }),
  )
})

test('a short object stays on its line, a long one gets a line for each field, a text with lines stays readable', () => {
  const long = 'word '.repeat(20).trim()
  const text = renderConfig({
    intro: ['Mine'],
    items: [
      { declaration: { name: 'a', from: 'b' }, note: 'short' },
      {
        declaration: { name: 'c', from: 'b', system: 'One\nTwo', parameters: { num_ctx: 1, stop: ['x'] } },
        note: long,
      },
      { declaration: { name: 'd', from: 'b', system: long } },
    ],
    keep: [],
  })
  assert.equal(
    text,
    `import { defineConfig } from 'ollama-config'

// Mine
export default defineConfig({
  models: [
    { name: 'a', from: 'b' }, // short
    // ${long}
    {
      name: 'c',
      from: 'b',
      system: \`One
Two\`,
      parameters: { num_ctx: 1, stop: ['x'] },
    },
    {
      name: 'd',
      from: 'b',
      system: '${long}',
    },
  ],
})
`,
  )
})
