/** The plan with what lock, record and registries say. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { blobsOf, type Layer, type Manifest } from '../../src/artifact/manifest.ts'
import { parseReference, referenceKey } from '../../src/artifact/reference.ts'
import type { ManifestAnswer } from '../../src/artifact/served.ts'
import type { Config } from '../../src/config/config.ts'
import { resolveConfig } from '../../src/config/resolve.ts'
import { questions } from '../../src/plan/ask.ts'
import { diff } from '../../src/plan/diff.ts'
import { outdatedModels } from '../../src/plan/outdated.ts'
import { type Change, isFetch, isPending } from '../../src/plan/plan.ts'
import { asDeclared, type Intent, nothingResolved, type Pin, type Resolution } from '../../src/plan/resolution.ts'
import type { ActualState, InstalledModel } from '../../src/plan/state.ts'
import { installedModel } from '../support/memory-backend.ts'

const key = (name: string) => referenceKey(parseReference(name))
const digest = (fill: string) => `sha256:${fill.repeat(64).slice(0, 64)}`

function layer(kind: string, fill: string, sizeBytes: number): Layer {
  return { mediaType: `application/vnd.ollama.image.${kind}`, digest: digest(fill), sizeBytes }
}

const configLayer: Layer = {
  mediaType: 'application/vnd.docker.container.image.v1+json',
  digest: digest('c0'),
  sizeBytes: 7,
}
const weights = layer('model', 'a0', 1000)
const small: Manifest = { config: configLayer, layers: [weights, layer('template', 'b0', 20)] }
const newer: Manifest = {
  config: { ...configLayer, digest: digest('c1') },
  layers: [weights, layer('template', 'b1', 30)],
}

function found(fill: string, manifest: Manifest, pushedAt: string | null = null): ManifestAnswer {
  return { kind: 'found', served: { digest: digest(fill), text: `text of ${fill}`, manifest, pushedAt } }
}

const unreachable: ManifestAnswer = {
  kind: 'unknown',
  problem: 'r.example cannot be reached',
  hint: 'check the network',
}

interface Known extends Partial<Omit<Resolution, 'pins' | 'answers' | 'blobs'>> {
  pins?: Record<string, Pin>
  answers?: Record<string, ManifestAnswer>
  /** Digests that the host has; every other blob it has not. */
  onHost?: readonly string[]
}

function resolution({ pins = {}, answers = {}, onHost, ...rest }: Known = {}): Resolution {
  const byKey = <T>(entries: Record<string, T>) =>
    new Map(Object.entries(entries).map(([name, value]) => [key(name), value]))
  const asked = [...Object.values(answers), ...Object.values(pins)].flatMap((entry) => {
    const manifest = 'kind' in entry ? (entry.kind === 'found' ? entry.served.manifest : null) : entry.manifest
    return manifest === null ? [] : blobsOf(manifest)
  })
  const blobs = new Map(onHost === undefined ? [] : asked.map((blob) => [blob.digest, onHost.includes(blob.digest)]))
  return { ...nothingResolved, ...rest, pins: byKey(pins), answers: byKey(answers), blobs }
}

function planOf(
  config: Config,
  models: readonly (string | InstalledModel)[],
  known: Known,
  intent: Partial<Intent> = {},
  serverVersion = '0.33.0',
) {
  const actual: ActualState = {
    serverVersion,
    models: models.map((model) => (typeof model === 'string' ? installedModel(model) : model)),
    unreadable: [],
  }
  const { desired } = resolveConfig(config)
  const seen = resolution(known)
  const full = { ...asDeclared, ...intent }
  return {
    ...diff(desired, actual, seen, full),
    asked: questions(desired, actual, seen, full).map((question) => question.key),
  }
}

const changeOf = (changes: readonly Change[], reference: string): Change => {
  const change = changes.find((candidate) => candidate.reference === reference)
  assert.ok(change !== undefined, reference)
  return change
}

const version = (name: string, fill: string) => installedModel(name, { digest: digest(fill) })
const pin = (fill: string, manifest: Manifest | null = small): Pin => ({ digest: digest(fill), manifest })

