import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Approval, applyTarget } from '../../src/apply/apply.ts'
import type { ChangeFinished, Event } from '../../src/apply/events.ts'
import type { CallOptions } from '../../src/backend/backend.ts'
import { resolveConfig } from '../../src/config/resolve.ts'
import { OllamaConfigError } from '../../src/errors.ts'
import { diff } from '../../src/plan/diff.ts'
import type { Target } from '../../src/plan/plan.ts'
import { abortable } from '../../src/runtime/abortable.ts'
import { installedModel, MemoryBackend } from '../support/memory-backend.ts'

const everything: Approval = { changes: true, deletions: true, irreplaceable: true }

async function planFor(backend: MemoryBackend, models: readonly string[]): Promise<Target> {
  const state = await backend.readState()
  return {
    address: backend.address,
    kind: 'host',
    serverVersion: state.serverVersion,
    ...diff(resolveConfig({ models }).desired, state),
  }
}

async function carryOut(target: Target, backend: MemoryBackend, approve: Approval = everything, signal?: AbortSignal) {
  const events: Event[] = []
  for await (const event of applyTarget(target, { backend, approve, signal, now: () => 0 })) events.push(event)
  const results = events.filter((event): event is ChangeFinished => event.type === 'change-finished')
  const last = events.at(-1)
  return {
    events,
    outcome: last?.type === 'apply-finished' ? last.outcome : undefined,
    results: Object.fromEntries(
      results.map(({ id, outcome, skipReason, error }) => [
        id,
        [outcome, skipReason ?? error?.code].filter(Boolean).join(' '),
      ]),
    ),
  }
}

function failOn(step: string, code: 'registry-error' | 'host-error' = 'registry-error') {
  return (current: string) => {
    if (current === step) throw new OllamaConfigError(code, `No luck with ${step}`)
  }
}

test('applyTarget() pulls first, deletes last, and checks each change', async () => {
  const backend = new MemoryBackend(['old', 'kept'])
  const steps: string[] = []
  backend.before = (step) => void steps.push(step)
  const target = await planFor(backend, ['kept', 'b', 'a'])
  steps.length = 0
  const { outcome, results } = await carryOut(target, backend)
  assert.equal(outcome, 'done')
  assert.deepEqual(results, { 'pull:a:latest': 'done', 'pull:b:latest': 'done', 'delete:old:latest': 'done' })
  assert.deepEqual(steps, [
    'list',
    'pull a:latest',
    'list',
    'show a:latest',
    'pull b:latest',
    'list',
    'show b:latest',
    'delete old',
    'list',
  ])
})

test('applyTarget() goes on after a failed pull, and then deletes nothing', async () => {
  const backend = new MemoryBackend(['old'])
  const target = await planFor(backend, ['a', 'b'])
  backend.before = failOn('pull a:latest')
  const { outcome, results } = await carryOut(target, backend)
  assert.equal(outcome, 'failed')
  assert.deepEqual(results, {
    'pull:a:latest': 'failed registry-error',
    'pull:b:latest': 'done',
    'delete:old:latest': 'skipped earlier-failure',
  })
  assert.deepEqual(backend.done, ['pull b:latest'])
})

test('applyTarget() does not believe a success that the listing or show denies', async () => {
  const backend = new MemoryBackend()
  const target = await planFor(backend, ['a', 'b'])
  backend.before = (step) => {
    if (step === 'list') backend.uninstall('a')
    if (step === 'show b:latest') throw new OllamaConfigError('model-not-found', 'a blob is gone')
  }
  const { outcome, results } = await carryOut(target, backend)
  assert.equal(outcome, 'failed')
  assert.deepEqual(results, {
    'pull:a:latest': 'failed verification-failed',
    'pull:b:latest': 'failed model-not-found',
  })
})

test('applyTarget() does only what was approved', async () => {
  const models = ['old', installedModel('made', { parentModel: 'x' })]
  const cases: [Approval, string[]][] = [
    [{ changes: false, deletions: false }, []],
    [{ changes: true, deletions: false }, ['pull a:latest']],
    [{ changes: true, deletions: true }, ['pull a:latest', 'delete old']],
    [{ changes: true, deletions: true, irreplaceable: true }, ['pull a:latest', 'delete made', 'delete old']],
    [{ changes: true, deletions: false, irreplaceable: true }, ['pull a:latest']],
  ]
  for (const [approve, expected] of cases) {
    const backend = new MemoryBackend(models)
    const { outcome, results } = await carryOut(await planFor(backend, ['a']), backend, approve)
    assert.deepEqual(backend.done, expected, JSON.stringify(approve))
    assert.equal(outcome, 'done')
    assert.equal(Object.keys(results).length, 3)
  }
})

