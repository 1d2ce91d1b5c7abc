/** What is planned otherwise for a store: locked versions by their digest, no builds that need a server, and words that fit. */
import assert from 'node:assert/strict'
import path from 'node:path'
import { test } from 'node:test'
import { blobsOf, formatManifest, type Layer, type Manifest } from '../../src/artifact/manifest.ts'
import { parseReference, referenceKey } from '../../src/artifact/reference.ts'
import type { ManifestAnswer } from '../../src/artifact/served.ts'
import type { Config } from '../../src/config/config.ts'
import { resolveConfig } from '../../src/config/resolve.ts'
import { questions } from '../../src/plan/ask.ts'
import { diff } from '../../src/plan/diff.ts'
import { blockOf, type Change } from '../../src/plan/plan.ts'
import { asDeclared, type Intent, nothingResolved, type Resolution } from '../../src/plan/resolution.ts'
import type { InstalledModel } from '../../src/plan/state.ts'
import { sha256 } from '../../src/runtime/sha256.ts'
import { installedModel } from '../support/memory-backend.ts'
import { tempFolder } from '../support/run-cli.ts'

const key = (name: string) => referenceKey(parseReference(name))
const digest = (fill: string) => `sha256:${fill.repeat(64).slice(0, 64)}`
const layer = (kind: string, fill: string): Layer => ({
  mediaType: `application/vnd.ollama.image.${kind}`,
  digest: digest(fill),
  sizeBytes: 10,
})
const locked: Manifest = { config: layer('config', '1'), layers: [layer('model', '2')] }
const served: Manifest = { config: layer('config', '3'), layers: [layer('model', '4')] }
const lockedDigest = `sha256:${sha256(formatManifest(locked))}`
const moved: ManifestAnswer = {
  kind: 'found',
  served: { digest: digest('e'), text: formatManifest(served), manifest: served, pushedAt: null },
}
const unreachable: ManifestAnswer = { kind: 'unknown', problem: 'r.example cannot be reached', hint: 'try again' }

const store = { kind: 'store', fetchesByDigest: true } as const

function planOf(
  config: Config,
  models: readonly (string | InstalledModel)[],
  known: Partial<Resolution>,
  intent: Partial<Intent> = {},
) {
  const { desired } = resolveConfig(config)
  const actual = {
    serverVersion: null,
    models: models.map((model) => (typeof model === 'string' ? installedModel(model) : model)),
    unreadable: ['damaged:latest'],
  }
  const resolution = { ...nothingResolved, ...known }
  const full = { ...asDeclared, ...intent }
  return { ...diff(desired, actual, resolution, full), asked: questions(desired, actual, resolution, full) }
}

const pinned = (manifest: Manifest | null = locked) =>
  new Map([[key('a'), { digest: lockedDigest, manifest }]]) satisfies Resolution['pins']
const answered = (answer: ManifestAnswer) => new Map([[key('a'), answer]])

const cases: readonly (readonly [name: string, known: Partial<Resolution>])[] = [
  ['the tag moved', { answers: answered(moved) }],
  ['the tag is gone', { answers: answered({ kind: 'missing' }) }],
  ['the registry is not reached', { answers: answered(unreachable) }],
  ['no registry is asked', { offline: true }],
]

test('a store has the locked version, whatever became of its tag', () => {
  for (const [name, known] of cases) {
    for (const installed of [[], [installedModel('a')]]) {
      const { changes, diagnostics } = planOf({ models: ['a'] }, installed, { ...store, ...known, pins: pinned() })
      const [change] = changes
      assert.ok(change?.action === (installed.length === 0 ? 'pull' : 'update'), name)
      assert.equal(blockOf(change), undefined, name)
      assert.deepEqual(
        [change.locked, change.after?.digest, change.manifest?.digest],
        [true, lockedDigest, lockedDigest],
      )
      assert.ok(!diagnostics.some(({ code }) => code === 'locked-version-gone'), name)
    }
  }
})

test('a host still has not, and is told of the way', () => {
  const host = { ...store, kind: 'host', fetchesByDigest: false } as const
  const blocks = cases.map(([, known]) => {
    const [change] = planOf({ models: ['a'] }, ['a'], { ...host, ...known, pins: pinned() }).changes
    return change === undefined ? undefined : blockOf(change)
  })
  assert.deepEqual(
    blocks.map((block) => block?.code),
    ['locked-version-gone', 'locked-version-gone', 'registry-unreachable', 'registry-unreachable'],
  )
  assert.match(blocks[0]?.message ?? '', /and a server can only pull what a tag names$/)
  assert.match(blocks[0]?.hint ?? '', /"ollama-config update a:latest" .*; with --store, apply fetches the locked one/)
  // Of a lock that has only the digest, a store has no more than a host.
  const [bare] = planOf({ models: ['a'] }, ['a'], { ...host, answers: answered(moved), pins: pinned(null) }).changes
  assert.doesNotMatch((bare === undefined ? undefined : blockOf(bare))?.hint ?? '--store', /--store/)
})

