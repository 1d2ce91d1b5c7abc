import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { readPlan } from '../../src/plan/codec.ts'

type Fields = Record<string, unknown>
type Edit = (change: Fields) => void

const example = readFileSync(new URL('../fixtures/formats/1.0/plan.json', import.meta.url), 'utf8')

/** The example with one change of it changed. */
function edited(id: string, edit: Edit): unknown {
  const plan = JSON.parse(example) as { targets: [{ changes: Fields[] }] }
  const change = plan.targets[0].changes.find((candidate) => candidate['id'] === id)
  assert.ok(change !== undefined, id)
  edit(change)
  return plan
}

/** Sets what lies at a place such as `build.files.0.digest`. */
function set(place: string, value: unknown): Edit {
  return (change) => {
    const keys = place.split('.')
    const last = keys.pop() ?? ''
    const inner = keys.reduce<Fields>((fields, key) => fields[key] as Fields, change)
    if (value === undefined) delete inner[last]
    else inner[last] = value
  }
}

const own = 'derive:own:latest'
const tuned = 'derive:tuned:latest'
const reviewer = 'rebuild:reviewer:latest'
const fast = 'alias:fast:latest'
const quick = 'alias:quick:latest'

function assertRefused(cases: readonly (readonly [id: string, edit: Edit, message: RegExp])[]): void {
  for (const [id, edit, message] of cases) {
    assert.throws(
      () => readPlan(edited(id, edit)),
      (error: Error & { code: string }) => {
        assert.equal(error.code, 'invalid-plan')
        assert.match(error.message, message)
        return true
      },
      `${id}: ${message}`,
    )
  }
}

test('what is made starts from another model, which is known by its digest or brought by the plan', () => {
  const digest = `sha256:${'0'.repeat(64)}`
  assertRefused([
    [tuned, set('build.from', 'tuned:latest'), /build\.from is not another model/],
    [tuned, set('build.from', 'Tuned:Latest'), /build\.from is not another model/],
    [fast, set('of', 'fast:latest'), /\.of is not another model/],
    [tuned, set('precondition', { digest: null }), /precondition\.base is not a text/],
    [quick, set('precondition.source', undefined), /precondition\.source is not a text/],
    [tuned, set('precondition.base', 'sha256:0'), /precondition\.base is not a digest/],
    // Whatever is there by then would be taken.
    [tuned, set('precondition.base', null), /precondition is not one that names the digest of what it starts from/],
    [quick, set('precondition.source', null), /precondition is not one that names the digest/],
    [reviewer, set('dependsOn', []), /precondition is not one that names the digest/],
    [reviewer, set('dependsOn', ['no-op:c:latest']), /precondition is not one that names the digest/],
    [reviewer, set('dependsOn', ['delete:old:latest']), /precondition is not one that names the digest/],
    [fast, set('dependsOn', ['update:a:latest']), /precondition is not one that names the digest/],
    [reviewer, set('dependsOn', [reviewer]), /dependsOn is not a list of other changes/],
    [reviewer, set('dependsOn', ['pull:unknown:latest']), /dependsOn is not a list of other changes/],
    [tuned, set('precondition.digest', digest), /precondition\.digest is not null/],
    [reviewer, set('precondition.digest', null), /precondition\.digest is not a text/],
  ])
  // The same model in the spelling of the config.
  readPlan(edited(reviewer, set('build.from', 'A:latest')))
})

test('a plan is for a host or for a store', () => {
  const withKind = (kind: unknown) => {
    const plan = JSON.parse(example) as { targets: [Fields] }
    plan.targets[0]['kind'] = kind
    return plan
  }
  assert.equal(readPlan(withKind('store')).targets[0]?.kind, 'store')
  for (const kind of ['Store', 'folder', null, undefined])
    assert.throws(() => readPlan(withKind(kind)), { code: 'invalid-plan', message: /kind is not "host" or "store"/ })
})

