import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { ConfigError, errorCodes, isOllamaConfigError, OllamaConfigError, toErrorData } from '../src/errors.ts'

test('docs/errors.md has one heading for each code, in the order of the code', () => {
  const text = readFileSync(new URL('../docs/errors.md', import.meta.url), 'utf8')
  assert.deepEqual(
    [...text.matchAll(/^## (.+)$/gm)].map(([, code]) => code),
    [...errorCodes],
  )
})

test('isOllamaConfigError() knows errors of another copy of the package, and nothing else', () => {
  const foreign = Object.assign(new Error('x'), { [Symbol.for('ollama-config.error')]: true, code: 'usage' })
  assert.ok(isOllamaConfigError(new OllamaConfigError('usage', 'x')))
  assert.ok(isOllamaConfigError(new ConfigError('x', [])))
  assert.ok(isOllamaConfigError(foreign))
  for (const value of [new Error('x'), null, undefined, 'usage', {}]) assert.ok(!isOllamaConfigError(value))
})

test('toErrorData() is JSON-safe and turns what is not ours into "internal"', () => {
  assert.deepEqual(toErrorData(new OllamaConfigError('usage', 'No', { hint: 'yes' })), {
    code: 'usage',
    message: 'No',
    hint: 'yes',
  })
  assert.deepEqual(toErrorData(new OllamaConfigError('usage', 'No')), { code: 'usage', message: 'No' })
  assert.equal(toErrorData(new TypeError('boom')).code, 'internal')
  assert.equal(toErrorData('boom').message, 'boom')
})
