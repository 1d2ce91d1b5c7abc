/** Commands that are printed to be pasted, as the shells of each system read them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { commandLine } from '../../src/cli/command-line.ts'

test('words are quoted as the shell of the system wants them', () => {
  const cases = [
    ['linux', '/srv/models', '/srv/models'],
    ['linux', "/srv/o'brien's models", `'/srv/o'\\''brien'\\''s models'`],
    ['linux', '$HOME/x', "'$HOME/x'"],
    ['win32', 'C:\\Users\\me\\models', 'C:\\Users\\me\\models'],
    ['win32', "C:\\Users\\o'brien\\My Models", `"C:\\Users\\o'brien\\My Models"`],
    ['win32', 'C:\\My Models\\', '"C:\\My Models\\\\"'],
    ['win32', 'C:\\%TEMP%', '…'],
    ['win32', 'C:\\$(calc)', '…'],
    ['linux', '/srv/\u001b[2J', '…'],
    ['win32', 'C:\\\u001b[2J', '…'],
  ] as const
  for (const [platform, store, word] of cases)
    assert.equal(commandLine(['apply'], { store }, { env: {}, platform }), `ollama-config apply --store=${word}`)
})