test('without the locked manifest a store needs the tag as well', () => {
  const known = { ...store, pins: pinned(null) }
  const [gone] = planOf({ models: ['a'] }, ['a'], { ...known, answers: answered(moved) }).changes
  const blocked = gone === undefined ? undefined : blockOf(gone)
  assert.equal(blocked?.code, 'locked-version-gone')
  assert.match(blocked?.message ?? '', /and the lock file does not have its manifest$/)
  assert.doesNotMatch(blocked?.hint ?? '--store', /--store/)
  const [unsure] = planOf({ models: ['a'] }, ['a'], { ...known, answers: answered(unreachable) }).changes
  assert.equal((unsure === undefined ? undefined : blockOf(unsure))?.code, 'registry-unreachable')
})

test('no registry is asked about what the lock file alone brings, but for an update', () => {
  const purposes = (known: Partial<Resolution>, intent: Partial<Intent> = {}) =>
    planOf({ models: ['a', 'b'] }, [], known, intent).asked.map(
      ({ reference, purpose }) => `${reference.model} ${purpose}`,
    )
  assert.deepEqual(purposes({ ...store, pins: pinned() }), ['a locked', 'b fetch'])
  assert.deepEqual(purposes({ ...store, pins: pinned(null) }), ['a fetch', 'b fetch'])
  assert.deepEqual(purposes({ pins: pinned() }), ['a fetch', 'b fetch'])
  assert.deepEqual(purposes({ ...store, pins: pinned() }, { update: 'all' }), ['a fetch', 'b fetch'])
})

test('offline, it is told what the store does not have, since nothing is fetched then', () => {
  const note = (blobs: Resolution['blobs']) => {
    const known = { ...store, offline: true, pins: pinned(), blobs }
    const { diagnostics } = planOf({ models: ['a', 'b'] }, [], known)
    return diagnostics.find(({ code }) => code === 'offline')?.message ?? ''
  }
  assert.match(note(new Map()), /it does not have all of a:latest, b:latest$/)
  const there = new Map(blobsOf(locked).map(({ digest }) => [digest, true]))
  assert.match(note(there), /it does not have all of b:latest$/)
  const { diagnostics } = planOf({ models: ['a'] }, [], { ...store, offline: true, pins: pinned(), blobs: there })
  assert.ok(!diagnostics.some(({ code }) => code === 'offline'))
})

test('what only a server can build is not possible in a store, and the rest is', (t) => {
  const file = path.join(tempFolder(t, { 'own.gguf': 'GGUF' }), 'own.gguf')
  const config: Config = {
    models: [
      { name: 'own', gguf: file },
      { name: 'small', from: 'a', quantize: 'Q4_K_M' },
      { name: 'tuned', from: 'a', system: 'S' },
      { name: 'second', aliasOf: 'own' },
    ],
  }
  const blocks = (known: Partial<Resolution>) =>
    planOf(config, ['a'], known)
      .changes.filter((change: Change) => blockOf(change) !== undefined)
      .map((change) => `${change.reference} ${blockOf(change)?.code}`)
  assert.deepEqual(blocks(store), [
    'own:latest build-failed',
    'second:latest build-failed',
    'small:latest build-failed',
  ])
  assert.deepEqual(blocks({}), [])
})

test('nothing is said of a server where there is none', () => {
  const recorded = new Map([[key('gone'), { reference: 'gone:latest', digest: digest('1'), broughtIn: true }]])
  const twice = [installedModel('Same'), installedModel('same', { digest: digest('5') }), installedModel('x:local')]
  const plans = [
    planOf({ models: ['gone'], keep: ['nothing'] }, [], { ...store, recorded }),
    planOf({ models: ['b'] }, twice, store),
    planOf({ models: ['b'] }, [], { ...store, answers: new Map([[key('b'), { kind: 'too-new' }]]) }),
    planOf({ models: ['b'] }, [], { ...store, answers: new Map([[key('b'), { kind: 'missing' }]]) }),
  ]
  const texts = plans.flatMap(({ diagnostics, changes }) => [
    ...diagnostics.flatMap(({ message, hint = '' }) => [message, hint]),
    ...changes.map(({ reason }) => reason.text),
  ])
  for (const wanted of [
    /^The store lists no model/,
    /^The store lists "Same" and "same"/,
    /^The store lists "x:local", but a server/,
  ])
    assert.ok(
      texts.some((text) => wanted.test(text)),
      String(wanted),
    )
  assert.deepEqual(
    texts.filter((text) => /\bthe (server|host)\b/i.test(text)),
    [],
  )
})
