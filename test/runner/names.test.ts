/** Names that are given to a command: what is not declared is refused, with the one that was meant. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { resolveConfig } from '../../src/config/resolve.ts'
import { isOllamaConfigError } from '../../src/errors.ts'
import { keysOf } from '../../src/runner/plan.ts'

function hintFor(name: string, ...models: string[]): string | undefined {
  const { desired } = resolveConfig({ models })
  try {
    keysOf([name], desired)
  } catch (error) {
    if (isOllamaConfigError(error) && error.code === 'usage') return error.hint
    throw error
  }
  return undefined
}

test('a name that is not declared leads to the nearest one, whatever its tag', () => {
  const cases: readonly (readonly [name: string, models: string[], near: string])[] = [
    ['smoll', ['mid:8b', 'small:latest'], 'small:latest'],
    ['127.0.0.1:5000/library/smoll', ['127.0.0.1:5000/library/mid:8b', '127.0.0.1:5000/library/small'], ''],
    ['qwen3', ['all-minilm', 'qwen3:8b'], 'qwen3:8b'],
    ['qwen3:4b', ['qwen3:14b', 'qwen3:8b-q4_K_M'], 'qwen3:14b'],
    ['all-minilmm', ['all-minilm:22m'], 'all-minilm:22m'],
    ['https://ollama.com/library/qwen3', ['all-minilm', 'qwen3:8b'], 'qwen3:8b'],
    ['hf.co/unslth/a', ['hf.co/unsloth/a:Q4'], 'hf.co/unsloth/a:Q4'],
  ]
  for (const [name, models, near] of cases)
    assert.equal(
      hintFor(name, ...models),
      `did you mean "${near === '' ? '127.0.0.1:5000/library/small:latest' : near}"?`,
      name,
    )
  // A long host does not make two models alike.
  assert.equal(
    hintFor('127.0.0.1:5000/library/zzz', '127.0.0.1:5000/library/mid'),
    'declared are 127.0.0.1:5000/library/mid:latest',
  )
  assert.equal(hintFor('qwen3:8b', 'qwen3:8b'), undefined)
})
