import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  approvalOf,
  assertApprovable,
  assertConsistent,
  assertPrunable,
  type Circumstances,
  openQuestions,
} from '../../src/cli/approval.ts'
import { resolveConfig } from '../../src/config/resolve.ts'
import { diff } from '../../src/plan/diff.ts'
import { formatVersion, type Plan } from '../../src/plan/plan.ts'
import { installedModel } from '../support/memory-backend.ts'

const models = [installedModel('old'), installedModel('made', { parentModel: 'x' })]
const plan: Plan = {
  formatVersion,
  prune: false,
  targets: [
    {
      address: 'http://h',
      kind: 'host',
      serverVersion: null,
      ...diff(resolveConfig({ models: ['a'] }).desired, { serverVersion: null, models, unreadable: [] }),
    },
  ],
}

const script: Circumstances = {
  interactive: false,
  configuredPrune: 'undeclared',
  hostSource: 'default',
  loopback: true,
}
const terminal: Circumstances = { ...script, interactive: true }

test('without a terminal nothing happens without --yes', () => {
  assert.throws(() => assertApprovable({}, false), { code: 'approval-required', message: /--yes/ })
  assert.throws(() => assertApprovable({ prune: true }, false), { code: 'approval-required' })
  assert.doesNotThrow(() => assertApprovable({ yes: true }, false))
  assert.doesNotThrow(() => assertApprovable({}, true))
})

test('--prune and --no-prune contradict each other', () => {
  assert.throws(() => assertConsistent({ yes: true, prune: true, 'no-prune': true }), { code: 'usage' })
})

test('without a terminal --prune needs a prune key written in the config', () => {
  assert.throws(() => assertPrunable({ prune: true }, { ...script, configuredPrune: undefined }), {
    code: 'prune-refused',
    message: /"prune" key/,
  })
  assert.doesNotThrow(() => assertPrunable({ prune: true }, script))
  assert.doesNotThrow(() => assertPrunable({ prune: true }, { ...terminal, configuredPrune: undefined }))
})

test('without a terminal a host from OLLAMA_HOST that is another machine is never pruned', () => {
  const remote = { loopback: false, hostSource: 'environment' } as const
  assert.throws(() => assertPrunable({ prune: true }, { ...script, ...remote }), {
    code: 'prune-refused',
    message: /OLLAMA_HOST/,
  })
  assert.doesNotThrow(() => assertPrunable({ prune: true }, { ...script, ...remote, loopback: true }))
  assert.doesNotThrow(() => assertPrunable({ prune: true }, { ...script, ...remote, hostSource: 'flag' }))
  assert.doesNotThrow(() => assertPrunable({ prune: true }, { ...script, ...remote, hostSource: 'config' }))
  assert.doesNotThrow(() => assertPrunable({ prune: true }, { ...terminal, ...remote }))
})

const asked = (flags: Parameters<typeof openQuestions>[1], interactive: boolean) => {
  const { changes, deletions } = openQuestions(plan, flags, interactive)
  return [...changes, ...deletions].map(({ id }) => id)
}

test('in a terminal there is one question for the pulls and one for the deletions; each flag answers its own', () => {
  assert.deepEqual(asked({}, true), ['pull:a:latest', 'delete:made:latest', 'delete:old:latest'])
  assert.deepEqual(asked({ yes: true }, true), ['delete:made:latest', 'delete:old:latest'])
  assert.deepEqual(asked({ 'no-prune': true }, true), ['pull:a:latest'])
  assert.deepEqual(asked({ yes: true, 'no-prune': true }, true), [])
})

test('--prune in a terminal joins the deletions to the question for the changes, but asks by itself about what no registry gives back', () => {
  assert.deepEqual(asked({ prune: true }, true), ['pull:a:latest', 'delete:old:latest', 'delete:made:latest'])
  assert.deepEqual(asked({ yes: true, prune: true }, true), ['delete:made:latest'])
})

test('without a terminal nothing is asked', () => {
  assert.deepEqual(asked({ yes: true }, false), [])
  assert.deepEqual(asked({ yes: true, prune: true }, false), [])
})

test('deletions never ride on yes', () => {
  assert.deepEqual(approvalOf({ yes: true }, {}), { changes: true, deletions: false, irreplaceable: false })
  assert.deepEqual(approvalOf({ yes: true, prune: true }, {}), { changes: true, deletions: true, irreplaceable: false })
  assert.deepEqual(approvalOf({ yes: true, 'no-prune': true }, {}), {
    changes: true,
    deletions: false,
    irreplaceable: false,
  })
  assert.deepEqual(approvalOf({}, { changes: true }), { changes: true, deletions: false, irreplaceable: false })
  assert.deepEqual(approvalOf({}, { changes: true, deletions: false }), {
    changes: true,
    deletions: false,
    irreplaceable: false,
  })
  assert.deepEqual(approvalOf({}, { changes: true, deletions: true }), {
    changes: true,
    deletions: true,
    irreplaceable: true,
  })
  assert.deepEqual(approvalOf({ prune: true }, { changes: false }), {
    changes: false,
    deletions: false,
    irreplaceable: false,
  })
  assert.deepEqual(approvalOf({ prune: true }, { changes: true }), {
    changes: true,
    deletions: true,
    irreplaceable: false,
  })
  // The question was about what no registry gives back; the rest was approved by the flag.
  assert.deepEqual(approvalOf({ yes: true, prune: true }, { deletions: false }), {
    changes: true,
    deletions: true,
    irreplaceable: false,
  })
  assert.deepEqual(approvalOf({}, {}), { changes: false, deletions: false, irreplaceable: false })
})