test('bytes: what the host lacks, shared blobs once, unknown is null', () => {
  const onHost = [configLayer.digest]
  const { changes } = planOf({ models: ['a', 'b', 'c', 'big:cloud'] }, [], {
    answers: { a: found('1', small), b: found('2', newer), c: unreachable },
    onHost: [...onHost],
  })
  const bytes = ['a:latest', 'b:latest', 'c:latest', 'big:cloud'].map((name) => {
    const { downloadBytes } = changeOf(changes, name)
    const change = changeOf(changes, name)
    return [downloadBytes, isFetch(change) ? change.presentBytes : undefined]
  })
  // The weights come with a; b adds its template and config.
  assert.deepEqual(bytes, [
    [1020, 7],
    [37, 0],
    [null, null],
    [null, null],
  ])
  const unasked = planOf({ models: ['a'] }, [], { answers: { a: found('1', small) } }).changes
  assert.equal(changeOf(unasked, 'a:latest').downloadBytes, null)
})

test('only models in question are asked about', () => {
  const asked = (
    config: Config,
    models: readonly (string | InstalledModel)[],
    known: Known = {},
    intent: Partial<Intent> = {},
  ) => planOf(config, models, known, intent).asked
  assert.deepEqual(asked({ models: ['a', 'b', 'c:cloud'] }, ['a']), [key('b')])
  assert.deepEqual(asked({ models: ['a'] }, ['a', 'old']), [])
  assert.deepEqual(asked({ models: ['a'] }, ['a'], {}, { update: 'all' }), [key('a')])
  assert.deepEqual(asked({ models: ['a', 'b'] }, ['a', 'b'], {}, { update: new Set([key('b')]) }), [key('b')])
  assert.deepEqual(asked({ models: ['a'] }, [version('a', '1')], { pins: { a: pin('1') } }), [])
  assert.deepEqual(asked({ models: ['a'] }, [version('a', '2')], { pins: { a: pin('1') } }), [key('a')])
  const made = installedModel('made', { parentModel: 'a:latest' })
  const remote = installedModel('r', { remoteHost: 'https://ollama.com:443' })
  assert.deepEqual(
    asked({ models: ['a'], keep: ['kept'] }, ['a', 'old', made, remote, 'kept'], {}, { checkDeletions: true }),
    [key('old')],
  )
})

test('a lock entry binds: in sync, pulled, updated', () => {
  const inSync = planOf({ models: ['a'] }, [version('a', '1')], { pins: { a: pin('1') } })
  assert.equal(changeOf(inSync.changes, 'a:latest').action, 'no-op')
  const pulled = changeOf(
    planOf({ models: ['a'] }, [], { pins: { a: pin('1') }, answers: { a: found('1', small) }, onHost: [] }).changes,
    'a:latest',
  )
  assert.ok(pulled.action === 'pull' && pulled.locked && pulled.blocked === undefined)
  assert.deepEqual([pulled.after?.digest, pulled.downloadBytes], [digest('1'), 1027])
  const updated = changeOf(
    planOf({ models: ['a'] }, [version('a', '2')], {
      pins: { a: pin('1') },
      answers: { a: found('1', small) },
      onHost: [weights.digest],
    }).changes,
    'a:latest',
  )
  assert.ok(updated.action === 'update' && updated.locked)
  assert.deepEqual(
    [updated.precondition.digest, updated.after?.digest, updated.downloadBytes, updated.presentBytes],
    [digest('2'), digest('1'), 27, 1000],
  )
})

test('a locked version that the tag no longer names is never pulled', () => {
  for (const answer of [found('9', newer), { kind: 'missing' } as const]) {
    for (const models of [[], [version('a', '2')]]) {
      const { changes, diagnostics } = planOf({ models: ['a'] }, models, {
        pins: { a: pin('1') },
        answers: { a: answer },
        onHost: [],
      })
      const change = changeOf(changes, 'a:latest')
      assert.ok(isFetch(change))
      assert.equal(change.blocked?.code, 'locked-version-gone')
      assert.match(change.blocked.hint ?? '', /ollama-config update a:latest/)
      assert.equal(change.downloadBytes, 0)
      assert.ok(isPending(change, false), 'it is not as declared')
      assert.deepEqual(
        diagnostics.map(({ code }) => code),
        ['locked-version-gone'],
      )
    }
  }
})

