import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseArguments, parseDuration } from '../../src/cli/arguments.ts'
import { helpText } from '../../src/cli/help.ts'
import { suggest } from '../../src/suggest.ts'

test('parseArguments() reads commands and flags', () => {
  assert.deepEqual(parseArguments([]), { command: 'welcome' })
  assert.deepEqual(parseArguments(['--version']), { command: 'version' })
  assert.deepEqual(parseArguments(['help', 'plan']), { command: 'help', topic: 'plan' })
  assert.deepEqual(parseArguments(['plan', '-h']), { command: 'help', topic: 'plan' })
  const invocation = parseArguments(['apply', '-y', '--host', 'h:1', '--wait=60s', '--no-prune'])
  assert.equal(invocation.command, 'apply')
  assert.deepEqual(
    { ...(invocation.command === 'apply' ? invocation.flags : {}) },
    { yes: true, host: 'h:1', wait: '60s', 'no-prune': true },
  )
})

test('parseArguments() says what is wrong, and what was probably meant', () => {
  const cases: [string[], RegExp, RegExp?][] = [
    [['aply'], /There is no command "aply"/, /did you mean "apply"\?/],
    [['constructor'], /There is no command "constructor"/],
    [['plan', '--jsno'], /plan has no flag --jsno/, /did you mean --json\?/],
    [['plan', '--yes'], /plan has no flag --yes/],
    [['plan', '-x'], /plan has no flag -x/],
    [['plan', '--json=1'], /--json takes no value/],
    [['plan', '--host'], /--host needs a value/, /--host ADDRESS/],
    [['plan', '--host='], /--host needs a value/],
    [['plan', 'qwen3'], /plan takes no argument: found "qwen3"/],
    [['--json', 'plan'], /A command is missing before "--json"/],
    [['help', 'pln'], /There is no command "pln"/, /did you mean "plan"\?/],
  ]
  for (const [words, message, hint] of cases) {
    assert.throws(
      () => parseArguments(words),
      { code: 'usage', message, ...(hint === undefined ? {} : { hint }) },
      words.join(' '),
    )
  }
})

test('parseDuration() reads times with and without a unit', () => {
  assert.deepEqual(
    ['60s', '2m', '1h', '500ms', '90', '1.5s'].map(parseDuration),
    [60_000, 120_000, 3_600_000, 500, 90_000, 1500],
  )
  for (const text of ['', 'soon', '-1s', '5 parsecs', '1e3'])
    assert.throws(() => parseDuration(text), { code: 'usage' }, text)
})

test('every flag and every example of a command is in its help', () => {
  for (const command of ['plan', 'apply', 'check'] as const) {
    const text = helpText(command)
    assert.match(text, /--config FILE/)
    for (const line of text.split('\n').filter((candidate) => /^ {2}ollama-config /.test(candidate))) {
      for (const words of line.split('||'))
        assert.doesNotThrow(() => parseArguments(words.trim().split(' ').slice(1)), line)
    }
  }
})

test('suggest() finds slips of the hand and nothing else', () => {
  assert.equal(suggest('modles', ['models', 'host']), 'models')
  assert.equal(suggest('PRUNE', ['prune']), 'prune')
  assert.equal(suggest('zebra', ['models', 'host', 'keep']), undefined)
  assert.equal(suggest('x', ['y', 'keep']), 'y')
})
