import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { printable, visible } from '../../src/artifact/text.ts'

const cases: readonly (readonly [what: string, text: string, expected: string])[] = [
  ['plain text stays', 'pull model manifest: file does not exist', 'pull model manifest: file does not exist'],
  ['letters beyond ASCII stay', 'modèle 模型 🦙', 'modèle 模型 🦙'],
  [
    'lines become one',
    '412: \n\nThe model\r\n\trequires a newer version.\n\n',
    '412: The model requires a newer version.',
  ],
  ['NEL and line separators are line ends', 'a\x85b\u2028c\u2029d', 'a b c d'],
  ['colours', '\x1b[31mred\x1b[0m and \x1b[1;38;5;9mmore\x1b[m', 'red and more'],
  ['8-bit CSI', '\x9b31mred', 'red'],
  ['cursor movement and clearing', 'a\x1b[2J\x1b[1;1Hb', 'ab'],
  ['a window title', '\x1b]0;owned\x07after', 'after'],
  ['a hyperlink', '\x1b]8;;http://evil\x1b\\text\x1b]8;;\x1b\\', 'text'],
  ['a device control string', '\x1bPq#0;2;0;0;0\x1b\\x', 'x'],
  ['a string sequence without end keeps its text', '\x1b]0;rest of the message', '0;rest of the message'],
  ['two-character escapes', '\x1bcreset\x1b(Bascii', 'resetascii'],
  ['a lone escape at the end', 'end\x1b', 'end'],
  ['backspace and delete', 'ab\x08\x7fc', 'abc'],
  ['NUL', 'a\0b', 'ab'],
  ['bidi overrides', 'user\u202Egnp.exe\u202C \u2066x\u2069 \u061C\u200F', 'usergnp.exe x'],
  ['zero-width characters', 'a\u200Bb\uFEFFc\u00ADd\u2060e', 'abcde'],
  ['tag characters', 'a\u{E0041}\u{E007F}b', 'ab'],
  ['half a surrogate pair', 'a\uD83Db', 'ab'],
  ['a string sequence ends where another begins', 'a\x9d0;b\x90c\x9cd', 'a0;bd'],
  ['nothing visible', ' \n\x1b[0m\u200B ', ''],
]

for (const [what, text, expected] of cases) {
  test(`printable: ${what}`, () => assert.equal(printable(text), expected))
}

test('printable cuts at the length that is asked for, 500 by default', () => {
  assert.equal(printable('x'.repeat(500)), 'x'.repeat(500))
  assert.equal(printable('x'.repeat(501)), `${'x'.repeat(499)}…`)
  assert.equal(printable('abcdef', 4), 'abc…')
})

test('printable never cuts a character in two', () => {
  assert.equal(printable('aa🦙bb', 4), 'aa…')
})

test('printable: one short line of visible text, whatever comes in, and the same when applied again', () => {
  const hostile = fc.array(
    fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom(
        '\x1b[',
        '\x1b]',
        '\x1b',
        '\x9b',
        '\x07',
        '\x1b\\',
        '\n',
        '\r',
        '\t',
        '\u202E',
        '\u200B',
        '0',
        'm',
        ';',
        '\u{E0020}',
      ),
    ),
  )
  fc.assert(
    fc.property(hostile, fc.integer({ min: 1, max: 60 }), (pieces, maxLength) => {
      const text = printable(pieces.join(''), maxLength)
      assert.doesNotMatch(text, /[\x00-\x1f\x7f-\x9f\u2028\u2029\u200b-\u200f\u202a-\u202e\u2066-\u2069]/)
      assert.doesNotMatch(text, /\p{Surrogate}/u)
      assert.ok(text.length <= maxLength)
      assert.equal(printable(text, maxLength), text)
    }),
  )
})

test('visible keeps tabs, spaces and the ends of a line, and cuts nothing', () => {
  const line = `\t  name:  'x',\t// ${'y'.repeat(20_000)} 模型 🦙  `
  assert.equal(visible(line), line)
})

test('visible takes out what printable does, and line ends', () => {
  assert.equal(visible('\x1b[31m  a\x1b]0;t\x07\t\x9b2Jb\x9dc\x9c'), '  a\tb')
  assert.equal(visible('a\0\x85\u202E\u200B\uFEFF\xAD\u2028\u2029\u{E0041}\uD83Db\r\n'), 'ab')
})

test('visible and printable do not slow down on a text of introducers', () => {
  for (const introducer of [
    '\x90',
    '\x98',
    '\x9b',
    '\x9d',
    '\x9e',
    '\x9f',
    '\x1b]',
    '\x1bP',
    '\x1bX',
    '\x1b^',
    '\x1b_',
  ])
    assert.match(visible(introducer.repeat(300_000)), /^(?:[\]PX^_]*)$/)
  const name = '\x9d'.repeat(16_384)
  for (let count = 0; count < 500; count++) assert.equal(printable(name), '')
})

test('printable does not slow down on hostile text', () => {
  // Quadratic work on this would not end before the timeout of any test run.
  const text = '\x1b]0;'.repeat(5_000_000)
  assert.ok(printable(text).length <= 500)
})
