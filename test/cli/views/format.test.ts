import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatBytes } from '../../../src/artifact/bytes.ts'
import {
  formatBar,
  formatByteShare,
  formatDuration,
  formatPercent,
  formatRate,
  formatRemaining,
} from '../../../src/cli/views/format.ts'
import { createStyle } from '../../../src/cli/views/style.ts'
import { describeTerminal, type TerminalFacts } from '../../../src/cli/views/terminal.ts'
import { padEnd, textWidth, truncate, truncateMiddle, wrap } from '../../../src/cli/views/text.ts'

test('bytes read as in `ollama list`', () => {
  const cases: readonly [number | null, string][] = [
    [null, 'unknown'],
    [Number.NaN, 'unknown'],
    [-1, '0 B'],
    [0, '0 B'],
    [999, '999 B'],
    [1000, '1 KB'],
    [1500, '1.5 KB'],
    [45_960_996, '45 MB'], // all-minilm
    [274_302_450, '274 MB'], // nomic-embed-text
    [4_661_224_676, '4.7 GB'], // llama3
    [999_999_999, '999 MB'],
    [1e12, '1 TB'],
    [5e15, '5000 TB'],
  ]
  for (const [bytes, text] of cases) assert.equal(formatBytes(bytes), text, String(bytes))
})

test('a share of bytes writes a common unit once', () => {
  assert.equal(formatByteShare(2.3e9, 4.7e9), '2.3 / 4.7 GB')
  assert.equal(formatByteShare(274e6, 4.7e9), '274 MB / 4.7 GB')
  assert.equal(formatByteShare(0, 4.7e9), '0 B / 4.7 GB')
})

test('durations, rates and times left', () => {
  const cases: readonly [number, string][] = [
    [0, '0s'],
    [420, '0.4s'],
    [999, '1s'],
    [12_000, '12s'],
    [59_700, '1m'],
    [80_000, '1m 20s'],
    [2 * 3_600_000 + 300_000, '2h 5m'],
    [76 * 3_600_000, '3d 4h'],
  ]
  for (const [ms, text] of cases) assert.equal(formatDuration(ms), text, String(ms))
  assert.equal(formatRate(118e6), '118 MB/s')
  assert.equal(formatRate(null), '')
  assert.equal(formatRemaining(19_100), '20s left')
  assert.equal(formatRemaining(null), '')
})

test('percent and bar never claim more than there is', () => {
  assert.equal(formatPercent(0.999), '99%')
  assert.equal(formatPercent(1.2), '100%')
  assert.equal(formatBar(0.5, 8, true), '████░░░░')
  assert.equal(formatBar(0.99, 8, false), '#######-')
  assert.equal(formatBar(Number.NaN, 4, false), '----')
})

test('text is measured, cut and wrapped by columns', () => {
  assert.equal(textWidth('qwen3:8b'), 8)
  assert.equal(textWidth('模型🚀'), 6)
  assert.equal(textWidth('e\u0301\u200d'), 1)
  assert.equal(truncate('pulling manifest', 10), 'pulling m…')
  assert.equal(truncate('模型模型', 6), '模型…')
  assert.equal(truncateMiddle('hf.co/unsloth/Qwen3-8B-GGUF:Q4_K_M', 17), 'hf.co/un…F:Q4_K_M')
  assert.equal(truncateMiddle('qwen3:8b', 8), 'qwen3:8b')
  assert.equal(truncateMiddle('qwen3:8b', 7, '...'), 'qw...8b')
  assert.equal(truncateMiddle('qwen3:8b', 0), '')
  assert.equal(padEnd('模', 4), '模  ')
  assert.deepEqual(wrap('no room left on the device', 10), ['no room', 'left on', 'the device'])
  assert.deepEqual(wrap('abcdefghij', 4), ['abcd', 'efgh', 'ij'])
  assert.deepEqual(wrap('模型', 1), ['模', '型'])
})

test('style paints only when enabled, whatever the streams are', () => {
  assert.equal(createStyle(true).red('x'), '\x1b[31mx\x1b[39m')
  assert.equal(createStyle(true).dim('x'), '\x1b[2mx\x1b[22m')
  assert.equal(createStyle(true).green(''), '')
  assert.equal(createStyle(false).red('x'), 'x')
})

const tty: TerminalFacts = {
  stdin: { isTTY: true },
  stdout: { isTTY: true },
  stderr: { isTTY: true, columns: 80 },
  env: { TERM: 'xterm-256color', LANG: 'de_DE.UTF-8' },
  platform: 'linux',
}
const everything = {
  interactive: true,
  stdoutColor: true,
  stderrColor: true,
  animate: true,
  unicode: true,
  plain: false,
}
const noColor = { stdoutColor: false, stderrColor: false }
const noTty = { isTTY: false }

test('what is written where follows from the terminal and the environment', () => {
  const env = (more: TerminalFacts['env']): TerminalFacts => ({ ...tty, env: { ...tty.env, ...more } })
  const windows = (more: TerminalFacts['env']): TerminalFacts => ({ ...tty, platform: 'win32', env: more })
  const cases: readonly [string, TerminalFacts, Partial<typeof everything>][] = [
    ['a terminal', tty, {}],
    ['stdin from a pipe', { ...tty, stdin: noTty }, { interactive: false }],
    ['stdout to a file', { ...tty, stdout: noTty }, { stdoutColor: false }],
    ['stderr to a file', { ...tty, stderr: noTty }, { interactive: false, stderrColor: false, animate: false }],
    ['NO_COLOR', env({ NO_COLOR: '1' }), noColor],
    ['an empty NO_COLOR', env({ NO_COLOR: '' }), {}],
    ['NO_COLOR and FORCE_COLOR', env({ NO_COLOR: '1', FORCE_COLOR: '1' }), noColor],
    ['FORCE_COLOR=0', env({ FORCE_COLOR: '0' }), noColor],
    ['TERM=dumb', env({ TERM: 'dumb' }), { ...noColor, animate: false, unicode: false }],
    ['CI', env({ CI: 'true' }), { animate: false }],
    ['CI=false', env({ CI: 'false' }), {}],
    ['no size', { ...tty, stderr: { isTTY: true, columns: 0 } }, { animate: false }],
    ['size not known', { ...tty, stderr: { isTTY: true } }, { animate: false }],
    ['LC_ALL=C', env({ LC_ALL: 'C' }), { unicode: false }],
    ['no locale', env({ LANG: undefined }), {}],
    ['the console of Linux', env({ TERM: 'linux' }), { unicode: false }],
    ['Windows', windows({}), { unicode: false }],
    ['Windows Terminal', windows({ WT_SESSION: 'x' }), {}],
  ]
  for (const [name, facts, expected] of cases)
    assert.deepEqual(describeTerminal(facts), { ...everything, ...expected }, name)
  assert.deepEqual(describeTerminal(tty, { 'no-color': true }), { ...everything, ...noColor })
  const aloud = { ...noColor, animate: false, unicode: false, plain: true }
  const forced = { ...tty, env: { FORCE_COLOR: '1' } }
  assert.deepEqual(describeTerminal(forced, { plain: true }), { ...everything, ...aloud })
})

test('FORCE_COLOR paints pipes but animates nothing', () => {
  const facts = { ...tty, stdin: noTty, stdout: noTty, stderr: noTty, env: { FORCE_COLOR: '1' } }
  const expected = {
    interactive: false,
    stdoutColor: true,
    stderrColor: true,
    animate: false,
    unicode: true,
    plain: false,
  }
  assert.deepEqual(describeTerminal(facts), expected)
})