test('names that a server takes for others, or looks for elsewhere, are refused', () => {
  for (const [id, place] of [
    [own, 'reference'],
    [tuned, 'build.from'],
    [quick, 'reference'],
    [quick, 'of'],
    ['pull:d:latest', 'reference'],
  ] as const)
    for (const name of ['x:local', 'x:LOCAL', 'x/y:local'])
      assertRefused([[id, set(place, name), /is not a name that can be asked for/]])
  for (const [id, place] of [
    [own, 'reference'],
    [tuned, 'build.from'],
    [quick, 'of'],
  ] as const)
    for (const name of ['x:cloud', 'x:20b-cloud'])
      assertRefused([[id, set(place, name), /is not a model of this host/]])
  assertRefused([
    [own, set('reference', '../../x'), /reference is not a model name/],
    [tuned, set('build.from', 'x'), /build\.from is not in the shortest spelling/],
    [reviewer, set('keepAs', 'http://x/y/z'), /keepAs is not a model name/],
  ])
})

test('files are pinned by digest, and a model without a base has some', () => {
  assertRefused([
    [own, set('build.files.0.digest', undefined), /build\.files\[0\]\.digest is not a text/],
    [own, set('build.files.0.digest', 'sha256:0'), /build\.files\[0\]\.digest is not a digest/],
    [tuned, set('build.adapters.0.digest', null), /build\.adapters\[0\]\.digest is not a text/],
    [own, set('build.files.0.file', undefined), /build\.files\[0\]\.file is not a text/],
    [own, set('build.files.0.sizeBytes', -1), /sizeBytes is not a number of bytes/],
    [own, set('build.files.0.modifiedMs', 0.5), /modifiedMs is not a number of bytes/],
    [own, set('build.files.0.onHost', 'no'), /onHost is not true, false or null/],
    [own, set('build.files', []), /build\.files is not a list of files, where there is no base/],
    [own, set('build.files', undefined), /build\.files is not a list/],
  ])
})

test('what is built is complete, and of the right types', () => {
  const fields = ['system', 'template', 'renderer', 'parser', 'requires', 'quantize']
  assertRefused(fields.map((field) => [own, set(`build.${field}`, undefined), new RegExp(`${field} is not a text`)]))
  assertRefused([
    [own, set('build', null), /build is not an object/],
    [own, set('build.from', undefined), /build\.from is not a text/],
    [own, set('build.parameters', []), /build\.parameters is not an object/],
    [own, set('build.parameters', { stop: [{}] }), /parameters\["stop"\] is not a text, a number/],
    [own, set('build.parameters', { seed: null }), /parameters\["seed"\] is not a text, a number/],
    [own, set('build.licenses', 'Free'), /build\.licenses is not a list/],
    [own, set('build.messages', [{ role: 'user' }]), /messages\[0\]\.content is not a text/],
    [own, set('build.messages.0.images', 'x'), /messages\[0\]\.images is not a list/],
    [own, set('build.messages.1.thinking', 1), /messages\[1\]\.thinking is not a text/],
    [own, set('build.messages.1.tool_calls', [{}]), /tool_calls\[0\]\.function is not an object/],
    [own, set('build.messages.2.tool_name', null), /messages\[2\]\.tool_name is not a text/],
    [own, set('declaration', 'abc'), /declaration is not a SHA-256/],
    [own, set('uploadBytes', undefined), /uploadBytes is not a number of bytes/],
    [tuned, set('blobs', [{}]), /blobs\[0\]\.mediaType is not a text/],
    [reviewer, set('method', 'guessed'), /method is not "predicted", "recorded", "compared" or "base"/],
    [reviewer, set('differences', undefined), /differences is not a list/],
    [reviewer, set('differences', [{ field: 'system' }]), /differences\[0\]\.text is not a text/],
    ['no-op:writer:latest', set('built.base', 'c:latest'), /built\.base is not a digest/],
    ['no-op:writer:latest', set('method', null), /method is not a text/],
  ])
})

