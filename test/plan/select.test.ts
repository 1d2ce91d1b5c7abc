import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Change, RestoreChange } from '../../src/plan/plan.ts'
import { matchesModel, selectDeclared } from '../../src/plan/select.ts'
import { deletion, noOp, planOf, pull } from '../support/plans.ts'

test('a name means what the server means by it, a pattern what it covers', () => {
  const cases: readonly [wanted: string, reference: string, expected: boolean][] = [
    ['all-minilm', 'all-minilm:latest', true],
    ['library/All-MiniLM', 'all-minilm:latest', true],
    ['qwen3', 'qwen3:8b', false],
    ['qwen3:8b', 'qwen3:8b', true],
    ['qwen3:8b', 'user/qwen3:8b', false],
    ['qwen3*', 'qwen3:8b', true],
    ['qwen3:*', 'qwen3:8b', true],
    ['*', 'user/qwen3:8b', false],
    ['not a name', 'qwen3:8b', false],
    ['not a name*', 'qwen3:8b', false],
    ['', 'qwen3:8b', false],
  ]
  for (const [wanted, reference, expected] of cases)
    assert.equal(matchesModel(wanted, reference), expected, `${wanted} ${reference}`)
})

const plan = planOf(
  noOp('all-minilm:latest'),
  deletion('gemma3:4b'),
  noOp('llava:7b', { reason: { code: 'kept', text: 'kept by "llava"' } }),
  pull('qwen3:8b'),
)
const references = (changes: readonly Change[]) => changes.map(({ reference }) => reference)

test('what is declared: what the plan brings, and what is there and fine', () => {
  const { changes, diagnostics } = selectDeclared(plan)
  assert.deepEqual(references(changes), ['all-minilm:latest', 'qwen3:8b'])
  assert.deepEqual(diagnostics, [])
})

test('what is meant, each model once; a name that means none is told', () => {
  const { changes, diagnostics } = selectDeclared(plan, ['qwen3:8b', 'qwen3*', 'gemma3:4b', 'llava:7b'])
  assert.deepEqual(references(changes), ['qwen3:8b'])
  assert.deepEqual(
    diagnostics.map(({ severity, code, message, hint }) => `${severity} ${code}: ${message}; ${hint}`),
    ['gemma3:4b', 'llava:7b'].map(
      (name) =>
        `warning model-not-declared: "${name}" means no declared model; declared are "all-minilm:latest", "qwen3:8b"`,
    ),
  )
})

test('a plan that restores a version holds no other model, so a name without one says nothing', () => {
  const reason = { code: 'rollback', text: 'back to the version kept' } as const
  const restore: RestoreChange = { ...noOp('qwen3:8b'), action: 'restore', from: 'qwen3:8b-old', reason }
  const { changes, diagnostics } = selectDeclared(planOf(restore), ['all-minilm', 'qwen3:8b'])
  assert.deepEqual(references(changes), ['qwen3:8b'])
  assert.deepEqual(diagnostics, [])
})
