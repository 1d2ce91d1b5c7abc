/** Updates, kept versions, rollbacks, what was planned against what came. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Approval, applyTarget } from '../../src/apply/apply.ts'
import type { Event } from '../../src/apply/events.ts'
import { PullMeter } from '../../src/apply/pull-progress.ts'
import type { BlobId, BlobLookup, CallOptions } from '../../src/backend/backend.ts'
import type { PlannedManifest, RestoreChange, Target, UpdateChange } from '../../src/plan/plan.ts'
import { abortable } from '../../src/runtime/abortable.ts'
import { pull } from '../cli/views/events.ts'
import { installedModel, MemoryBackend } from '../support/memory-backend.ts'

const digest = (fill: string) => `sha256:${fill.repeat(64).slice(0, 64)}`
const everything: Approval = { changes: true, deletions: true, irreplaceable: true }

function target(...changes: Target['changes']): Target {
  return {
    address: 'http://127.0.0.1:11434',
    kind: 'host',
    serverVersion: '0.33.0',
    changes,
    drift: [],
    diagnostics: [],
  }
}

function update(name: string, from: string, to: string, more: Partial<UpdateChange> = {}): UpdateChange {
  return {
    ...pull(name),
    id: `update:${name}`,
    action: 'update',
    before: { digest: digest(from), sizeBytes: 1 },
    after: { digest: digest(to), sizeBytes: 1 },
    precondition: { digest: digest(from) },
    keepAs: null,
    ...more,
  }
}

function host(served: Record<string, string>, ...models: [name: string, fill: string][]): MemoryBackend {
  const backend = new MemoryBackend(models.map(([name, fill]) => installedModel(name, { digest: digest(fill) })))
  for (const [name, fill] of Object.entries(served)) backend.served.set(name, digest(fill))
  return backend
}

async function run(
  plan: Target,
  backend: MemoryBackend,
  options: { strict?: boolean; onEvent?: (event: Event) => void } = {},
) {
  const events: Event[] = []
  for await (const event of applyTarget(plan, { backend, approve: everything, strict: options.strict, now: () => 0 })) {
    options.onEvent?.(event)
    events.push(event)
  }
  return {
    events,
    results: events.flatMap((event) =>
      event.type === 'change-finished' ? [`${event.id} ${event.outcome} ${event.error?.code ?? ''}`.trim()] : [],
    ),
    notes: events.flatMap((event) => (event.type === 'diagnostic' ? [event.diagnostic.code] : [])),
  }
}

const digestOf = async (backend: MemoryBackend, name: string) =>
  (await backend.readState()).models.find((model) => model.name === name)?.digest

test('an update replaces the version that it was planned against, and no other', async () => {
  const good = host({ 'a:latest': '2' }, ['a:latest', '1'])
  assert.deepEqual((await run(target(update('a:latest', '1', '2')), good)).results, ['update:a:latest done'])
  assert.equal(await digestOf(good, 'a:latest'), digest('2'))
  const replaced = host({ 'a:latest': '2' }, ['a:latest', '3'])
  assert.deepEqual((await run(target(update('a:latest', '1', '2')), replaced)).results, [
    'update:a:latest failed stale-plan',
  ])
  assert.deepEqual((await run(target(update('a:latest', '1', '2')), host({ 'a:latest': '2' }))).results, [
    'update:a:latest failed stale-plan',
  ])
  const done = host({ 'a:latest': '9' }, ['a:latest', '2'])
  const quicker = await run(target(update('a:latest', '1', '2')), done)
  assert.deepEqual([quicker.results, done.done], [['update:a:latest done'], []])
})

test('a tag that moved meanwhile: a warning, but a failure where the version is locked', async () => {
  const open = await run(target(update('a:latest', '1', '2')), host({ 'a:latest': '3' }, ['a:latest', '1']))
  assert.deepEqual([open.results, open.notes], [['update:a:latest done'], ['tag-moved']])
  const locked = await run(
    target(update('a:latest', '1', '2', { locked: true })),
    host({ 'a:latest': '3' }, ['a:latest', '1']),
  )
  assert.deepEqual([locked.results, locked.notes], [['update:a:latest failed verification-failed'], []])
  const other = { ...pull('a:latest'), after: { digest: digest('2'), sizeBytes: 1 }, locked: true }
  // Somebody pulled another version than the locked one in between.
  const foreign = await run(target(other), host({ 'a:latest': '2' }, ['a:latest', '3']))
  assert.deepEqual(foreign.results, ['pull a:latest failed stale-plan'])
})

test('a server that prints manifests anew lists another digest of the same: its blobs tell', async () => {
  class OldServer extends MemoryBackend {
    override async readState(...options: Parameters<MemoryBackend['readState']>) {
      return { ...(await super.readState(...options)), serverVersion: '0.18.9' }
    }
  }
  const blob = { mediaType: 'm', digest: digest('b'), sizeBytes: 1, onHost: false }
  const manifest: PlannedManifest = { digest: digest('2'), config: null, layers: [blob] }
  const cases: [PlannedManifest | null, string[], string[]][] = [
    [manifest, [digest('b')], []],
    [manifest, [digest('c')], ['tag-moved']],
    [null, [], []],
  ]
  for (const [planned, blobs, notes] of cases) {
    const backend = new OldServer()
    backend.served.set('a:latest', digest('3'))
    for (const name of blobs) backend.blobs.add(name)
    const change = { ...pull('a:latest'), after: { digest: digest('2'), sizeBytes: 1 }, manifest: planned }
    const done = await run(target(change), backend)
    assert.deepEqual([done.results, done.notes], [['pull a:latest done'], notes])
  }
})

test('after an interruption nobody waits for an old server that does not tell of its blobs', {
  timeout: 20_000,
}, async (t) => {
  // As the connection to a real one does.
  const alive = setInterval(() => {}, 1000)
  t.after(() => clearInterval(alive))
  const stop = new AbortController()
  class OldServer extends MemoryBackend {
    override async readState(...options: Parameters<MemoryBackend['readState']>) {
      return { ...(await super.readState(...options)), serverVersion: '0.18.9' }
    }
    override openBlobs(): BlobLookup {
      const has = (_: BlobId, { signal }: CallOptions = {}) => {
        stop.abort(new Error('stop'))
        return abortable(new Promise<boolean>(() => {}), signal)
      }
      return { has, close: () => {} }
    }
  }
  const blob = { mediaType: 'm', digest: digest('b'), sizeBytes: 1, onHost: false }
  const manifest: PlannedManifest = { digest: digest('2'), config: null, layers: [blob] }
  const change = { ...pull('a:latest'), after: { digest: digest('2'), sizeBytes: 1 }, manifest }
  const ends: string[] = []
  const { signal } = stop
  for await (const event of applyTarget(target(change), {
    backend: new OldServer(),
    approve: everything,
    signal,
    now: () => 0,
  }))
    if (event.type === 'change-finished') ends.push(event.outcome)
  assert.deepEqual(ends, ['cancelled'])
})

test('a cloud model is installed when it is listed: to look at it takes an account', async () => {
  const backend = host({})
  const steps: string[] = []
  backend.before = (step) => {
    steps.push(step)
    if (step === 'list' && backend.done.length > 0)
      backend.install(installedModel('a:cloud', { remoteHost: 'https://ollama.com' }))
  }
  assert.deepEqual((await run(target(pull('a:cloud')), backend)).results, ['pull a:cloud done'])
  assert.deepEqual(
    steps.filter((step) => step.startsWith('show')),
    [],
  )
})

test('what is blocked fails without a request; the others go on, and nothing is deleted', async () => {
  const blocked = { code: 'locked-version-gone', message: 'gone', hint: 'update' } as const
  const backend = host({}, ['old:latest', '1'])
  const { deletion } = await import('../cli/views/events.ts')
  const doomed = { ...deletion('old:latest'), precondition: { digest: digest('1') } }
  const { results } = await run(target({ ...pull('a:latest'), blocked }, pull('b:latest'), doomed), backend)
  assert.deepEqual(results, [
    'pull a:latest failed locked-version-gone',
    'pull b:latest done',
    'delete old:latest skipped',
  ])
  assert.deepEqual(backend.done, ['pull b:latest'])
})

test('the previous version is copied aside before it is replaced, and told before it is copied', async () => {
  const keepAs = 'a:latest-previous-111111111111'
  const change = update('a:latest', '1', '2', { keepAs })
  const backend = host({ 'a:latest': '2' }, ['a:latest', '1'])
  const atEvent: string[][] = []
  const { results } = await run(target(change), backend, {
    onEvent: (event) => {
      if (event.type === 'keeping-previous') atEvent.push([...backend.done])
    },
  })
  assert.deepEqual(results, ['update:a:latest done'])
  assert.deepEqual(atEvent, [[]])
  assert.deepEqual(backend.done, [`copy a:latest ${keepAs}`, 'pull a:latest'])
  assert.equal(await digestOf(backend, keepAs), digest('1'))
  const taken = host({ 'a:latest': '2' }, ['a:latest', '1'], [keepAs, '7'])
  const told: string[] = []
  const { results: refused } = await run(target(change), taken, { onEvent: ({ type }) => told.push(type) })
  assert.deepEqual(refused, ['update:a:latest failed stale-plan'])
  assert.ok(!told.includes('keeping-previous'), 'of a copy that is not made nobody is told')
  assert.equal(await digestOf(taken, keepAs), digest('7'))
  const there = host({ 'a:latest': '2' }, ['a:latest', '1'], [keepAs, '1'])
  assert.deepEqual((await run(target(change), there)).results, ['update:a:latest done'])
  const moved = host({ 'a:latest': '2' }, ['a:latest', '1'])
  moved.before = (step) => {
    if (step.startsWith('copy')) moved.install(installedModel('a:latest', { digest: digest('5') }))
  }
  assert.deepEqual((await run(target(change), moved)).results, ['update:a:latest failed stale-plan'])
  assert.equal(await digestOf(moved, 'a:latest'), digest('5'), 'of what came meanwhile there is no copy')
  const failing = host({ 'a:latest': '2' }, ['a:latest', '1'])
  failing.before = (step) => {
    if (step.startsWith('copy')) throw new Error('disk full')
  }
  await run(target(change), failing)
  assert.equal(await digestOf(failing, 'a:latest'), digest('1'), 'without its copy nothing is replaced')
})

test('a restore puts the copy back, and only what it was planned from', async () => {
  const change: RestoreChange = {
    id: 'restore:a:latest',
    action: 'restore',
    reference: 'a:latest',
    cloud: false,
    before: { digest: digest('2'), sizeBytes: 1 },
    after: { digest: digest('1'), sizeBytes: 1 },
    dependsOn: [],
    precondition: { digest: digest('2'), source: digest('1') },
    downloadBytes: 0,
    freedBytes: 0,
    from: 'a:p',
    reason: { code: 'rollback', text: 'back' },
  }
  const good = host({}, ['a:latest', '2'], ['a:p', '1'])
  assert.deepEqual((await run(target(change), good)).results, ['restore:a:latest done'])
  assert.deepEqual(good.done, ['copy a:p a:latest', 'delete a:p'])
  assert.equal(await digestOf(good, 'a:latest'), digest('1'))
  const cases: MemoryBackend[] = [
    host({}, ['a:latest', '2']),
    host({}, ['a:latest', '2'], ['a:p', '5']),
    host({}, ['a:latest', '5'], ['a:p', '1']),
  ]
  for (const backend of cases) {
    assert.deepEqual((await run(target(change), backend)).results, ['restore:a:latest failed stale-plan'])
    assert.deepEqual(backend.done, [])
  }
  const lost = host({}, ['a:p', '1'])
  assert.deepEqual(
    (await run(target({ ...change, precondition: { digest: null, source: digest('1') } }), lost)).results,
    ['restore:a:latest done'],
  )
})

test('strict: one precondition that no longer holds stops everything, before anything happens; other models may move', async () => {
  const plan = target(pull('new:latest'), update('a:latest', '1', '2'))
  const moved = host({}, ['a:latest', '1'], ['new:latest', '4'])
  await assert.rejects(run(plan, moved, { strict: true }), { code: 'stale-plan', message: /"new:latest"/ })
  const replaced = host({}, ['a:latest', '5'])
  await assert.rejects(run(plan, replaced, { strict: true }), { code: 'stale-plan', message: /"a:latest"/ })
  assert.deepEqual([...moved.done, ...replaced.done], [])
  const others = host({ 'a:latest': '2' }, ['a:latest', '1'], ['foreign:latest', '8'])
  assert.equal((await run(plan, others, { strict: true })).results.length, 2)
})

test('progress with a manifest: the total stands from the start, whatever lines come', () => {
  const blob = (fill: string, sizeBytes: number, onHost: boolean) => ({
    mediaType: 'm',
    digest: digest(fill),
    sizeBytes,
    onHost,
  })
  const manifest: PlannedManifest = {
    digest: digest('f'),
    config: blob('4', 7, false),
    layers: [blob('1', 100, false), blob('2', 1000, true), blob('3', 20, false)],
  }
  const meter = new PullMeter('id', manifest)
  const at = (line: Parameters<PullMeter['update']>[0]) => {
    const { completedBytes, totalBytes, waiting } = meter.update(line)
    return [completedBytes, totalBytes, waiting]
  }
  assert.deepEqual(at({ status: 'pulling manifest' }), [1000, 1127, false])
  // Resumed: it starts above zero.
  assert.deepEqual(at({ status: 'pulling 1', digest: digest('1'), totalBytes: 100, completedBytes: 60 }), [
    1060,
    1127,
    false,
  ])
  // A retry rolls back.
  assert.deepEqual(at({ status: 'pulling 1', digest: digest('1'), totalBytes: 100, completedBytes: 40 }), [
    1040,
    1127,
    false,
  ])
  // A line without numbers waits for another client.
  assert.deepEqual(at({ status: 'pulling 1', digest: digest('1') }), [1040, 1127, true])
  // Later layers mean that the earlier ones are there, though the last line said less.
  assert.deepEqual(at({ status: 'pulling 3', digest: digest('3'), totalBytes: 20, completedBytes: 5 }), [
    1105,
    1127,
    false,
  ])
  // More than the size is not believed.
  assert.deepEqual(at({ status: 'pulling 3', digest: digest('3'), totalBytes: 20, completedBytes: 900 }), [
    1120,
    1127,
    false,
  ])
  // A small blob comes without a line.
  assert.deepEqual(at({ status: 'verifying sha256 digest' }), [1127, 1127, false])
  assert.deepEqual(at({ status: 'success' }), [1127, 1127, false])
})

test('where layers come at once, a line of one says nothing of the others', () => {
  const blob = (fill: string, sizeBytes: number) => ({
    mediaType: 'm',
    digest: digest(fill),
    sizeBytes,
    onHost: false,
  })
  const manifest: PlannedManifest = {
    digest: digest('f'),
    config: null,
    layers: [blob('1', 100), blob('2', 20)],
  }
  const meter = new PullMeter('id', manifest, false)
  const line = (fill: string, totalBytes: number, completedBytes: number) =>
    meter.update({ status: 'pulling', digest: digest(fill), totalBytes, completedBytes }).completedBytes
  assert.deepEqual([line('2', 20, 20), line('1', 100, 30), line('1', 100, 100)], [20, 50, 120])
})

test('progress of a model in tensor files is told as one layer that is in no manifest', () => {
  const meter = new PullMeter('id', {
    digest: digest('f'),
    config: null,
    layers: [{ mediaType: 'm', digest: digest('1'), sizeBytes: 9, onHost: false }],
  })
  const line = { status: 'pulling model', digest: 'sha256:model' }
  assert.equal(meter.update({ ...line, totalBytes: 50, completedBytes: 10 }).totalBytes, 50)
  assert.equal(meter.update({ ...line, totalBytes: 50, completedBytes: 30 }).completedBytes, 30)
  assert.deepEqual(meter.update({ status: 'success' }).totalBytes, 50)
})
