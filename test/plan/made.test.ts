/** What becomes of models that are made on the host: every way to find one as it should be, and every reason to make it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Layer } from '../../src/artifact/manifest.ts'
import { parseReference, referenceKey } from '../../src/artifact/reference.ts'
import {
  aliasChange,
  buildChange,
  digestBefore,
  isAsRecorded,
  isMoved,
  type MakeSituation,
} from '../../src/plan/made.ts'
import type {
  AliasChange,
  Change,
  DeriveChange,
  PlannedFile,
  RebuildChange,
  UpdateChange,
} from '../../src/plan/plan.ts'
import { asDeclared, type BuildFindings, nothingResolved, type Recorded } from '../../src/plan/resolution.ts'
import type { Build, DesiredModel, InstalledModel } from '../../src/plan/state.ts'
import { installedModel } from '../support/memory-backend.ts'
import { noOp, pull } from '../support/plans.ts'

const digestOf = (text: string) => `sha256:${text.repeat(64).slice(0, 64)}`
const reference = parseReference('made')
const model: DesiredModel = { reference, path: 'models[0]', insecure: false }
const baseBefore = { digest: digestOf('b'), sizeBytes: 5000 }
const staying = noOp('base:latest', { before: baseBefore, after: baseBefore })
const coming = pull('base:latest', { after: { digest: digestOf('c'), sizeBytes: 5000 } })
const moving: UpdateChange = {
  ...pull('base:latest', { reason: { code: 'tag-moved', text: '' } }),
  id: 'update:base:latest',
  action: 'update',
  before: baseBefore,
  after: { digest: digestOf('c'), sizeBytes: 5000 },
  keepAs: null,
}
// What it brings is, as far as `contents` knows, what is there: only the manifest is another.
const baseLayer = { mediaType: 'application/vnd.ollama.image.model', digest: digestOf('1'), sizeBytes: 100 }
const baseManifest = { digest: digestOf('c'), config: null, layers: [{ ...baseLayer, onHost: true }] }
const rewritten: UpdateChange = { ...moving, manifest: baseManifest }
const contents = new Map([[baseBefore.digest, [baseLayer]]])
const blocked = { code: 'locked-version-gone', message: 'it is gone', hint: 'update it' } as const

const build: Build = {
  kind: 'build',
  from: parseReference('base'),
  files: [],
  adapters: [],
  system: 'S',
  template: null,
  parameters: {},
  messages: [],
  licenses: [],
  renderer: null,
  parser: null,
  requires: null,
  quantize: null,
  cleared: [],
}
const findings: BuildFindings = {
  declaration: 'd'.repeat(64),
  files: [],
  adapters: [],
  predicted: null,
  differences: null,
  hidden: false,
  inherited: [],
}
const blobs: readonly Layer[] = [
  { mediaType: 'application/vnd.ollama.image.model', digest: digestOf('1'), sizeBytes: 100 },
  { mediaType: 'application/vnd.ollama.image.system', digest: digestOf('2'), sizeBytes: 1 },
]

const predicting = (digest: string): BuildFindings => ({
  ...findings,
  predicted: {
    digest,
    blobs,
    content: {
      layers: [],
      config: { modelFormat: 'gguf', renderer: null, parser: null, requires: null, capabilities: [] },
      parameters: null,
      weights: { architecture: 'llama', parameterCount: 1, fileType: 1 },
    },
  },
})

interface Given {
  readonly installed?: InstalledModel
  readonly source?: Change | null
  readonly findings?: BuildFindings
  readonly recorded?: Partial<Recorded>
  readonly keepPrevious?: boolean
  readonly build?: Partial<Build>
  readonly contents?: ReadonlyMap<string, readonly Layer[]>
}

const installed = installedModel('made:latest', { digest: digestOf('a') })

function situationOf({
  installed,
  source = staying,
  findings: found,
  recorded,
  keepPrevious = false,
  contents = new Map(),
}: Given): MakeSituation {
  const key = referenceKey(reference)
  const base: Recorded = { reference: 'made:latest', digest: installed?.digest ?? '', broughtIn: true }
  return {
    model,
    installed,
    source: source ?? undefined,
    resolution: {
      ...nothingResolved,
      contents,
      builds: new Map(found === undefined ? [] : [[key, found]]),
      recorded: new Map(recorded === undefined ? [] : [[key, { ...base, ...recorded }]]),
    },
    intent: { ...asDeclared, keepPrevious },
  }
}

const built = (given: Given) => buildChange({ ...build, ...given.build }, situationOf(given))
const builtFrom = { declaration: findings.declaration, base: baseBefore.digest }

function methodOf(change: Change): unknown {
  return [change.action, 'method' in change ? change.method : undefined, change.reason.code]
}

test('a build is fine as recorded: the same declaration, the same base, and what it gave is still there', () => {
  const change = built({ installed, findings, recorded: { built: builtFrom } })
  assert.deepEqual(methodOf(change), ['no-op', 'recorded', 'in-sync'])
  assert.deepEqual('built' in change && change.built, builtFrom)
  // Each of them counts.
  const others: Partial<Recorded>[] = [
    { built: { ...builtFrom, declaration: 'e'.repeat(64) } },
    { built: { ...builtFrom, base: digestOf('f') } },
    { built: { ...builtFrom, base: null } },
    { built: builtFrom, digest: digestOf('f') },
    {},
  ]
  for (const recorded of others) {
    assert.equal(built({ installed, findings, recorded }).action, 'rebuild', JSON.stringify(recorded))
  }
  assert.equal(built({ installed, findings }).action, 'rebuild')
})

test('a build from files is fine as recorded, of no base', () => {
  const recorded = { built: { declaration: findings.declaration, base: null } }
  const change = built({ installed, findings, recorded, source: null, build: { from: null } })
  assert.deepEqual(methodOf(change), ['no-op', 'recorded', 'in-sync'])
  assert.deepEqual('built' in change && change.built, recorded.built)
})

test('a build is fine where its digest is the predicted one, whatever is recorded', () => {
  for (const recorded of [undefined, {}, { digest: digestOf('f'), built: { ...builtFrom, declaration: '' } }]) {
    const change = built({ installed, findings: predicting(installed.digest), ...(recorded && { recorded }) })
    assert.deepEqual(methodOf(change), ['no-op', 'predicted', 'in-sync'])
    assert.deepEqual('built' in change && change.built, builtFrom)
  }
})

test('a build is fine where nothing differs, even from the prediction, unless the server could not tell', () => {
  const same = { ...findings, differences: [] }
  assert.deepEqual(methodOf(built({ installed, findings: same })), ['no-op', 'compared', 'in-sync'])
  const mispredicted = { ...predicting(digestOf('f')), differences: [] }
  assert.deepEqual(methodOf(built({ installed, findings: mispredicted })), ['no-op', 'compared', 'in-sync'])
  for (const unsure of [{ hidden: true }, { differences: null }]) {
    const change = built({ installed, findings: { ...same, ...unsure } })
    assert.deepEqual(methodOf(change), ['rebuild', 'compared', 'not-as-declared'])
    assert.deepEqual((change as RebuildChange).differences, [])
  }
})

test('a build that differs is built again, and told in what', () => {
  const differences = [{ field: 'system', text: '1 line changed' }]
  const byDigest = built({ installed, findings: { ...predicting(digestOf('f')), differences } }) as RebuildChange
  assert.deepEqual(methodOf(byDigest), ['rebuild', 'predicted', 'not-as-declared'])
  assert.deepEqual(byDigest.differences, differences)
  assert.deepEqual(byDigest.after, { digest: digestOf('f'), sizeBytes: 101 })
  assert.deepEqual(byDigest.blobs, blobs)
  assert.deepEqual(byDigest.precondition, { digest: installed.digest, base: baseBefore.digest })
  assert.equal(byDigest.freedBytes, null)
  assert.deepEqual(byDigest.dependsOn, [])
  // Of what an apply built, only the declaration can have changed.
  const recorded = { built: { ...builtFrom, declaration: 'e'.repeat(64) } }
  const changed = built({ installed, findings: { ...findings, differences }, recorded }) as RebuildChange
  assert.deepEqual(methodOf(changed), ['rebuild', 'compared', 'declaration-changed'])
  assert.deepEqual(changed.after, { digest: null, sizeBytes: null })
  assert.equal(changed.blobs, null)
})

test('a build whose base is another one than recorded is told so', () => {
  const recorded = { built: { ...builtFrom, base: digestOf('e') } }
  const change = built({
    installed,
    findings: { ...findings, differences: [], hidden: true },
    recorded,
  }) as RebuildChange
  assert.deepEqual(methodOf(change), ['rebuild', 'compared', 'base-moved'])
  const from = { field: 'from', text: 'base:latest eeeeeeeeeeee → bbbbbbbbbbbb' }
  assert.deepEqual(change.differences, [from])
  // It is told once, and by field.
  const differences = ['adapters', 'from', 'system'].map((field) => ({ field, text: field }))
  const several = built({ installed, findings: { ...findings, differences }, recorded }) as RebuildChange
  assert.deepEqual(several.differences, [differences[0], from, differences[2]])
  // What was recorded of another version says nothing about this one.
  const stale = built({ installed, findings, recorded: { ...recorded, digest: digestOf('f') } }) as RebuildChange
  assert.deepEqual([stale.reason.code, stale.differences], ['not-as-declared', []])
})

test('a build follows a base that moves, unless it is already what comes of it', () => {
  const change = built({ installed, findings, recorded: { built: builtFrom }, source: moving }) as RebuildChange
  assert.deepEqual(methodOf(change), ['rebuild', 'base', 'base-moved'])
  assert.deepEqual(change.differences, [{ field: 'from', text: 'base:latest bbbbbbbbbbbb → cccccccccccc' }])
  assert.deepEqual(change.dependsOn, [moving.id])
  // Only this plan brings it.
  assert.equal(change.precondition.base, null)
  const done = built({ installed, findings: predicting(installed.digest), source: moving })
  assert.deepEqual(methodOf(done), ['no-op', 'predicted', 'in-sync'])
  // Nothing to record: the base has another digest still.
  assert.equal('built' in done, false)
  // Equal fields prove nothing about a base that is not there yet.
  assert.equal(built({ installed, findings: { ...findings, differences: [] }, source: moving }).action, 'rebuild')
  const same = built({ installed, findings: { ...findings, differences: [] }, source: rewritten, contents })
  assert.deepEqual(methodOf(same), ['no-op', 'compared', 'in-sync'])
})

test('a base that comes back as it was moves nothing: only another declaration is a reason then', () => {
  const back = pull('base:latest', { after: baseBefore })
  const change = built({ installed, findings, recorded: { built: builtFrom }, source: back })
  assert.deepEqual(methodOf(change), ['no-op', 'recorded', 'in-sync'])
  // Nor does it matter that it cannot be had.
  const lost = built({ installed, findings, recorded: { built: builtFrom }, source: { ...back, blocked } })
  assert.deepEqual(methodOf(lost), ['no-op', 'recorded', 'in-sync'])
  const edited = { built: { ...builtFrom, declaration: 'e'.repeat(64) } }
  const other = built({ installed, findings, recorded: edited, source: back }) as RebuildChange
  assert.deepEqual([...[methodOf(other)].flat(), other.differences], ['rebuild', 'compared', 'declaration-changed', []])
  assert.deepEqual(other.dependsOn, [back.id])
  // Nobody knows which version comes.
  const unknown = pull('base:latest')
  assert.equal(built({ installed, findings, recorded: { built: builtFrom }, source: unknown }).action, 'rebuild')
  const baseless = { built: { ...builtFrom, base: null } }
  assert.equal(built({ installed, findings, recorded: baseless, source: unknown }).action, 'rebuild')
})

test('a build that is not there is derived, after its base where that comes too', () => {
  const now = built({ findings: predicting(digestOf('f')) }) as DeriveChange
  assert.deepEqual(methodOf(now), ['derive', undefined, 'missing'])
  assert.deepEqual([now.dependsOn, now.precondition], [[], { digest: null, base: baseBefore.digest }])
  assert.deepEqual([now.freedBytes, now.downloadBytes, now.keepAs], [0, 0, null])
  const later = built({ findings, source: coming }) as DeriveChange
  assert.deepEqual([later.dependsOn, later.precondition], [[coming.id], { digest: null, base: null }])
  assert.deepEqual([later.after, later.blobs], [{ digest: null, sizeBytes: null }, null])
  assert.equal(later.reason.text, 'from base:latest')
  // Without findings, as from a caller that looks nothing up: a plan that builds.
  assert.equal(built({}).action, 'derive')
  assert.equal(built({ installed }).action, 'rebuild')
})

test('a base that cannot be had: what is built from it is blocked, unless the old base stays', () => {
  const without = { ...coming, blocked }
  const change = built({ findings, source: without }) as DeriveChange
  assert.deepEqual(change.dependsOn, [coming.id])
  assert.deepEqual(change.blocked, {
    code: 'locked-version-gone',
    message: '"made:latest" cannot be made, since "base:latest" cannot be had: it is gone',
    hint: 'update it',
  })
  // The locked version cannot be had and another is installed: nothing is built of that one, and what was built of the locked one stays.
  const stuck = { ...moving, blocked }
  assert.equal((built({ findings, source: stuck }) as DeriveChange).blocked?.code, 'locked-version-gone')
  const ofOther = built({ installed, findings, recorded: { built: builtFrom }, source: stuck })
  assert.equal((ofOther as RebuildChange).blocked?.code, 'locked-version-gone')
  const ofLocked = { ...builtFrom, base: stuck.after?.digest ?? null }
  const fine = built({ installed, findings, recorded: { built: ofLocked }, source: stuck })
  assert.deepEqual(methodOf(fine), ['no-op', 'recorded', 'in-sync'])
  // Nothing is kept aside for what is not carried out.
  const kept = { installed, findings, keepPrevious: true }
  assert.equal((built({ ...kept, source: without }) as RebuildChange).keepAs, null)
  assert.equal((built(kept) as RebuildChange).keepAs, 'made:latest-previous-aaaaaaaaaaaa')
})

test('a build says which bytes it uploads, as far as the host told', () => {
  const file = (onHost: boolean | null): PlannedFile => ({
    name: 'a.gguf',
    file: '/a.gguf',
    digest: digestOf('1'),
    sizeBytes: 10,
    modifiedMs: 0,
    onHost,
  })
  const uploads = (files: readonly PlannedFile[], adapters: readonly PlannedFile[] = []) =>
    (built({ source: null, build: { from: null }, findings: { ...findings, files, adapters } }) as DeriveChange)
      .uploadBytes
  assert.equal(uploads([file(true)]), 0)
  assert.equal(uploads([file(false), file(true)], [file(false)]), 20)
  assert.equal(uploads([file(false)], [file(null)]), null)
  const change = built({
    source: null,
    build: { from: null },
    findings: { ...findings, files: [file(true)] },
  }) as DeriveChange
  assert.deepEqual([change.reason.text, change.build.from, change.precondition.base], ['from a.gguf', null, null])
})

const alias = (given: Given) => aliasChange({ kind: 'alias', of: parseReference('base') }, situationOf(given))

test('an alias is fine where it is equal to what its source will be', () => {
  const equal = installedModel('made:latest', { digest: baseBefore.digest })
  assert.deepEqual(methodOf(alias({ installed: equal })), ['no-op', undefined, 'in-sync'])
  const after = installedModel('made:latest', { digest: digestOf('c') })
  assert.equal(alias({ installed: after, source: moving }).action, 'no-op')
  // The update is not carried out.
  assert.equal(alias({ installed: equal, source: { ...moving, blocked } }).action, 'no-op')
  assert.equal(alias({ installed: after, source: { ...moving, blocked } }).action, 'alias')
})

test('an alias is made of what its source is, or will be', () => {
  const now = alias({}) as AliasChange
  assert.deepEqual(methodOf(now), ['alias', undefined, 'missing'])
  assert.deepEqual(now.precondition, { digest: null, source: baseBefore.digest })
  assert.deepEqual([now.after, now.dependsOn, now.freedBytes, now.of], [baseBefore, [], 0, 'base:latest'])
  const moved = alias({ installed, source: moving, keepPrevious: true }) as AliasChange
  assert.deepEqual([moved.reason.code, moved.reason.text], ['alias-moved', 'aaaaaaaaaaaa → cccccccccccc'])
  assert.deepEqual(moved.precondition, { digest: installed.digest, source: null })
  assert.deepEqual([moved.dependsOn, moved.freedBytes], [[moving.id], null])
  assert.equal(moved.keepAs, 'made:latest-previous-aaaaaaaaaaaa')
  const unknown = alias({ installed, source: pull('base:latest') }) as AliasChange
  assert.equal(unknown.reason.text, 'aaaaaaaaaaaa → what base:latest is then')
  assert.deepEqual([unknown.after?.digest, unknown.after?.sizeBytes], [null, null])
})

test('an alias of what cannot be had is blocked', () => {
  const change = alias({ installed, source: { ...coming, blocked }, keepPrevious: true }) as AliasChange
  assert.match(
    change.blocked?.message ?? '',
    /^"made:latest" cannot be made, since "base:latest" cannot be had: it is gone$/,
  )
  assert.equal(change.keepAs, null)
})

test('a source moves where it is brought, replaced or made anew; not where it stays', () => {
  assert.deepEqual(
    [staying, coming, moving, { ...moving, blocked }].map((source) => [
      isMoved(source, { contents }),
      digestBefore(source),
    ]),
    [
      [false, baseBefore.digest],
      [true, null],
      [true, null],
      [false, baseBefore.digest],
    ],
  )
  assert.equal(digestBefore(undefined), null)
  // What is known of the content counts, whatever the reason says.
  assert.equal(isMoved(rewritten, { contents }), false)
  assert.equal(isMoved(rewritten, { contents: new Map() }), true)
  const other = new Map([[baseBefore.digest, [{ ...baseLayer, digest: digestOf('2') }]]])
  const reason = { code: 'manifest-rewritten', text: '' } as const
  assert.equal(isMoved({ ...rewritten, reason }, { contents: other }), true)
  assert.equal(isAsRecorded(installed, staying, undefined, undefined), false)
})
