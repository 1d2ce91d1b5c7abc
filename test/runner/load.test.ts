/** What a config's own code throws after it was imported: in functions, getters and proxies. */
import assert from 'node:assert/strict'
import path from 'node:path'
import { test } from 'node:test'
import { isOllamaConfigError } from '../../src/errors.ts'
import { loadConfig } from '../../src/runner/load.ts'
import { tempFolder } from '../support/run-cli.ts'

const cases = {
  'a function': `export default () => { throw new Error('no') }`,
  'a function, later': `export default async () => { await null; throw new Error('no') }`,
  'a getter': `export default { models: ['a'], get host() { throw new Error('no') } }`,
  'a getter of a model': `export default { models: [{ name: 'a', get from() { throw new Error('no') } }] }`,
  'a proxy': `export default new Proxy({}, { get() { throw new Error('no') } })`,
  'what looks like a promise': `export default { get then() { throw new Error('no') } }`,
}

for (const [what, text] of Object.entries(cases)) {
  test(`an exception of ${what} is told with its place`, async (t) => {
    const folder = tempFolder(t, { 'ollama.config.mjs': text })
    const file = path.join(folder, 'ollama.config.mjs')
    await assert.rejects(loadConfig({ cwd: folder, env: {} }), (error) => {
      assert.ok(isOllamaConfigError(error), String(error))
      assert.equal(error.code, 'config-load-failed')
      const { line, frame } = error.details ?? {}
      assert.equal(line, 1)
      assert.match(String(frame), /^> 1 \| export default/)
      assert.match(error.message, /^Cannot load .+:1:\d+: no$/)
      assert.ok(error.message.includes(file))
      return true
    })
  })
}

test('where no place is in the config, that of whoever loads it is not taken for one', async (t) => {
  const texts = [
    'const { proxy, revoke } = Proxy.revocable({}, {})\nrevoke()\nexport default proxy',
    "export default 'x'.repeat.bind('x', -1)",
  ]
  for (const text of texts) {
    const folder = tempFolder(t, { 'ollama.config.mjs': text })
    const file = path.join(folder, 'ollama.config.mjs')
    await assert.rejects(loadConfig({ cwd: folder, env: {} }), (error) => {
      assert.ok(isOllamaConfigError(error), String(error))
      assert.equal(error.code, 'config-load-failed')
      assert.equal(error.details?.['line'], undefined)
      assert.ok(error.message.startsWith(`Cannot load ${file}: `), error.message)
      return true
    })
  }
})

test('a hole in a list is told like any other item that is none', async (t) => {
  const text = `export default {
  models: ['a', , { name: 'b', from: 'a', parameters: { stop: ['x', , 'y'] }, messages: [,] }],
  keep: [, 'c'],
}`
  const folder = tempFolder(t, { 'ollama.config.mjs': text })
  await assert.rejects(loadConfig({ cwd: folder, env: {} }), (error) => {
    assert.ok(isOllamaConfigError(error) && 'diagnostics' in error && Array.isArray(error.diagnostics))
    assert.equal(error.code, 'config-invalid')
    assert.deepEqual(error.diagnostics.map(({ path: at, code }) => `${at} ${code}`).sort(), [
      'keep[0] missing-key',
      'models[1] missing-key',
      'models[2].messages[0] missing-key',
      'models[2].parameters.stop wrong-type',
    ])
    return true
  })
})