test('a registry that printed the manifest anew still has the locked version', () => {
  const change = changeOf(
    planOf({ models: ['a'] }, [], { pins: { a: pin('1') }, answers: { a: found('9', small) }, onHost: [] }).changes,
    'a:latest',
  )
  assert.ok(isFetch(change) && change.blocked === undefined)
  assert.equal(change.after?.digest, digest('9'))
  // And what was pulled so is in sync, as the record knows its content.
  const again = planOf({ models: ['a'] }, [version('a', '9')], {
    pins: { a: pin('1') },
    contents: new Map([[digest('9'), blobsOf(small)]]),
  })
  assert.equal(changeOf(again.changes, 'a:latest').reason.code, 'same-content')
})

test('when no registry can be asked, what is missing is pulled and compared, and what works is not replaced', () => {
  for (const known of [{ answers: { a: unreachable } }, { offline: true }]) {
    const missing = changeOf(
      planOf({ models: ['a'] }, [], { pins: { a: pin('1') }, onHost: [], ...known }).changes,
      'a:latest',
    )
    assert.ok(missing.action === 'pull' && missing.blocked === undefined)
    assert.deepEqual([missing.after?.digest, missing.downloadBytes], [digest('1'), 1027])
    const other = changeOf(
      planOf({ models: ['a'] }, [version('a', '2')], { pins: { a: pin('1') }, onHost: [], ...known }).changes,
      'a:latest',
    )
    assert.ok(other.action === 'update' && other.blocked !== undefined)
  }
  const { diagnostics } = planOf({ models: ['a', 'b'] }, ['b'], { offline: true })
  assert.match(diagnostics[0]?.message ?? '', /no registry was asked about a:latest/)
  assert.deepEqual(planOf({ models: ['b'] }, ['b'], { offline: true }).diagnostics, [])
})

test('servers before 0.19 list other digests for the same content: their blobs are the proof', () => {
  const all = blobsOf(small).map((blob) => blob.digest)
  const known: Known = { pins: { a: pin('1') }, answers: { a: found('1', small) }, onHost: all }
  const sized = { ...version('a', '2'), sizeBytes: 1027 }
  const old = changeOf(planOf({ models: ['a'] }, [sized], known, {}, '0.18.3').changes, 'a:latest')
  assert.equal(old.reason.code, 'same-content')
  // Another model may have brought the blobs: then the size is another, too.
  const other = changeOf(planOf({ models: ['a'] }, [version('a', '2')], known, {}, '0.18.3').changes, 'a:latest')
  assert.equal(other.action, 'update')
  const lacking = changeOf(
    planOf({ models: ['a'] }, [sized], { ...known, onHost: all.slice(1) }, {}, '0.18.3').changes,
    'a:latest',
  )
  assert.equal(lacking.action, 'update')
  // A newer server is healed by a pull that moves nothing; a development build counts as new.
  for (const serverVersion of ['0.33.0', '0.0.0']) {
    const healed = changeOf(planOf({ models: ['a'] }, [sized], known, {}, serverVersion).changes, 'a:latest')
    assert.deepEqual([healed.action, healed.downloadBytes], ['update', 0])
  }
  // An update converges there too.
  const update = { update: 'all' } as const
  const updated = changeOf(planOf({ models: ['a'] }, [sized], known, update, '0.18.3').changes, 'a:latest')
  assert.deepEqual([updated.action, updated.reason.code], ['no-op', 'same-content'])
  assert.equal(
    changeOf(planOf({ models: ['a'] }, [sized], known, update, '0.33.0').changes, 'a:latest').action,
    'update',
  )
})

