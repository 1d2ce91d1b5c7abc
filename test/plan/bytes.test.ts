/** What a plan frees: exact only where it is, and never more than that. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Layer } from '../../src/artifact/manifest.ts'
import { withBytes } from '../../src/plan/bytes.ts'
import type {
  AliasChange,
  Change,
  DeleteChange,
  DeriveChange,
  RebuildChange,
  UpdateChange,
} from '../../src/plan/plan.ts'
import { nothingResolved, type Resolution } from '../../src/plan/resolution.ts'
import { deletion, noOp, pull } from '../support/plans.ts'

const blob = (index: number): Layer => ({
  mediaType: 'application/vnd.ollama.image.model',
  digest: `sha256:${String(index).repeat(64)}`,
  sizeBytes: 10 ** index,
})
const facts = (digest: string) => ({ digest, sizeBytes: 1_000_000 })
const blocked = { code: 'host-error', message: 'no' } as const
const build: RebuildChange['build'] = {
  from: 'base:latest',
  files: [],
  adapters: [],
  system: null,
  template: null,
  parameters: {},
  messages: [],
  licenses: [],
  renderer: null,
  parser: null,
  requires: null,
  quantize: null,
}
const making = (name: string) => ({
  ...pull(name),
  build,
  declaration: '',
  uploadBytes: 0,
  keepAs: null,
  reason: { code: 'missing', text: '' } as const,
})

function rebuild(
  name: string,
  digest: string,
  blobs: readonly Layer[] | null,
  more: Partial<RebuildChange> = {},
): RebuildChange {
  const { insecure: _, manifest: __, presentBytes: ___, locked: ____, ...made } = making(name)
  return {
    ...made,
    id: `rebuild:${name}`,
    action: 'rebuild',
    before: facts(digest),
    blobs,
    method: 'predicted',
    differences: [],
    freedBytes: null,
    ...more,
  }
}

function derive(name: string, blobs: readonly Layer[] | null): DeriveChange {
  const { insecure: _, manifest: __, presentBytes: ___, locked: ____, ...made } = making(name)
  return { ...made, id: `derive:${name}`, action: 'derive', blobs }
}

function alias(name: string, digest: string, keepAs: string | null): AliasChange {
  const { build: _, declaration: __, uploadBytes: ___, blobs: ____, ...made } = derive(name, null)
  return { ...made, id: `alias:${name}`, action: 'alias', of: 'base:latest', before: facts(digest), keepAs }
}

function update(name: string, digest: string, layers: readonly Layer[] | null, keepAs: string | null): UpdateChange {
  const manifest =
    layers === null
      ? null
      : { digest: 'sha256:new', config: null, layers: layers.map((layer) => ({ ...layer, onHost: true })) }
  return { ...pull(name), id: `update:${name}`, action: 'update', before: facts(digest), manifest, keepAs }
}

const remove = (name: string, digest: string, more: Partial<DeleteChange> = {}): DeleteChange => ({
  ...deletion(name),
  before: facts(digest),
  nominalBytes: 1_000_000,
  ...more,
})
const stay = (name: string, digest: string) => noOp(name, { before: facts(digest), after: facts(digest) })

function freed(changes: readonly Change[], contents: Readonly<Record<string, readonly number[]>>) {
  const resolution: Resolution = {
    ...nothingResolved,
    contents: new Map(Object.entries(contents).map(([digest, blobs]) => [digest, blobs.map(blob)])),
  }
  const list = withBytes(changes, resolution)
  return Object.fromEntries(list.map((change) => [change.id, change.freedBytes]))
}

const contents = { old: [1, 2], gone: [1, 2, 3], base: [1] }

test('a deletion frees what no model has after the plan, what is built counted in', () => {
  const gone = remove('gone', 'gone')
  const result = (change: Change) => freed([stay('base', 'base'), change, gone], contents)['delete:gone']
  assert.equal(result(rebuild('made', 'old', [blob(1), blob(4)])), 1100)
  assert.equal(result(rebuild('made', 'old', [blob(1), blob(3)])), 100)
  assert.equal(result(derive('made', [blob(2)])), 1000)
  // The update of a model frees its old blobs, unless they are in what is built.
  const updated = freed([update('a', 'gone', [blob(1)], null), rebuild('made', 'old', [blob(3)])], contents)
  assert.equal(updated['update:a'], 100)
})

test('what an update and a deletion have in common goes with the deletion, which comes after it', () => {
  const changes = [remove('a', 'gone'), update('z', 'old', [], null)]
  assert.deepEqual(freed(changes, contents), { 'delete:a': 1110, 'update:z': 0 })
})

test('nothing is exact while it is not known what is built, or what stays', () => {
  const gone = remove('gone', 'gone')
  const result = (...changes: readonly Change[]) => freed([...changes, gone], contents)['delete:gone']
  assert.equal(result(stay('base', 'base'), rebuild('made', 'old', null)), null)
  assert.equal(result(stay('base', 'base'), derive('made', null)), null)
  assert.equal(result(stay('base', 'unknown'), rebuild('made', 'old', [blob(1)])), null)
  // What cannot be built changes nothing: the old one stays.
  assert.equal(result(stay('base', 'base'), rebuild('made', 'old', null, { blocked })), 1000)
})

test('what is kept aside stays, whatever replaces it', () => {
  const gone = remove('gone', 'gone')
  const result = (change: Change) => freed([stay('base', 'base'), change, gone], contents)['delete:gone']
  assert.equal(result(rebuild('made', 'old', [blob(1)], { keepAs: 'copy' })), 1000)
  assert.equal(result(update('made', 'old', [blob(1)], 'copy')), 1000)
  assert.equal(result(alias('made', 'old', 'copy')), 1000)
  assert.equal(result(alias('made', 'old', null)), 1100)
})

const names = ['a', 'b', 'c', 'd'] as const
const someBlobs = fc.uniqueArray(fc.integer({ min: 1, max: 5 }), { maxLength: 4 })
const digests = ['w', 'x', 'y', 'z']
const kinds = fc.constantFrom('stay', 'remove', 'irreplaceable', 'update', 'rebuild', 'alias', 'derive', 'blocked')

test('whatever the plan: what is said to be freed is freed, with builds, copies and unknown models in it', () => {
  const change = fc.record({
    kind: kinds,
    digest: fc.constantFrom(...digests),
    brings: fc.option(someBlobs),
    keep: fc.boolean(),
  })
  const property = fc.property(
    fc.tuple(...names.map(() => change)),
    fc.tuple(...digests.map(() => someBlobs)),
    fc.subarray(digests),
    (plan, made, known) => {
      const of = new Map(digests.map((digest, index) => [digest, made[index] ?? []]))
      const after = new Set<number>()
      const leaving = new Set<number>()
      const changes = plan.map(({ kind, digest, brings, keep }, index): Change => {
        const name = names[index] ?? ''
        const before = of.get(digest) ?? []
        const copy = keep ? `${name}-copy` : null
        const stays = kind === 'stay' || kind === 'irreplaceable' || kind === 'blocked' || (keep && kind !== 'remove')
        if (stays && kind !== 'derive') for (const one of before) after.add(one)
        if (kind === 'remove' || kind === 'update') for (const one of before) leaving.add(one)
        // What is not known beforehand may be anything.
        if (['update', 'rebuild', 'derive'].includes(kind)) for (const one of brings ?? [1, 2, 3, 4, 5]) after.add(one)
        const blobs = brings?.map(blob) ?? null
        switch (kind) {
          case 'stay':
            return stay(name, digest)
          case 'irreplaceable':
            return remove(name, digest, { irreplaceable: true })
          case 'update':
            return update(name, digest, blobs, copy)
          case 'rebuild':
            return rebuild(name, digest, blobs, { keepAs: copy })
          case 'alias':
            return alias(name, digest, copy)
          case 'derive':
            return derive(name, blobs)
          case 'blocked':
            return rebuild(name, digest, blobs, { blocked })
          default:
            return remove(name, digest)
        }
      })
      const told = freed(changes, Object.fromEntries([...of].filter(([digest]) => known.includes(digest))))
      const approved = changes.filter(
        (one) => one.action === 'update' || (one.action === 'delete' && !one.irreplaceable),
      )
      const sum = approved.reduce((total, { id }) => total + (told[id] ?? 0), 0)
      const freeable = [...leaving].filter((one) => !after.has(one)).reduce((total, one) => total + 10 ** one, 0)
      assert.ok(sum <= freeable, `${sum} of ${freeable}`)
      if (approved.every(({ id }) => told[id] !== null)) assert.equal(sum, freeable)
    },
  )
  fc.assert(property, { numRuns: 2000 })
})
