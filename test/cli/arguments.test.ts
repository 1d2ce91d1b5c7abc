import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ownWords, parseArguments, parseCount, parseDuration } from '../../src/cli/arguments.ts'
import { commands } from '../../src/cli/command-table.ts'
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
    [['help', 'pln'], /There is no command or error "pln"/, /did you mean "plan"\?/],
  ]
  for (const [words, message, hint] of cases) {
    assert.throws(
      () => parseArguments(words),
      { code: 'usage', message, ...(hint === undefined ? {} : { hint }) },
      words.join(' '),
    )
  }
})

test('exec: what follows "--", or the first word that is no flag, is the command, whatever it looks like', () => {
  const cases: [words: string, own: string, command: string[]][] = [
    ['exec -- npm run dev', '', ['npm', 'run', 'dev']],
    ['exec npm run dev --check', '', ['npm', 'run', 'dev', '--check']],
    ['exec --check -- npm --help', '--check', ['npm', '--help']],
    ['exec --check npm test -- --json', '--check', ['npm', 'test', '--', '--json']],
    ['exec --host h:1 -c f npm', '--host h:1 -c f', ['npm']],
    ['exec --host=h:1 npm -y', '--host=h:1', ['npm', '-y']],
    ['exec --store /srv/models ./run', '--store /srv/models', ['./run']],
    ['exec --store -- ./run', '--store', ['./run']],
    ['exec --store=m -- -- x', '--store=m', ['--', 'x']],
  ]
  for (const [line, own, command] of cases) {
    const words = line.split(' ')
    const invocation = parseArguments(words)
    assert.deepEqual(invocation.command === 'exec' ? invocation.words : invocation, command, line)
    assert.equal(ownWords(words).slice(1).join(' '), own, line)
  }
  assert.deepEqual(parseArguments(['exec', '--help', '--', 'x']), { command: 'help', topic: 'exec' })
  assert.throws(() => parseArguments(['exec', '--host', '--', 'x']), { code: 'usage', message: '--host needs a value' })
  assert.throws(() => parseArguments(['exec', '--chek', 'x']), { code: 'usage', hint: 'did you mean --check?' })
})

test('--store takes a value after "=", or the next word where that can only be a path', () => {
  const cases: [words: string, store: string | true, rest?: string[]][] = [
    ['apply --store', true],
    ['apply --store --yes', true],
    ['apply --store=models', 'models'],
    ['apply --store=--yes', '--yes'],
    ['apply --store /srv/models', '/srv/models'],
    ['apply --store /srv/models plan.json', '/srv/models', ['plan.json']],
    ['apply --store . plan.json', '.', ['plan.json']],
    ['apply --store ../models', '../models'],
    ['apply --store ~/models', '~/models'],
    ['apply --store C:\\models', 'C:\\models'],
    ['apply --store d:/models', 'd:/models'],
    ['apply --store plan.json', true, ['plan.json']],
    ['apply --store --cwd /x plan.json', true, ['plan.json']],
    ['apply --store -- /srv/models', true, ['/srv/models']],
    ['apply /plan.json --store', true, ['/plan.json']],
    ['apply --store /a --store=b', 'b'],
    ['apply --store=b --store /a', '/a'],
    ['apply --store /a --store', true],
    // A model may have a name and a tag of one letter.
    ['update --store x:8b', true, ['x:8b']],
    ['update --store=/srv a b', '/srv', ['a', 'b']],
  ]
  for (const [line, store, rest = []] of cases) {
    const invocation = parseArguments(line.split(' '))
    assert.ok(invocation.command === 'apply' || invocation.command === 'update')
    assert.deepEqual([invocation.flags.store, invocation.words], [store, rest], line)
  }
  const wrong: [words: string, message: RegExp, hint: RegExp][] = [
    ['plan --store models', /plan takes no argument: found "models"/, /--store=models$/],
    ['apply --store models plan.json', /apply takes one PLANFILE: found "plan.json" too/, /--store=models$/],
    ['plan models --store', /plan takes no argument: found "models"/, /plan --help"$/],
    ['plan --store=', /--store= needs a value/, /--store=DIR, or --store alone/],
    ['plan --owner', /--owner needs a value/, /--owner UID:GID/],
  ]
  for (const [line, message, hint] of wrong)
    assert.throws(() => parseArguments(line.split(' ')), { code: 'usage', message, hint }, line)
})

test('every command that looks at a host can look at a store', () => {
  for (const command of ['plan', 'apply', 'check', 'outdated', 'update', 'lock', 'rollback'] as const)
    assert.match(helpText(command), /--store\[=DIR\] .*\n[\s\S]*--owner UID:GID [\s\S]*--connections N /, command)
})

test('parseCount() takes numbers from 1 to 64, and leaves the default to others', () => {
  assert.deepEqual(
    [undefined, '1', '64'].map((text) => parseCount('--connections', text)),
    [undefined, 1, 64],
  )
  for (const text of ['0', '65', '1.5', 'all', '-1'])
    assert.throws(() => parseCount('--connections', text), { code: 'usage', message: /--connections .* from 1 to 64/ })
})

test('parseDuration() reads times with and without a unit', () => {
  assert.deepEqual(
    ['60s', '2m', '1h', '500ms', '90', '1.5s', undefined].map((text) => parseDuration('--wait', text)),
    [60_000, 120_000, 3_600_000, 500, 90_000, 1500, undefined],
  )
  for (const text of ['', 'soon', '-1s', '5 parsecs', '1e3'])
    assert.throws(() => parseDuration('--stall-timeout', text), { code: 'usage', message: /--stall-timeout/ }, text)
})

test('every flag and every example of a command is in its help', () => {
  for (const [command, { flags, examples }] of Object.entries(commands)) {
    const text = helpText(topicOf(command))
    for (const flag of Object.keys(flags)) assert.match(text, new RegExp(`--${flag}\\b`), `${command} --${flag}`)
    assert.ok(examples.length > 0, command)
    for (const [line] of examples) {
      assert.ok(text.includes(line), line)
      for (const [, words = ''] of line.matchAll(/ollama-config ([^|&>)]+)/g))
        assert.doesNotThrow(() => parseArguments(words.trim().split(' ')), line)
    }
  }
})

function topicOf(command: string) {
  const invocation = parseArguments(['help', command])
  return invocation.command === 'help' ? invocation.topic : undefined
}

test('suggest() finds slips of the hand and nothing else', () => {
  assert.equal(suggest('modles', ['models', 'host']), 'models')
  assert.equal(suggest('PRUNE', ['prune']), 'prune')
  assert.equal(suggest('zebra', ['models', 'host', 'keep']), undefined)
  assert.equal(suggest('x', ['y', 'keep']), 'y')
})

test('a flag that lacks its value does not take the next flag for it', () => {
  for (const words of [
    ['plan', '--out', '--json'],
    ['apply', '--log-file', '--prune'],
    ['exec', '--log-file', '--check', '--', 'x'],
  ])
    assert.throws(() => parseArguments(words), { code: 'usage', message: /^--\S+ needs a value/ }, words.join(' '))
  const given = parseArguments(['plan', '--out=--json'])
  assert.ok(given.command === 'plan')
  assert.deepEqual({ ...given.flags }, { out: '--json' })
})

test('a letter for help counts in a group, too', () => {
  assert.deepEqual(parseArguments(['apply', '-yh']), { command: 'help', topic: 'apply' })
})

test('a pull is not to be stopped at once', () => {
  assert.throws(() => parseDuration('--stall-timeout', '0s'), { code: 'usage' })
  assert.equal(parseDuration('--wait', '0'), 0)
})