test('plan and apply never follow a tag; update does, whatever the lock says', () => {
  const answers = { a: found('9', newer) }
  assert.equal(
    changeOf(planOf({ models: ['a'] }, [version('a', '1')], { answers, onHost: [] }).changes, 'a:latest').action,
    'no-op',
  )
  const update = { update: 'all' } as const
  const moved = changeOf(
    planOf({ models: ['a'] }, [version('a', '1')], { answers, onHost: [weights.digest], pins: { a: pin('1') } }, update)
      .changes,
    'a:latest',
  )
  assert.ok(moved.action === 'update' && !moved.locked && moved.keepAs === null)
  assert.deepEqual([moved.reason.code, moved.downloadBytes], ['tag-moved', 37])
  const kept = changeOf(
    planOf({ models: ['a'] }, [version('a', '1')], { answers, onHost: [] }, { ...update, keepPrevious: true }).changes,
    'a:latest',
  )
  assert.ok(kept.action === 'update' && kept.keepAs === 'a:latest-previous-111111111111')
  const rewritten = changeOf(
    planOf(
      { models: ['a'] },
      [version('a', '1')],
      {
        answers,
        onHost: blobsOf(newer).map((blob) => blob.digest),
        contents: new Map([[digest('1'), blobsOf(newer)]]),
      },
      update,
    ).changes,
    'a:latest',
  )
  assert.deepEqual([rewritten.reason.code, rewritten.downloadBytes], ['manifest-rewritten', 0])
  const current = changeOf(
    planOf({ models: ['a'] }, [version('a', '9')], { answers, onHost: [], pins: { a: pin('1') } }, update).changes,
    'a:latest',
  )
  assert.ok(current.action === 'no-op' && current.lock?.digest === digest('9'), 'the lock has to follow')
  const texts = { unknown: /could not tell/, missing: /does not have its tag/, 'too-new': /needs a newer Ollama/ }
  for (const answer of [unreachable, { kind: 'missing' } as const, { kind: 'too-new' } as const]) {
    for (const pins of [{}, { a: pin('1') }]) {
      const plan = planOf({ models: ['a'] }, [version('a', '1')], { answers: { a: answer }, pins }, update)
      const { reason } = changeOf(plan.changes, 'a:latest')
      assert.equal(reason.code, 'not-checked')
      assert.match(reason.text, texts[answer.kind])
      assert.equal(plan.diagnostics.length, 1)
    }
  }
})

test('of what is known to have the locked content no registry is asked', () => {
  const known: Known = { pins: { a: pin('1') }, contents: new Map([[digest('2'), blobsOf(small)]]) }
  const plan = planOf({ models: ['a'] }, [version('a', '2')], known)
  assert.deepEqual([changeOf(plan.changes, 'a:latest').reason.code, plan.asked], ['same-content', []])
  const other = { ...known, contents: new Map([[digest('2'), blobsOf(newer)]]) }
  assert.deepEqual(planOf({ models: ['a'] }, [version('a', '2')], other).asked, [key('a')])
})

test('offline, only models of which a registry would be asked are named', () => {
  const models = ['a', { name: 'mine', from: 'a', system: 'Hi.' }, 'c:cloud']
  const intent = { update: 'all' } as const
  const plan = planOf({ models }, [version('a', '1'), version('mine', '2')], { offline: true }, intent)
  const [note] = plan.diagnostics.filter(({ code }) => code === 'offline')
  assert.match(note?.message ?? '', /asked about a:latest$/)
})

test('what is locked and cannot be pulled is told of once', () => {
  const codes = (answer: ManifestAnswer, installed: readonly InstalledModel[]) =>
    planOf({ models: ['a'] }, installed, { answers: { a: answer }, pins: { a: pin('1') } }).diagnostics.map(
      ({ code }) => code,
    )
  for (const installed of [[], [version('a', '2')]]) {
    assert.deepEqual(codes({ kind: 'missing' }, installed), ['locked-version-gone'])
    assert.deepEqual(codes({ kind: 'too-new' }, installed), ['server-too-old'])
  }
})

test('a name that is nearly one that is installed is told; of three letters every other name is near', () => {
  const hintOf = (name: string, ...installed: string[]) => {
    const models = installed.map((one) => version(one, '1'))
    return planOf({ models: [name] }, models, { answers: { [name]: { kind: 'missing' } } }).diagnostics[0]?.hint
  }
  assert.equal(hintOf('all-minillm', 'all-minilm', 'llava'), 'did you mean "all-minilm"?')
  assert.equal(hintOf('qwen3:9b', 'qwen3:8b'), 'did you mean "qwen3:8b"?')
  assert.equal(hintOf('abc', 'abd'), 'check the name and the tag')
  assert.equal(hintOf('all-minilm', 'all-minilm'), 'check the name and the tag')
})

