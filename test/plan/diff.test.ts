import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseListedName, referenceKey } from '../../src/artifact/reference.ts'
import type { Config } from '../../src/config/config.ts'
import { resolveConfig } from '../../src/config/resolve.ts'
import { diff } from '../../src/plan/diff.ts'
import { formatVersion, type Plan, pendingChanges } from '../../src/plan/plan.ts'
import { nothingResolved } from '../../src/plan/resolution.ts'
import type { ActualState, InstalledModel } from '../../src/plan/state.ts'

function installed(name: string, facts: Partial<InstalledModel> = {}): InstalledModel {
  return { name, reference: parseListedName(name), digest: `sha256:${name}`, sizeBytes: 1000, ...facts }
}

function difference(
  config: Config,
  models: readonly (string | InstalledModel)[],
  unreadable: readonly string[] = [],
  kind: 'host' | 'store' = 'host',
) {
  const state: ActualState = {
    serverVersion: '0.33.0',
    models: models.map((model) => (typeof model === 'string' ? installed(model) : model)),
    unreadable,
  }
  return diff(resolveConfig(config).desired, state, { ...nothingResolved, kind })
}

const summary = (config: Config, models: readonly (string | InstalledModel)[]) =>
  difference(config, models).changes.map(({ action, reference, reason }) => `${action} ${reference} ${reason.code}`)

test('diff() pulls what is missing, deletes what is undeclared, and says what is fine', () => {
  assert.deepEqual(summary({ models: ['b', 'a'] }, ['b:latest', 'c:7b']), [
    'pull a:latest missing',
    'no-op b:latest in-sync',
    'delete c:7b undeclared',
  ])
})

test('diff() compares names by their four parts, never by prefix', () => {
  assert.deepEqual(summary({ models: ['gemma3'] }, ['gemma3:27b', 'gemma3n:e4b', 'my-gemma3:latest']), [
    'delete gemma3:27b undeclared',
    'pull gemma3:latest missing',
    'delete gemma3n:e4b undeclared',
    'delete my-gemma3:latest undeclared',
  ])
  assert.deepEqual(summary({ models: ['Qwen3:8B', 'library/y'] }, ['qwen3:8b', 'y:latest']), [
    'no-op Qwen3:8B in-sync',
    'no-op y:latest in-sync',
  ])
})

test('diff() never deletes what is kept, a cloud model, or anything when the config says so', () => {
  const cloud = installed('big:cloud', { remoteHost: 'https://ollama.com:443' })
  assert.deepEqual(summary({ models: ['a'], keep: ['llava', 'user/*'] }, ['a:latest', 'llava:7b', 'user/x:1', cloud]), [
    'no-op a:latest in-sync',
    'no-op big:cloud undeclared-cloud',
    'no-op llava:7b kept',
    'no-op user/x:1 kept',
  ])
  assert.deepEqual(summary({ models: ['a'], prune: false }, ['b:latest']), [
    'pull a:latest missing',
    'no-op b:latest prune-disabled',
  ])
  assert.deepEqual(summary({ models: [] }, ['b:latest']), ['no-op b:latest nothing-declared'])
})

test('diff() leaves alone what the server would take for another model', () => {
  // Asked to delete `x:local`, the server deletes `x:latest`.
  assert.deepEqual(summary({ models: ['x'] }, ['x:latest', 'x:local']), [
    'no-op x:latest in-sync',
    'no-op x:local not-addressable',
  ])
  const twice = difference({ models: ['a'] }, ['x:1', installed('x:1', { digest: 'sha256:other' })]).changes
  assert.deepEqual(
    twice.map(({ id }) => id),
    ['pull:a:latest', 'no-op:x:1', 'no-op:x:1#2'],
  )
  const { changes, diagnostics } = difference({ models: ['a'] }, ['a:latest', 'Foo:1', 'foo:1'])
  assert.deepEqual(
    changes.map(({ action }) => action),
    ['no-op', 'no-op', 'no-op'],
  )
  assert.deepEqual(
    diagnostics.map(({ code }) => code),
    ['ambiguous-name'],
  )
})

test('diff() says what it could not make sense of', () => {
  const codes = (config: Config, unreadable: readonly string[]) =>
    difference(config, ['a:latest'], unreadable).diagnostics.map(({ code }) => code)
  assert.deepEqual(codes({ models: ['a'], keep: ['nothing-like-it', 'a'] }, ['bad name']), [
    'keep-matches-nothing',
    'unreadable-name',
  ])
  const [typo] = difference({ models: ['a'], keep: ['wallnut'] }, ['a:latest', 'walnut:latest']).diagnostics
  assert.equal(typo?.hint, 'did you mean "walnut"?')
  assert.deepEqual(codes({ models: [] }, []), ['nothing-declared'])
  // There the name is a good one, and what lies under it is not.
  const [inStore] = difference({ models: ['a'] }, ['a:latest'], ['b:latest'], 'store').diagnostics
  assert.match(inStore?.message ?? '', /^"b:latest" is in the store, but its manifest or its config cannot be read/)
})