test('applyTarget() names a model that only a person may delete', async () => {
  const backend = new MemoryBackend(['a', installedModel('made', { parentModel: 'x' })])
  const { results } = await carryOut(await planFor(backend, ['a']), backend, { changes: true, deletions: true })
  assert.deepEqual(results, { 'delete:made:latest': 'skipped irreplaceable' })
})

test('applyTarget() deletes nothing that changed since the plan, and pulls nothing that others pulled meanwhile', async () => {
  const backend = new MemoryBackend(['old', 'gone'])
  const target = await planFor(backend, ['a'])
  backend.install(installedModel('old', { digest: 'sha256:new' }))
  backend.uninstall('gone')
  backend.install('a')
  const { outcome, results } = await carryOut(target, backend)
  assert.deepEqual(results, {
    'pull:a:latest': 'done',
    'delete:gone:latest': 'done',
    'delete:old:latest': 'failed stale-plan',
  })
  assert.equal(outcome, 'failed')
  assert.deepEqual(backend.done, [])
})

test('applyTarget() stops when interrupted: what was begun is cancelled, the rest is left, and nothing is deleted', async () => {
  const backend = new MemoryBackend(['old'])
  const target = await planFor(backend, ['a', 'b', 'c'])
  const stop = new AbortController()
  backend.before = (step) => {
    if (step === 'pull b:latest') stop.abort(new Error('stop'))
  }
  const { outcome, results } = await carryOut(target, backend, everything, stop.signal)
  assert.equal(outcome, 'interrupted')
  assert.deepEqual(results, {
    'pull:a:latest': 'done',
    'pull:b:latest': 'cancelled',
    'pull:c:latest': 'skipped interrupted',
    'delete:old:latest': 'skipped interrupted',
  })
  assert.deepEqual(backend.done, ['pull a:latest'])
})

test('applyTarget() does not wait for a host that hangs once it is interrupted', async (t) => {
  // As the connection to a real one does.
  const alive = setInterval(() => {}, 1000)
  t.after(() => clearInterval(alive))
  const stop = new AbortController()
  class Hanging extends MemoryBackend {
    override async readState(options: CallOptions = {}) {
      if (this.done.includes('delete old')) {
        stop.abort(new Error('stop'))
        await abortable(new Promise(() => {}), options.signal)
      }
      return super.readState(options)
    }
  }
  const backend = new Hanging(['old'])
  const { outcome, results } = await carryOut(await planFor(backend, ['a']), backend, everything, stop.signal)
  assert.deepEqual([outcome, results['delete:old:latest']], ['interrupted', 'cancelled'])
})

test('applyTarget() tells progress over all layers of a model', async () => {
  const backend = new MemoryBackend()
  backend.lines = [
    { status: 'pulling manifest' },
    { status: 'pulling aaa', digest: 'sha256:aaa', totalBytes: 100, completedBytes: 40 },
    { status: 'pulling aaa', digest: 'sha256:aaa', totalBytes: 100, completedBytes: 90 },
    { status: 'pulling bbb', digest: 'sha256:bbb' },
    { status: 'pulling bbb', digest: 'sha256:bbb', totalBytes: 10, completedBytes: 10 },
    { status: 'success' },
  ]
  const { events } = await carryOut(await planFor(backend, ['a']), backend)
  const progress = events.filter((event) => event.type === 'change-progress')
  assert.deepEqual(
    progress.map(({ completedBytes, totalBytes, waiting }) => [completedBytes, totalBytes, waiting]),
    [
      [null, null, false],
      [40, 100, false],
      [90, 100, false],
      [90, 100, true],
      [100, 110, false],
      [100, 110, false],
    ],
  )
})

test('applyTarget() throws when the host cannot be read before the first change', async () => {
  const backend = new MemoryBackend()
  const target = await planFor(backend, ['a'])
  backend.before = failOn('list', 'host-error')
  await assert.rejects(carryOut(target, backend), { code: 'host-error' })
})