test('of whatever may be deleted it is told that another config declares it', () => {
  const declaredBy = new Map([[key('made'), '/other/ollama.config.ts']])
  const reasonOf = (model: InstalledModel, known: Known = {}) =>
    changeOf(
      planOf({ models: ['a'] }, ['a', model], { declaredBy, ...known }, { checkDeletions: true }).changes,
      'made:latest',
    ).reason.text
  const made = version('made', '1')
  const also = '; declared in /other/ollama.config.ts'
  assert.equal(reasonOf({ ...made, parentModel: 'x:latest' }), `built from x:latest${also}`)
  assert.equal(reasonOf(made, { answers: { made: found('2', small) } }), `its registry has another version${also}`)
  assert.equal(
    reasonOf(made, { answers: { made: found('1', small) } }),
    'not in this config, but in /other/ollama.config.ts',
  )
})

test('what a registry says of a missing model is in the plan, grouped where it is the same', () => {
  const { diagnostics } = planOf({ models: ['a', 'b', 'c', 'd'] }, [], {
    answers: { a: { kind: 'missing' }, b: { kind: 'too-new' }, c: unreachable, d: unreachable },
  })
  assert.deepEqual(
    diagnostics.map(({ severity, code, message }) => [severity, code, message]),
    [
      ['warning', 'not-in-registry', 'The registry has no "a:latest": the pull will fail'],
      ['warning', 'registry-unknown', 'r.example cannot be reached. Nothing is known of c:latest, d:latest'],
      ['warning', 'server-too-old', '"b:latest" needs a newer Ollama than the server has: the pull will fail'],
    ],
  )
})

test('freed bytes: against the survivors, exact only where everything is known', () => {
  const contents = new Map([
    [digest('1'), blobsOf(small)],
    [digest('2'), blobsOf(newer)],
    [digest('3'), [weights]],
  ])
  const freed = (models: readonly InstalledModel[], known = contents) =>
    planOf({ models: ['a'] }, models, { contents: known })
      .changes.filter((change) => change.action === 'delete')
      .map((change) => [change.reference, change.freedBytes, change.nominalBytes])
  // Both doomed ones have the weights, which a keeps.
  assert.deepEqual(freed([version('a', '3'), version('x', '1'), version('y', '2')]), [
    ['x:latest', 27, 1000],
    ['y:latest', 37, 1000],
  ])
  // Nobody keeps the weights: they go with the last one.
  const alone = new Map([...contents, [digest('4'), [layer('model', 'ff', 5)]]])
  assert.deepEqual(freed([version('a', '4'), version('x', '1'), version('y', '2')], alone), [
    ['x:latest', 27, 1000],
    ['y:latest', 1037, 1000],
  ])
  // A survivor of unknown content may share any of it.
  assert.deepEqual(freed([version('a', '5'), version('x', '1')]), [['x:latest', null, 1000]])
  assert.deepEqual(freed([version('a', '1'), version('x', '1')]), [['x:latest', 0, 1000]])
})

test('managed: only what this config brought in, unchanged, and that no other config declares', () => {
  const recorded = new Map([
    [key('ours'), { reference: 'ours:latest', digest: digest('1'), broughtIn: true }],
    [key('found'), { reference: 'found:latest', digest: digest('1'), broughtIn: false }],
    [key('replaced'), { reference: 'replaced:latest', digest: digest('2'), broughtIn: true }],
    [key('shared'), { reference: 'shared:latest', digest: digest('1'), broughtIn: true }],
  ])
  const declaredBy = new Map([[key('shared'), '/other/ollama.config.ts']])
  const models = ['a', 'ours', 'found', 'replaced', 'shared', 'foreign'].map((name) => version(name, '1'))
  const { changes } = planOf({ models: ['a'], prune: 'managed' }, models, { recorded, declaredBy })
  assert.deepEqual(
    changes.filter(({ action }) => action === 'delete').map(({ reference }) => reference),
    ['ours:latest'],
  )
  assert.match(changeOf(changes, 'shared:latest').reason.text, /other\/ollama\.config\.ts/)
})

