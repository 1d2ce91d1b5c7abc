import assert from 'node:assert/strict'
import path from 'node:path'
import { test } from 'node:test'
import { endOfLog } from '../../src/setup/serve.ts'
import { tempFolder } from '../support/run-cli.ts'

test('endOfLog() shows the last lines, each whole: what is cut may be half of a secret', (t) => {
  const long = `http://user:${'hunter2'.repeat(1500)}@proxy/`
  const folder = tempFolder(t, {
    short: 'one\n\r\ntwo \u001b[31mred\nproxy http://user:hunter2@proxy/\n',
    cut: `${long} first\nlast\n`,
    half: 'one\nproxy http://user:hunt',
    unended: 'one\nError: no space',
    many: `${Array.from({ length: 40 }, (_, index) => `line ${index}`).join('\n')}\n`,
    empty: '',
  })
  const shown = (name: string, isComplete = false) => endOfLog(path.join(folder, name), { isComplete })
  assert.equal(shown('short'), '  one\n  two red\n  proxy http://…@proxy/')
  assert.equal(shown('cut'), '  last')
  assert.equal(shown('half'), '  one')
  assert.equal(shown('unended', true), '  one\n  Error: no space')
  assert.equal(shown('cut', true), '  last')
  assert.match(shown('many'), /^ {2}line 28\n[\s\S]*\n {2}line 39$/)
  assert.equal(shown('empty'), '')
  assert.equal(shown('not-there'), '')
})