test('diff() says that the address of a page is a name of its own, until the model is there', () => {
  const warned = (name: string, ...there: string[]) =>
    difference({ models: [name] }, there).diagnostics.map(({ code, path, hint }) => `${code} ${path} ${hint}`)
  assert.deepEqual(warned('https://ollama.com/library/qwen3:8b'), ['long-name models[0] did you mean "qwen3:8b"?'])
  assert.deepEqual(warned('ollama.com/user/x'), ['long-name models[0] did you mean "user/x:latest"?'])
  assert.deepEqual(warned('ollama.com/user/x', 'ollama.com/user/x:latest'), [])
  for (const fine of ['qwen3:8b', 'huggingface.co/org/repo', 'https://huggingface.co/org/repo', 'r.example/library/x'])
    assert.deepEqual(warned(fine), [], fine)
})

test('diff() knows what a deletion frees, at most, and what no registry gives back', () => {
  const { changes } = difference({ models: ['a'] }, [
    installed('a:latest', { digest: 'sha256:same' }),
    installed('alias:latest', { digest: 'sha256:same' }),
    installed('made:latest', { parentModel: 'a:latest' }),
    installed('old:latest'),
  ])
  const deletions = changes.filter((change) => change.action === 'delete')
  assert.deepEqual(
    deletions.map(({ reference, freedBytes, nominalBytes, irreplaceable }) => [
      reference,
      freedBytes,
      nominalBytes,
      irreplaceable,
    ]),
    [
      ['alias:latest', 0, 1000, false],
      ['made:latest', null, 1000, true],
      ['old:latest', null, 1000, false],
    ],
  )
})

test('pendingChanges() never counts what only a person may approve', () => {
  const made = installed('made:latest', { parentModel: 'a:latest' })
  const target = {
    address: 'http://h',
    kind: 'host',
    serverVersion: null,
    ...difference({ models: ['a'] }, ['a:latest', made]),
  } as const
  assert.deepEqual(pendingChanges({ formatVersion, prune: true, targets: [target] }), [])
})

test('pendingChanges() counts deletions only in a plan made with prune', () => {
  const plan = (prune: boolean): Plan => ({
    formatVersion,
    prune,
    targets: [
      { address: 'http://h', kind: 'host', serverVersion: null, ...difference({ models: ['a'] }, ['b:latest']) },
    ],
  })
  assert.deepEqual(
    pendingChanges(plan(false)).map(({ id }) => id),
    ['pull:a:latest'],
  )
  assert.deepEqual(
    pendingChanges(plan(true)).map(({ id }) => id),
    ['pull:a:latest', 'delete:b:latest'],
  )
})

const name = fc
  .tuple(fc.constantFrom('a', 'B', 'c/d', 'h:1/n/m', 'E'), fc.constantFrom('latest', '1', 'Q4'))
  .map(([model, tag]) => `${model}:${tag}`)
const names = fc.uniqueArray(name, { selector: (text) => text.toLowerCase(), maxLength: 12 })

test('diff() gives the same plan, byte for byte, whatever the order of its inputs', () => {
  fc.assert(
    fc.property(names, names, fc.infiniteStream(fc.nat()), (declared, present, random) => {
      const shuffle = <T>(list: readonly T[]) =>
        list
          .map((item) => [random.next().value, item] as const)
          .sort((a, b) => a[0] - b[0])
          .map(([, item]) => item)
      const config = { models: declared, keep: ['B'] }
      assert.equal(
        JSON.stringify(difference(config, present)),
        JSON.stringify(difference({ ...config, models: shuffle(declared) }, shuffle(present))),
      )
    }),
  )
})

test('diff() has one entry per model, and only no-ops once its changes were carried out', () => {
  fc.assert(
    fc.property(names, names, (declared, present) => {
      const { changes } = difference({ models: declared }, present)
      const keys = new Set([...declared, ...present].map((text) => referenceKey(parseListedName(text))))
      assert.equal(changes.length, keys.size)
      assert.equal(new Set(changes.map(({ id }) => id)).size, changes.length)
      const after = changes.filter(({ action }) => action !== 'delete').map(({ reference }) => reference)
      assert.ok(difference({ models: declared }, after).changes.every(({ action }) => action === 'no-op'))
    }),
  )
})