test('what no registry is known to have needs a person, unless the record says that we brought it', () => {
  const made = version('made', '1')
  const judge = (known: Known, model: InstalledModel = made) => {
    const change = changeOf(
      planOf({ models: ['a'] }, ['a', model], known, { checkDeletions: true }).changes,
      'made:latest',
    )
    assert.ok(change.action === 'delete')
    return change.irreplaceable
  }
  assert.equal(judge({ answers: { made: found('1', small) } }), false)
  // What the tag names now is another: this one cannot be had again.
  assert.equal(judge({ answers: { made: found('2', small) } }), true)
  assert.equal(judge({ answers: { made: { kind: 'missing' } } }), true)
  assert.equal(judge({ answers: { made: { kind: 'too-new' } } }), true)
  assert.equal(judge({ answers: { made: unreachable } }), true)
  assert.equal(judge({ offline: true }), true)
  const recorded = new Map([[key('made'), { reference: 'made:latest', digest: digest('1'), broughtIn: true }]])
  assert.equal(judge({ recorded }), false)
  const derived = { ...made, parentModel: 'x:latest' }
  assert.equal(judge({}, derived), true)
  assert.equal(judge({ recorded }, derived), false)
  assert.equal(
    judge(
      { recorded: new Map([[key('made'), { reference: 'made:latest', digest: digest('2'), broughtIn: true }]]) },
      derived,
    ),
    true,
  )
})

test('the newest copy of a declared model is spared, older ones and orphans go; the record says which are copies', () => {
  const copy = (of: string, fill: string, at: string, own = true, broughtIn = true) => ({
    broughtIn,
    of: key(of),
    reference: `${of}:latest`,
    digest: digest(fill),
    at,
    own,
  })
  const copies = new Map([
    [key('a:p1'), copy('a', '1', '2026-01-01T00:00:00.000Z')],
    [key('a:p2'), copy('a', '2', '2026-02-01T00:00:00.000Z')],
    [key('gone:p1'), copy('gone', '3', '2026-01-01T00:00:00.000Z')],
    [key('b:p1'), copy('b', '4', '2026-01-01T00:00:00.000Z', false)],
    [key('a:p3'), copy('a', '5', '2026-01-01T00:00:00.000Z')],
    [key('a:p4'), copy('a', '7', '2026-01-02T00:00:00.000Z', true, false)],
  ])
  const models = [
    version('a', '9'),
    version('a:p1', '1'),
    version('a:p2', '2'),
    version('gone:p1', '3'),
    version('b:p1', '4'),
    version('a:p3', '6'),
    version('a:p4', '7'),
  ]
  const { changes } = planOf({ models: ['a'] }, models, { copies }, { checkDeletions: true })
  const shown = changes.map(
    (change) =>
      `${change.action} ${change.reference} ${change.reason.code}${change.action === 'delete' && change.irreplaceable ? ' irreplaceable' : ''}`,
  )
  assert.deepEqual(shown, [
    'no-op a:latest in-sync',
    'delete a:p1 superseded',
    'no-op a:p2 previous-version',
    // Replaced since: no copy of ours any more.
    'delete a:p3 undeclared irreplaceable',
    // No apply brought what it is a copy of: a person has to be asked.
    'delete a:p4 superseded irreplaceable',
    'no-op b:p1 previous-version',
    'delete gone:p1 superseded',
  ])
  assert.equal(changeOf(planOf({ models: ['a'], prune: false }, models, { copies }).changes, 'a:p1').action, 'no-op')
  // A newer one that was never made, or is gone, is nothing to go back to.
  const without = models.filter(({ name }) => name !== 'a:p2' && name !== 'a:p4')
  assert.equal(changeOf(planOf({ models: ['a'] }, without, { copies }).changes, 'a:p1').reason.code, 'previous-version')
})

test('drift is shown apart from changes; an empty host is suspicious', () => {
  const recorded = new Map([
    [key('a'), { reference: 'a:latest', digest: digest('1'), broughtIn: true }],
    [key('b'), { reference: 'b:latest', digest: digest('1'), broughtIn: true }],
    [key('c'), { reference: 'c:latest', digest: digest('1'), broughtIn: false }],
  ])
  const { drift, changes } = planOf({ models: ['c', 'b', 'a'] }, [version('a', '2'), version('c', '1')], { recorded })
  assert.deepEqual(drift, [
    { reference: 'a:latest', recorded: digest('1'), installed: digest('2') },
    { reference: 'b:latest', recorded: digest('1'), installed: null },
  ])
  assert.equal(changeOf(changes, 'a:latest').action, 'no-op')
  const empty = planOf({ models: ['a', 'b', 'c'] }, [], { recorded }).diagnostics
  assert.match(empty.find(({ code }) => code === 'empty-host')?.message ?? '', /any of the 3 models/)
  assert.equal(
    planOf({ models: ['a'] }, [], {}).diagnostics.find(({ code }) => code === 'empty-host'),
    undefined,
  )
})

