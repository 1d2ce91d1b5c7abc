/** Carrying out a plan on a store: exact versions, and nobody else who changes it meanwhile. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Approval, applyTarget } from '../../src/apply/apply.ts'
import { createApplyRun } from '../../src/apply/apply-run.ts'
import type { Event } from '../../src/apply/events.ts'
import { formatManifest, type Manifest } from '../../src/artifact/manifest.ts'
import { OllamaConfigError } from '../../src/errors.ts'
import type { PlannedManifest, PullChange, Target } from '../../src/plan/plan.ts'
import { sha256 } from '../../src/runtime/sha256.ts'
import { deletion, pull } from '../cli/views/events.ts'
import { installedModel, MemoryBackend } from '../support/memory-backend.ts'

const everything: Approval = { changes: true, deletions: true }
const digest = (fill: string) => `sha256:${fill.repeat(64)}`

const layer = (fill: string) => ({
  mediaType: 'application/vnd.ollama.image.model',
  digest: digest(fill),
  sizeBytes: 3,
})
const manifest: Manifest = { config: layer('1'), layers: [layer('2')] }

function planned({ config, layers }: Manifest, text: string, written?: string): PlannedManifest {
  const blob = (entry: ReturnType<typeof layer>) => ({ ...entry, onHost: false })
  return {
    digest: `sha256:${sha256(text)}`,
    config: config === null ? null : blob(config),
    layers: layers.map(blob),
    ...(written === undefined ? {} : { text: written }),
  }
}

function lockedPull(from: PlannedManifest, more: Partial<PullChange> = {}): PullChange {
  const after = { digest: from.digest, sizeBytes: 6 }
  return { ...pull('a:latest'), locked: true, after, manifest: from, ...more }
}

function target(kind: 'host' | 'store', ...changes: Target['changes']): Target {
  return { address: '/srv/models', kind, serverVersion: null, changes, drift: [], diagnostics: [] }
}

async function run(backend: MemoryBackend, ...changes: Target['changes']) {
  const events: Event[] = []
  const plan = target(backend.kind, ...changes)
  for await (const event of applyTarget(plan, { backend, approve: everything, now: () => 0 })) events.push(event)
  return {
    events,
    results: events.flatMap((event) =>
      event.type === 'change-finished' ? [`${event.id} ${event.outcome} ${event.error?.code ?? ''}`.trim()] : [],
    ),
    errors: events.flatMap((event) => (event.type === 'change-finished' && event.error ? [event.error] : [])),
  }
}

test('what is locked is fetched by its manifest, byte for byte', async () => {
  const compact = formatManifest(manifest)
  const spacious = JSON.stringify(JSON.parse(compact), null, 2)
  for (const [text, written] of [
    [compact, undefined],
    [spacious, spacious],
  ] as const) {
    const backend = new MemoryBackend([], 'store')
    // No tag leads there any more.
    backend.unavailable.add('a:latest')
    assert.deepEqual((await run(backend, lockedPull(planned(manifest, text, written)))).results, ['pull a:latest done'])
    assert.equal(backend.manifests.get('a:latest'), text)
  }
})

test('a server, and what is not locked, have the tag', async () => {
  const text = formatManifest(manifest)
  const change = lockedPull(planned(manifest, text))
  const host = new MemoryBackend()
  host.served.set('a:latest', change.manifest?.digest ?? '')
  assert.deepEqual((await run(host, change)).results, ['pull a:latest done'])
  const store = new MemoryBackend([], 'store')
  assert.deepEqual((await run(store, { ...change, locked: false })).results, ['pull a:latest done'])
  assert.deepEqual([host.manifests.size, store.manifests.size], [0, 0])
})

test('a plan from elsewhere cannot put other bytes in the place of what its digest and its layers say', async () => {
  const text = formatManifest(manifest)
  const other = formatManifest({ ...manifest, layers: [layer('3')] })
  const good = planned(manifest, text)
  const cases: readonly PlannedManifest[] = [
    { ...good, digest: digest('9') },
    { ...good, text: other },
    // The right digest of a text that is not of these layers, which are what is compared with the lock.
    { ...good, text: other, digest: `sha256:${sha256(other)}` },
    { ...good, text: 'no manifest', digest: `sha256:${sha256('no manifest')}` },
  ]
  for (const wrong of cases) {
    const backend = new MemoryBackend([], 'store')
    assert.deepEqual((await run(backend, lockedPull(wrong))).results, ['pull a:latest failed invalid-plan'])
    assert.deepEqual(backend.done, [])
  }
})

test('the place is held from before it is read until the end, also of a run that fails or is left', async () => {
  const backend = new MemoryBackend(['old'], 'store')
  const steps: string[] = []
  backend.before = (step) => void steps.push(`${step}${step === 'hold' || backend.held ? '' : ' unheld'}`)
  const changes = [
    pull('a:latest'),
    { ...deletion('old:latest'), precondition: { digest: installedModel('old').digest } },
  ]
  assert.deepEqual((await run(backend, ...changes)).results, ['pull a:latest done', 'delete old:latest done'])
  assert.deepEqual([steps[0], steps[1], steps.filter((step) => step.endsWith('unheld'))], ['hold', 'list', []])
  assert.equal(backend.held, false)

  backend.before = (step) => {
    if (step === 'list') throw new OllamaConfigError('file-not-written', 'No luck')
  }
  await assert.rejects(run(backend, pull('b:latest')), { code: 'file-not-written' })
  assert.equal(backend.held, false)

  backend.before = () => {}
  const options = { backend, approve: everything, now: () => 0 }
  for await (const event of applyTarget(target('store', pull('c:latest')), options)) {
    assert.equal(backend.held, true)
    if (event.type === 'change-started') break
  }
  assert.equal(backend.held, false)
})

test('whoever waits for another process is told of it before all else, and may give up', async () => {
  const backend = new MemoryBackend([], 'store')
  const holder = 'process 4711, since 10:15:00'
  backend.holder = `${holder}\u001b[2K`
  const { events, results } = await run(backend, pull('a:latest'))
  assert.deepEqual(
    events.slice(0, 2).map((event) => (event.type === 'waiting' ? event.holder.startsWith(holder) : event.type)),
    [true, 'apply-started'],
  )
  assert.ok(!JSON.stringify(events).includes('u001b'))
  assert.deepEqual(results, ['pull a:latest done'])

  class BusyBackend extends MemoryBackend {
    override async hold({ signal, onWait }: Parameters<MemoryBackend['hold']>[0] = {}) {
      onWait?.(holder)
      await new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)))
      return super.hold()
    }
  }
  const busy = new BusyBackend([], 'store')
  const give = () => {
    const options = { backend: busy, approve: everything, now: () => 0 }
    return createApplyRun((signal) => applyTarget(target('store', pull('a:latest')), { ...options, signal }))
  }
  const left = give()
  for await (const event of left) {
    assert.equal(event.type, 'waiting')
    break
  }
  await assert.rejects(left.report, { name: 'AbortError' })
  for await (const event of applyTarget(target('store', pull('a:latest')), {
    backend: busy,
    approve: everything,
    now: () => 0,
  })) {
    assert.equal(event.type, 'waiting')
    break
  }
  assert.deepEqual([busy.done, busy.held], [[], false])
})

test('who reads late gets newer progress for older, and never before what happened in between', async () => {
  const progress = (completedBytes: number): Event => ({
    type: 'change-progress',
    id: 'pull:a:latest',
    status: 'pulling',
    completedBytes,
    totalBytes: 9,
    waiting: false,
  })
  const error = { code: 'stream-ended', message: 'No' } as const
  const retrying: Event = { type: 'change-retrying', id: 'pull:a:latest', attempt: 2, pauseMs: 0, error }
  const run = createApplyRun(async function* () {
    yield* [progress(1), progress(2), retrying, progress(3), progress(4)]
  })
  await run.report
  const events: Event[] = []
  for await (const event of run) events.push(event)
  assert.deepEqual(events, [progress(2), retrying, progress(4)])
})

test('where nothing is to be done nobody is waited for', async () => {
  const backend = new MemoryBackend([], 'store')
  backend.before = (step) => {
    if (step === 'hold') throw new OllamaConfigError('file-not-written', 'This place cannot be written')
  }
  const options = { backend, approve: { changes: false, deletions: false }, now: () => 0 }
  const types: string[] = []
  for await (const { type } of applyTarget(target('store', pull('a:latest')), options)) types.push(type)
  assert.deepEqual(types, ['apply-started', 'change-finished', 'apply-finished'])
})

test('what a store claims and does not do is not said of a server', async () => {
  const backend = new MemoryBackend([], 'store')
  backend.before = (step) => {
    if (step === 'list') backend.uninstall('a')
  }
  const [error] = (await run(backend, pull('a:latest'))).errors
  assert.equal(error?.message, 'The store reported success for "a:latest", but does not list it')
  assert.equal(error.hint, 'look whether another program changes the folder')
})
