import assert from 'node:assert/strict'
import { readFileSync, rmSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { createLogger } from '../../src/cli/log.ts'
import { tempFolder } from '../support/run-cli.ts'

function captured() {
  const parts: string[] = []
  return { stderr: { write: (part: string) => void parts.push(part) }, text: () => parts.join('') }
}

test('createLogger() appends JSON lines, and goes on without the file when it is lost', (t) => {
  const cwd = tempFolder(t)
  const { stderr, text } = captured()
  const logger = createLogger({ 'log-file': 'log.jsonl' }, { stderr, cwd })
  logger?.debug('request', { path: '/api/tags', status: 200 })
  const line = JSON.parse(readFileSync(path.join(cwd, 'log.jsonl'), 'utf8'))
  assert.deepEqual([line.level, line.message, line.path, line.status], ['debug', 'request', '/api/tags', 200])
  rmSync(cwd, { recursive: true })
  logger?.debug('request')
  logger?.debug('request')
  assert.equal(text().split('cannot be written any more').length - 1, 1)
})

test('createLogger() refuses at once a file that cannot be written', (t) => {
  const cwd = tempFolder(t)
  for (const file of ['.', 'no/such/folder/log', '/dev/null']) {
    assert.throws(() => createLogger({ 'log-file': file }, { ...captured(), cwd }), { code: 'usage' }, file)
  }
})

test('createLogger() with --verbose writes no control characters', (t) => {
  const { stderr, text } = captured()
  createLogger({ verbose: true }, { stderr, cwd: tempFolder(t) })?.warn('bad \u001b[31mname\u0007', {
    host: 'x\u202ey',
  })
  assert.equal(text(), '[warn] bad name host=xy\n')
})
