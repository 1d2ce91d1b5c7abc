import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { confirm } from '../../src/cli/prompt.ts'

function terminal(answer: string) {
  const stdin = new PassThrough()
  let shown = ''
  const stderr = {
    write: (text: string) => {
      shown += text
      if (text.endsWith('[y/N] ')) stdin.write(answer)
    },
  }
  return { stdin, stderr, shown: () => shown }
}

const signal = new AbortController().signal

test('confirm() takes y and yes for yes, and everything else for no', async () => {
  for (const [answer, expected] of [
    ['y\n', true],
    ['YES\n', true],
    [' y \r\n', true],
    ['\n', false],
    ['n\n', false],
    ['yep\n', false],
    ['maybe\n', false],
  ] as const) {
    assert.equal(await confirm('Sure?', { ...terminal(answer), signal }), expected, JSON.stringify(answer))
  }
})

test('confirm() breaks a long question at words, and leaves room for the answer', async () => {
  const { stdin, stderr, shown } = terminal('y\n')
  const narrow = { ...stderr, isTTY: true, columns: 30 }
  assert.equal(await confirm('\nUpdate 1 model and rebuild 1?', { stdin, stderr: narrow, signal }), true)
  assert.equal(shown(), '\nUpdate 1 model and rebuild\n    1? [y/N] ')
})

test('confirm() forgets what was typed before the question was shown', async () => {
  const { stdin, stderr } = terminal('n\n')
  stdin.write('y\ny\n')
  assert.equal(await confirm('Delete all?', { stdin, stderr, signal }), false)
})

test('confirm() takes one line: what was pasted after it answers no second question', async () => {
  const { stdin, stderr } = terminal('y\ny\n')
  assert.equal(await confirm('Pull?', { stdin, stderr, signal }), true)
  const second = { write: (text: string) => void (text.endsWith('[y/N] ') && stdin.end()) }
  assert.equal(await confirm('Delete?', { stdin, stderr: second, signal }), false)
})

test('confirm() takes the end of the input for no', async () => {
  const stdin = new PassThrough()
  const stderr = { write: () => void stdin.end() }
  assert.equal(await confirm('Sure?', { stdin, stderr, signal }), false)
})

test('confirm() throws the reason of an interruption at the question', async () => {
  const stop = new AbortController()
  const reason = new Error('stop')
  const stderr = { write: (text: string) => void (text.endsWith('[y/N] ') && stop.abort(reason)) }
  await assert.rejects(confirm('Sure?', { stdin: new PassThrough(), stderr, signal: stop.signal }), reason)
})

test('confirm() hears an interruption, and the end of the input, also before the question is shown', {
  timeout: 10_000,
}, async () => {
  const stop = new AbortController()
  const reason = new Error('stop')
  const asked = confirm('Sure?', { ...terminal('y\n'), signal: stop.signal })
  setImmediate(() => stop.abort(reason))
  await assert.rejects(asked, reason)
  const { stdin, stderr } = terminal('y\n')
  stdin.end()
  assert.equal(await confirm('Sure?', { stdin, stderr, signal }), false)
})
