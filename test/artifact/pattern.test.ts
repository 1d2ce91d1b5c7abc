import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { matchesPattern, parsePattern } from '../../src/artifact/pattern.ts'
import { parseReference } from '../../src/artifact/reference.ts'

const matches = (pattern: string, name: string) => matchesPattern(parsePattern(pattern), parseReference(name))

test('matchesPattern() follows the rules of keep', () => {
  const yes: [string, string][] = [
    ['llava', 'llava:latest'],
    ['llava', 'llava:7b'],
    ['LLaVA', 'llava:7b'],
    ['llava:7b', 'llava:7b'],
    ['qwen3*', 'qwen3-coder:30b'],
    ['*', 'anything:1'],
    ['qwen3:*-q8_0', 'qwen3:8b-q8_0'],
    ['user/*', 'user/x:1'],
    ['*/*', 'user/x'],
    ['hf.co/*/*', 'hf.co/user/repo:Q4'],
    ['*/*/*', 'registry.corp:5000/a/b'],
    ['registry.corp:5000/*/*', 'registry.corp:5000/a/b'],
    ['a*b*c', 'a--b--c'],
  ]
  const no: [string, string][] = [
    ['llava', 'llava2'],
    ['llava', 'bakllava'],
    ['llava', 'user/llava'],
    ['llava:7b', 'llava:latest'],
    ['*', 'user/x'],
    ['*', 'hf.co/a/b'],
    ['q*', 'user/q'],
    ['a*b', 'a'],
    ['.*', 'anything'],
    ['gemma3', 'gemma3n:e4b'],
  ]
  for (const [pattern, name] of yes) assert.ok(matches(pattern, name), `${pattern} covers ${name}`)
  for (const [pattern, name] of no) assert.ok(!matches(pattern, name), `${pattern} does not cover ${name}`)
})

test('parsePattern() refuses what can match nothing', () => {
  for (const text of ['', ':', 'a b', 'a/b/c/d', 'x[0-9]', 'x?', '/x', 'x:', 'hf.co/a.b/c']) {
    assert.throws(() => parsePattern(text), { code: 'invalid-reference' }, JSON.stringify(text))
  }
})

test('parsePattern() refuses a host where the namespace stands, and says what to write', () => {
  for (const [text, meant] of [
    ['hf.co/*', 'hf.co/*/*'],
    ['reg.corp/team', 'reg.corp/team/*'],
    [' reg.corp:5000/team*:v1 ', 'reg.corp:5000/team*/*:v1'],
  ] as const) {
    assert.throws(() => parsePattern(text), {
      code: 'invalid-reference',
      hint: `write host/namespace/model, as in "${meant}"`,
    })
    assert.equal(parsePattern(meant).host, text.trim().split('/')[0])
    // As of a list with other line ends.
    assert.equal(parsePattern(`\ufeff${meant}\r`).text, meant)
  }
  assert.throws(() => parsePattern('hf.co/a.b/c'), { hint: /never crosses/ })
})

test('matchesPattern() agrees with a regular expression on any pattern of stars', () => {
  const piece = fc.constantFrom('a', 'b', '*', 'ab', '**')
  fc.assert(
    fc.property(
      fc.array(piece, { minLength: 1, maxLength: 8 }),
      fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 1, maxLength: 12 }),
      (pieces, model) => {
        const pattern = pieces.join('')
        const expected = new RegExp(`^${pattern.replaceAll(/\*+/g, '.*')}$`).test(model)
        assert.equal(matches(pattern, model), expected, `${pattern} on ${model}`)
      },
    ),
  )
})

test('matchesPattern() stays quick on a pattern made to be slow', () => {
  // With a backtracking matcher this takes longer than the age of the universe.
  assert.equal(matches(`${'a*'.repeat(38)}b`, 'a'.repeat(80)), false)
})