test('plan and apply converge: afterwards every declared model is installed and a second plan is empty', async () => {
  const name = fc
    .tuple(fc.constantFrom('a', 'b', 'c/d', 'h:1/n/m'), fc.constantFrom('latest', '1'))
    .map(([model, tag]) => `${model}:${tag}`)
  const names = fc.uniqueArray(name, { maxLength: 8 })
  await fc.assert(
    fc.asyncProperty(names, names, names, async (declared, present, failing) => {
      const backend = new MemoryBackend(present)
      const first = await planFor(backend, declared)
      backend.before = (step) => {
        if (failing.some((text) => step === `pull ${text}` || step === `delete ${text}`))
          throw new OllamaConfigError('registry-error', 'no luck')
      }
      const { outcome } = await carryOut(first, backend)
      // Whatever failed, a declared model that was there is there still.
      const after = (await planFor(backend, declared)).changes
      assert.ok(after.every(({ action, reference }) => action !== 'pull' || !present.includes(reference)))
      backend.before = () => {}
      if (outcome === 'failed') await carryOut(await planFor(backend, declared), backend)
      assert.ok((await planFor(backend, declared)).changes.every(({ action }) => action === 'no-op'))
    }),
  )
})

test('applyTarget() deletes nothing that is no longer what the plan took it for', async () => {
  const cases: [string, (backend: MemoryBackend) => void][] = [
    ['made from another model meanwhile', (backend) => backend.install(installedModel('old', { parentModel: 'x' }))],
    ['a cloud model', (backend) => backend.install(installedModel('old', { remoteHost: 'https://ollama.com:443' }))],
  ]
  for (const [what, change] of cases) {
    const backend = new MemoryBackend(['old', 'a'])
    const target = await planFor(backend, ['a'])
    change(backend)
    const { results } = await carryOut(target, backend, { changes: true, deletions: true })
    assert.deepEqual(results, { 'delete:old:latest': 'failed stale-plan' }, what)
    assert.deepEqual(backend.done, [], what)
  }
})

test('applyTarget() deletes no name that the server would take for another, whatever the plan says', async () => {
  const backend = new MemoryBackend(['x:latest', 'x:local', 'old'])
  const target = await planFor(backend, ['x'])
  const forged = JSON.parse(JSON.stringify(target).replaceAll('old:latest', 'x:local')) as Target
  const { results } = await carryOut(forged, backend)
  assert.deepEqual(results, { 'delete:x:local': 'failed stale-plan' })
  assert.deepEqual(backend.done, [])
})

test('applyTarget() calls a deletion done when the model is gone, whatever the server answered', async () => {
  const backend = new MemoryBackend(['old', 'older', 'a'])
  const target = await planFor(backend, ['a'])
  backend.before = (step) => {
    if (step !== 'delete old') return
    backend.uninstall('old')
    throw new OllamaConfigError('model-not-found', 'somebody else was quicker')
  }
  const { outcome, results } = await carryOut(target, backend)
  assert.deepEqual(results, { 'delete:old:latest': 'done', 'delete:older:latest': 'done' })
  assert.equal(outcome, 'done')
})

test('applyTarget() tells a failure as one, also when an interruption came meanwhile', async () => {
  const backend = new MemoryBackend(['old', 'a'])
  const target = await planFor(backend, ['a'])
  const stop = new AbortController()
  backend.before = (step) => {
    if (step !== 'delete old') return
    stop.abort(new Error('stop'))
    throw new OllamaConfigError('host-error', 'permission denied')
  }
  const { outcome, results } = await carryOut(target, backend, everything, stop.signal)
  assert.deepEqual(results, { 'delete:old:latest': 'failed host-error' })
  assert.equal(outcome, 'interrupted')
})

test('applyTarget() tells why a deletion failed, also when the host cannot be asked afterwards', async () => {
  const backend = new MemoryBackend(['old', 'a'])
  const target = await planFor(backend, ['a'])
  let refused = false
  backend.before = (step) => {
    if (refused && step === 'list') throw new OllamaConfigError('host-unreachable', 'gone away')
    if (step !== 'delete old') return
    refused = true
    throw new OllamaConfigError('host-error', 'permission denied')
  }
  const { results } = await carryOut(target, backend)
  assert.deepEqual(results, { 'delete:old:latest': 'failed host-error' })
})
