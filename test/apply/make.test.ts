/** What is built, copied and put back, where the host is no longer as it was planned, or does not do what it says. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Approval, applyTarget } from '../../src/apply/apply.ts'
import type { Event } from '../../src/apply/events.ts'
import type { ModelDetails } from '../../src/backend/backend.ts'
import type { AliasChange, DeriveChange, PlannedBuild, RestoreChange, Target } from '../../src/plan/plan.ts'
import { abortable } from '../../src/runtime/abortable.ts'
import { deletion } from '../cli/views/events.ts'
import { installedModel, MemoryBackend, shownModel } from '../support/memory-backend.ts'

const digest = (fill: string) => `sha256:${fill.repeat(64).slice(0, 64)}`
const everything: Approval = { changes: true, deletions: true, irreplaceable: true }

const facts = { cloud: false, before: null, dependsOn: [], downloadBytes: 0, freedBytes: 0 } as const

function alias(more: Partial<AliasChange> = {}): AliasChange {
  return {
    ...facts,
    id: 'alias:fast:latest',
    action: 'alias',
    reference: 'fast:latest',
    after: { digest: digest('1'), sizeBytes: 1 },
    precondition: { digest: null, source: digest('1') },
    of: 'a:latest',
    keepAs: null,
    reason: { code: 'missing', text: 'not there' },
    ...more,
  }
}

const build: PlannedBuild = {
  from: 'a:latest',
  files: [],
  adapters: [],
  quantize: null,
  system: 'Be brief.',
  template: null,
  parameters: {},
  messages: [],
  licenses: [],
  renderer: null,
  parser: null,
  requires: null,
}

function derive(more: Partial<DeriveChange> = {}): DeriveChange {
  return {
    ...facts,
    id: 'derive:mine:latest',
    action: 'derive',
    reference: 'mine:latest',
    after: { digest: digest('9'), sizeBytes: 1 },
    precondition: { digest: null, base: digest('1') },
    build,
    declaration: '0'.repeat(64),
    blobs: null,
    uploadBytes: null,
    keepAs: null,
    reason: { code: 'missing', text: 'not there' },
    ...more,
  }
}

function restore(more: Partial<RestoreChange> = {}): RestoreChange {
  return {
    ...facts,
    id: 'restore:a:latest',
    action: 'restore',
    reference: 'a:latest',
    after: { digest: digest('1'), sizeBytes: 1 },
    precondition: { digest: digest('2'), source: digest('1') },
    from: 'a:p',
    reason: { code: 'rollback', text: 'back' },
    ...more,
  }
}

class Host extends MemoryBackend {
  /** What `show` tells, by name. */
  readonly details = new Map<string, ModelDetails>()

  override async show(...[name, options]: Parameters<MemoryBackend['show']>): Promise<ModelDetails> {
    const shown = await super.show(name, options)
    return this.details.get(name) ?? shown
  }
}

function host(...models: [name: string, fill: string][]): Host {
  return new Host(models.map(([name, fill]) => installedModel(name, { digest: digest(fill) })))
}

async function run(
  backend: MemoryBackend,
  change: Target['changes'][number],
  { strict, signal }: { strict?: boolean; signal?: AbortSignal } = {},
) {
  const target: Target = {
    address: backend.address,
    kind: backend.kind,
    serverVersion: null,
    changes: [change],
    drift: [],
    diagnostics: [],
  }
  const events: Event[] = []
  for await (const event of applyTarget(target, { backend, approve: everything, strict, signal, now: () => 0 }))
    events.push(event)
  const [end] = events.flatMap((event) => (event.type === 'change-finished' ? [event] : []))
  return {
    outcome: end?.outcome,
    code: end?.error?.code,
    message: end?.error?.message ?? '',
    notes: events.flatMap((event) => (event.type === 'diagnostic' ? [event.diagnostic.message] : [])),
  }
}