test('outdated: what differs, by layers where they are known, else by what the host lacks', () => {
  const { desired } = resolveConfig({ models: ['a', 'b', 'c', 'd', 'e', 'f', 'g:cloud'] })
  const actual: ActualState = {
    serverVersion: '0.33.0',
    unreadable: [],
    models: ['a', 'b', 'c', 'd', 'f'].map((name) => version(name, '1')),
  }
  const answers = {
    a: found('1', small),
    b: found('9', newer),
    c: found('9', newer),
    d: { kind: 'missing' } as const,
    e: found('9', newer),
    f: unreachable,
  }
  const onHost = [weights.digest, configLayer.digest]
  const seen = outdatedModels(desired, actual, resolution({ answers, onHost, pins: { a: pin('1') } }))
  assert.deepEqual(
    seen.map(({ reference, status, downloadBytes }) => [reference, status, downloadBytes]),
    [
      ['a:latest', 'current', 0],
      ['b:latest', 'outdated', 37],
      ['c:latest', 'outdated', 37],
      ['d:latest', 'not-in-registry', null],
      ['e:latest', 'not-installed', 37],
      ['f:latest', 'unknown', null],
    ],
  )
  assert.deepEqual(seen[1]?.differences, [{ what: 'template', bytes: 30 }])
  assert.equal(seen[0]?.locked, digest('1'))
  const damaged = { ...actual, models: [{ ...version('a', '1'), damage: 'a part is missing' }] }
  const [broken] = outdatedModels(desired, damaged, resolution({ answers, onHost }))
  assert.equal(broken?.status, 'not-installed')
  // Of two spellings the one that a plan looks at.
  for (const models of [
    [version('B', '9'), version('b', '1')],
    [version('b', '1'), version('B', '9')],
  ]) {
    const [spelled] = outdatedModels(
      resolveConfig({ models: ['b'] }).desired,
      { ...actual, models },
      resolution({ answers }),
    )
    assert.equal(spelled?.status, 'current')
  }
  const one = (known: Known, sizeBytes = 1037) =>
    outdatedModels(
      resolveConfig({ models: ['b'] }).desired,
      { ...actual, models: [{ ...version('b', '1'), sizeBytes }] },
      resolution({ answers: { b: found('9', newer) }, ...known }),
    )[0]
  const all = blobsOf(newer).map((blob) => blob.digest)
  assert.deepEqual([one({ onHost: all })?.status, one({ onHost: all })?.downloadBytes], ['same-content', 0])
  // All of it is there, but for another model, as of `x:latest` and `x:8b`.
  assert.equal(one({ onHost: all }, 1000)?.status, 'outdated')
  // Known layers count more than blobs that happen to be there.
  assert.equal(one({ onHost: all, contents: new Map([[digest('1'), blobsOf(small)]]) })?.status, 'outdated')
  assert.equal(one({})?.differences, null)
})

test('the order of the inputs does not show, and bytes add up', () => {
  const layers = ['a0', 'b0', 'b1', 'd0', 'e0'].map((fill, index) => layer('model', fill, 10 ** index))
  const manifests = fc.uniqueArray(fc.constantFrom(...layers), { minLength: 1, selector: (one) => one.digest })
  fc.assert(
    fc.property(
      fc.array(manifests, { minLength: 1, maxLength: 6 }),
      fc.subarray(layers),
      fc.boolean(),
      (contents, present, reverse) => {
        const names = contents.map((_, index) => `m${index}`)
        const answers = Object.fromEntries(
          contents.map((own, index) => [`m${index}`, found(`${index}`, { config: null, layers: own })]),
        )
        const onHost = present.map((one) => one.digest)
        const { changes } = planOf({ models: reverse ? [...names].reverse() : names }, [], { answers, onHost })
        const again = planOf({ models: names }, [], { answers, onHost }).changes
        assert.deepEqual(changes, again)
        const wanted = new Map(contents.flat().map((one) => [one.digest, one.sizeBytes]))
        for (const have of onHost) wanted.delete(have)
        const total = [...wanted.values()].reduce((sum, bytes) => sum + bytes, 0)
        assert.equal(
          changes.reduce((sum, { downloadBytes }) => sum + (downloadBytes ?? Number.NaN), 0),
          total,
        )
      },
    ),
  )
})