test('nothing that is shown acts on a terminal', () => {
  const erase = '\u001b[2K'
  const places: readonly (readonly [id: string, place: string])[] = [
    [own, 'reason.text'],
    [own, 'build.files.0.name'],
    [own, 'build.files.0.file'],
    [tuned, 'build.adapters.0.name'],
    [reviewer, 'differences.0.field'],
    [reviewer, 'differences.0.text'],
    [reviewer, 'method'],
  ]
  assertRefused(places.map(([id, place]) => [id, set(place, erase), /is not free of control characters/]))
  const blocked = { code: 'x', message: 'No', hint: erase }
  assertRefused([[quick, set('blocked', blocked), /blocked\.hint is not free of control characters/]])
  // A path is opened, and shown without what hides: names of some languages have such characters.
  for (const part of ['file', 'name']) readPlan(edited(own, set(`build.files.0.${part}`, 'mod\u200cel.gguf')))
  const plan = JSON.parse(example) as { targets: [Fields] }
  const at = (address: string) => ({ ...plan, targets: [{ ...plan.targets[0], kind: 'store', address }] })
  readPlan(at('/mod\u200cels'))
  assert.throws(() => readPlan(at(`/models${erase}`)), /address is not free of control characters/)
  // Texts that only the server gets may hold anything.
  for (const field of ['system', 'template']) readPlan(edited(own, set(`build.${field}`, erase)))
})

/** Every place of a plan that holds no list and no object, such as `targets.0.changes.3.id`. */
function leaves(value: unknown, place = ''): readonly string[] {
  if (typeof value !== 'object' || value === null) return [place]
  return Object.entries(value).flatMap(([key, inner]) => leaves(inner, place === '' ? key : `${place}.${key}`))
}

test('no place of a plan takes what is of no type, or acts on a terminal', () => {
  const refuses = (place: string, value: unknown) => {
    const plan = JSON.parse(example) as Fields
    set(place, value)(plan)
    try {
      readPlan(plan)
      return false
    } catch (error) {
      assert.equal((error as { code?: string }).code, 'invalid-plan', place)
      return true
    }
  }
  const places = leaves(JSON.parse(example))
  assert.ok(places.length > 400, String(places.length))
  // What a tool is called with is anything; `pending` is for readers of --json.
  const open = (place: string) => /\.(arguments|parameters)\.|^pending\./.test(place)
  assert.deepEqual(
    places.filter((place) => !open(place) && !refuses(place, { is: 'nothing' })),
    [],
  )
  // Only the server gets these.
  const sent = /\.build\.(system|template|renderer|parser|requires|quantize|messages|licenses|parameters)\b|\.text$/
  assert.deepEqual(
    places.filter((place) => !open(place) && !sent.test(place) && !refuses(place, '\u001b[2K')),
    [],
  )
})

test('what does not go together in a plan is refused', () => {
  const other = `sha256:${'0'.repeat(64)}`
  assertRefused([
    ['delete:old:latest', set('id', 'delete:mine:latest'), /id is not unique in the plan/],
    ['delete:old:latest', set('requires', 'nothing'), /requires is not "prune"/],
    ['delete:old:latest', set('action', 'remove'), /action is not one of no-op, pull/],
    ['pull:d:latest', set('precondition.digest', other), /precondition\.digest is not null/],
    ['pull:d:latest', set('manifest.digest', other), /manifest\.digest is not that of after/],
    ['pull:d:latest', set('after.digest', null), /after\.digest is not a text/],
    ['pull:d:latest', set('reference', 'registry.corp/team/../x:1'), /reference is not a model name/],
    ['update:a:latest', set('precondition.digest', null), /precondition\.digest is not a text/],
    ['restore:b:latest', set('from', 'b:latest'), /from is not a copy of the model/],
    ['restore:b:latest', set('precondition.source', null), /precondition\.source is not a text/],
  ])
  const plan = JSON.parse(example) as { targets: [{ diagnostics: [Fields] }] }
  plan.targets[0].diagnostics[0]['severity'] = 'note'
  assert.throws(() => readPlan(plan), { code: 'invalid-plan', message: /severity is not "error" or "warning"/ })
})