test('an alias is made only of the version that it was planned of, and only where nothing else is', async () => {
  const good = host(['a:latest', '1'])
  assert.equal((await run(good, alias())).outcome, 'done')
  assert.deepEqual(good.done, ['copy a:latest fast:latest'])
  const cases: [MemoryBackend, AliasChange, RegExp][] = [
    [host(), alias(), /"a:latest", which it starts from, is not installed$/],
    [host(['a:latest', '2']), alias(), /"a:latest", which it starts from, was replaced since/],
    [host(['a:latest', '1'], ['fast:latest', '7']), alias(), /"fast:latest" was not made: it was installed since/],
    [
      host(['a:latest', '1'], ['fast:latest', '7']),
      alias({ precondition: { digest: digest('6'), source: digest('1') } }),
      /"fast:latest" was not made: it was replaced since/,
    ],
    [
      host(['a:latest', '1']),
      alias({ precondition: { digest: digest('6'), source: digest('1') } }),
      /"fast:latest" was not made: it was deleted since/,
    ],
  ]
  for (const [backend, change, expected] of cases) {
    const { outcome, code, message } = await run(backend, change)
    assert.deepEqual([outcome, code], ['failed', 'stale-plan'], message)
    assert.match(message, expected)
    assert.deepEqual(backend.done, [])
  }
  const quicker = host(['a:latest', '1'], ['fast:latest', '1'])
  assert.equal((await run(quicker, alias())).outcome, 'done')
  assert.deepEqual(quicker.done, [])
})

test('a copy that lists another version afterwards is none', async () => {
  const backend = host(['a:latest', '1'])
  backend.before = (step) => {
    if (step === 'list' && backend.done.length > 0)
      backend.install(installedModel('fast:latest', { digest: digest('5') }))
  }
  const { code, message } = await run(backend, alias())
  assert.equal(code, 'verification-failed')
  assert.match(message, /copied "a:latest" to "fast:latest", but lists another version there/)
})

test('what another apply built meanwhile is taken where the server tells of nothing else, and is not built over where it does', async () => {
  const same = host(['a:latest', '1'], ['mine:latest', '7'])
  same.details.set('mine:latest', shownModel({ system: 'Be brief.' }))
  assert.equal((await run(same, derive())).outcome, 'done')
  assert.deepEqual(same.done, [])

  const other = host(['a:latest', '1'], ['mine:latest', '7'])
  other.details.set('mine:latest', shownModel({ system: 'Be long.' }))
  const unasked = host(['a:latest', '1'])
  unasked.install(installedModel('mine:latest', { digest: digest('7'), remoteHost: 'https://ollama.com' }))
  for (const [backend, change] of [
    [other, derive()],
    // Of these two nobody can tell whether they are as declared.
    [unasked, derive()],
    [host(['mine:latest', '7']), derive()],
  ] as const) {
    const { code, message } = await run(backend, change)
    assert.equal(code, 'stale-plan')
    assert.match(message, /"mine:latest" was not built: it was installed since the plan was made/)
    assert.deepEqual(backend.done, [])
  }
})

test('a build with another digest than foreseen must be as declared', async () => {
  const good = host(['a:latest', '1'])
  good.details.set('mine:latest', shownModel({ system: 'Be brief.' }))
  assert.equal((await run(good, derive())).outcome, 'done')
  assert.deepEqual(good.done, ['create mine:latest'])
  const bad = host(['a:latest', '1'])
  bad.details.set('mine:latest', shownModel({ system: 'Be long.' }))
  const { code, message } = await run(bad, derive())
  assert.equal(code, 'verification-failed')
  assert.match(message, /built "mine:latest", but it is not as declared: system/)
})

test('after an interruption nobody waits for what a host tells of a build', { timeout: 20_000 }, async (t) => {
  // As the connection to a real one does.
  const alive = setInterval(() => {}, 1000)
  t.after(() => clearInterval(alive))
  // What another apply built; and what this one did, which was looked at once, when it was found in the listing.
  for (const [installed, hangsAt] of [
    [['mine:latest', '7'], 1],
    [undefined, 2],
  ] as const) {
    const stop = new AbortController()
    class Hanging extends Host {
      #shows = 0
      override async show(...[name, options]: Parameters<Host['show']>): Promise<ModelDetails> {
        if (name === 'mine:latest' && ++this.#shows === hangsAt) {
          stop.abort(new Error('stop'))
          await abortable(new Promise(() => {}), options?.signal)
        }
        return super.show(name, options)
      }
    }
    const backend = new Hanging([installedModel('a:latest', { digest: digest('1') })])
    if (installed !== undefined) backend.install(installedModel(installed[0], { digest: digest(installed[1]) }))
    assert.equal((await run(backend, derive(), { signal: stop.signal })).outcome, 'cancelled')
  }
})

test('a restore does not take a name of the model itself for its copy, and does not believe what is not listed', async () => {
  for (const from of ['a', 'A:LATEST']) {
    const backend = host(['a:latest', '2'])
    const { code, message } = await run(
      backend,
      restore({ from, precondition: { digest: digest('2'), source: digest('2') } }),
    )
    assert.equal(code, 'stale-plan')
    assert.match(message, new RegExp(`"${from}" is no copy of it`))
    assert.deepEqual(backend.done, [])
  }
  const liar = host(['a:latest', '2'], ['a:p', '1'])
  liar.before = (step) => {
    if (step === 'list' && liar.done.length > 0) liar.install(installedModel('a:latest', { digest: digest('2') }))
  }
  const { code, message } = await run(liar, restore())
  assert.equal(code, 'verification-failed')
  assert.match(message, /restored "a:latest", but lists another version/)
  assert.ok(!liar.done.includes('delete a:p'), 'without a proof the copy stays')
})

test('a copy that cannot be removed after a restore is left with a warning', async () => {
  const backend = host(['a:latest', '2'], ['a:p', '1'])
  backend.before = (step) => {
    if (step === 'delete a:p') throw new Error('No luck')
  }
  const { outcome, notes } = await run(backend, restore())
  assert.equal(outcome, 'done')
  assert.match(notes.join(), /^The copy "a:p" is left: /)
})

test('a deletion that is only claimed is none', async () => {
  class Liar extends MemoryBackend {
    override async delete(): Promise<void> {}
  }
  const old = installedModel('old', { digest: digest('1') })
  const doomed = { ...deletion('old:latest'), precondition: { digest: digest('1') } }
  const { code, message } = await run(new Liar([old]), doomed)
  assert.equal(code, 'verification-failed')
  assert.match(message, /deleted "old.*", but still lists it/)
})

test('strict: what an alias, a build and a restore start from must be as planned, too', async () => {
  const cases: [AliasChange | DeriveChange | RestoreChange, MemoryBackend][] = [
    [alias(), host(['a:latest', '2'])],
    [derive(), host(['a:latest', '2'])],
    [restore(), host(['a:latest', '2'], ['a:p', '3'])],
    // At its goal already, but a restore also removes the copy.
    [restore({ precondition: { digest: digest('2'), source: digest('1') } }), host(['a:latest', '1'])],
  ]
  for (const [change, backend] of cases) {
    await assert.rejects(run(backend, change, { strict: true }), {
      code: 'stale-plan',
      message: `Nothing was changed: since the plan was made, "${change.reference}" changed on the host`,
    })
    assert.deepEqual(backend.done, [])
  }
  const store = new MemoryBackend([installedModel('a:latest', { digest: digest('2') })], 'store')
  await assert.rejects(run(store, alias(), { strict: true }), { message: /"fast:latest" changed in the store$/ })
  // A base that only this plan brings cannot be looked at before.
  const fresh = host(['a:latest', '2'])
  const later = alias({ precondition: { digest: null, source: null } })
  assert.equal((await run(fresh, later, { strict: true })).outcome, 'done')
})
