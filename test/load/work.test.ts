/** What grows faster than what there is to do: reads are counted, where each compared with each would read millions of times. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { applyTarget } from '../../src/apply/apply.ts'
import { runScheduled } from '../../src/apply/schedule.ts'
import { indexPatterns, matchesPattern, parsePattern } from '../../src/artifact/pattern.ts'
import { formatReference, parseReference } from '../../src/artifact/reference.ts'
import { resolveConfig } from '../../src/config/resolve.ts'
import { diff } from '../../src/plan/diff.ts'
import type { AliasChange, PullChange } from '../../src/plan/plan.ts'
import { asDeclared, nothingResolved } from '../../src/plan/resolution.ts'
import { WaitingLine } from '../../src/registry/line.ts'
import { Queue } from '../../src/runtime/queue.ts'
import { Turns } from '../../src/runtime/turns.ts'
import { installedModel, MemoryBackend } from '../support/memory-backend.ts'
import { pull } from '../support/plans.ts'

/** The same objects; tells how often one of them was asked for `key`. */
function counted<T extends object>(list: readonly T[], key: keyof T & string) {
  let reads = 0
  const watched = list.map((one) => {
    const value = one[key]
    return Object.defineProperty({ ...one }, key, {
      enumerable: true,
      get: () => {
        reads++
        return value
      },
    })
  })
  return { watched, reads: () => reads }
}

const names = (kind: string, count: number) => Array.from({ length: count }, (_, index) => `${kind}-${index}:1`)

test('copies of replaced versions are told from each other, and from what is declared, without comparing each with each', () => {
  const { desired } = resolveConfig({ models: names('model', 500) })
  const { watched, reads } = counted(desired.models, 'reference')
  const listed = names('copy', 500).map((name) => installedModel(name))
  const copies = listed.map(({ reference, digest }, index) => {
    const of = `registry.ollama.ai/library/model-${index % 100}:1`
    const at = new Date(index * 1000).toISOString()
    const copy = { of, reference: formatReference(reference), digest, at, own: true, broughtIn: true }
    return [`registry.ollama.ai/library/copy-${index}:1`, copy] as const
  })
  const state = { serverVersion: null, models: listed, unreadable: [] }
  const resolution = { ...nothingResolved, copies: new Map(copies) }
  const { changes } = diff({ ...desired, models: watched }, state, resolution, asDeclared)
  const kept = changes.filter(({ reason }) => reason.code === 'previous-version').map(({ reference }) => reference)
  // Of each model the newest.
  assert.deepEqual(new Set(kept), new Set(names('copy', 500).slice(400)))
  assert.ok(reads() < 20 * 500, `${reads()} reads`)
})

test('indexPatterns() gives every pattern that covers a reference, in order, and few others', () => {
  const part = fc.constantFrom('a', 'b', 'A', '*', 'a*')
  const pattern = fc
    .tuple(fc.constantFrom('', 'h.x/', '*/'), part, part, fc.constantFrom('', ':1', ':*'))
    .map(([host, space, model, tag]) => `${host}${space}/${model}${tag}`)
  const name = fc
    .tuple(fc.constantFrom('', 'h.x/'), fc.constantFrom('a', 'b', 'ab'), fc.constantFrom('a', 'B', 'ab'))
    .map(([host, space, model]) => `${host}${space}/${model}:1`)
  fc.assert(
    fc.property(fc.array(pattern, { maxLength: 12 }), name, (texts, text) => {
      const patterns = texts.map(parsePattern)
      const reference = parseReference(text)
      const covers = (one: (typeof patterns)[number]) => matchesPattern(one, reference)
      assert.deepEqual(indexPatterns(patterns).candidates(reference).filter(covers), patterns.filter(covers))
    }),
  )
  const many = indexPatterns([...names('model', 1000), 'team/*', 'team-2/*', '*/*/x'].map(parsePattern))
  assert.deepEqual(
    many.candidates(parseReference('model-7:1')).map(({ text }) => text),
    ['model-7:1', '*/*/x'],
  )
  assert.equal(many.candidates(parseReference('team/any')).length, 2)
})

test('what is made is put in order without going through all of it for each', async () => {
  const backend = new MemoryBackend(['base:1'])
  const { models } = await backend.readState()
  const aliases = diff(
    resolveConfig({ models: ['base:1', ...names('alias', 500).map((name) => ({ name, aliasOf: 'base:1' }))] }).desired,
    { serverVersion: null, models, unreadable: [] },
  ).changes.filter((change): change is AliasChange => change.action === 'alias')
  const { watched, reads } = counted(aliases, 'dependsOn')
  const ids = counted(watched, 'id')
  const target = { address: backend.address, kind: 'host', serverVersion: null, drift: [], diagnostics: [] } as const
  const approve = { changes: true, deletions: false }
  for await (const event of applyTarget({ ...target, changes: ids.watched }, { backend, approve, now: () => 0 }))
    assert.ok(event)
  assert.equal((await backend.readState()).models.length, 501)
  assert.ok(ids.reads() + reads() < 40 * 500, `${ids.reads()} and ${reads()} reads`)
})

test('fetches that wait for each other are compared by what is read once of each', async () => {
  const blob = { mediaType: 'm', digest: `sha256:${'1'.repeat(64)}`, sizeBytes: 1, onHost: false }
  const manifest = { digest: `sha256:${'2'.repeat(64)}`, config: null, layers: [blob] }
  const { watched, reads } = counted<PullChange>(
    names('model', 200).map((name) => pull(name, { manifest })),
    'manifest',
  )
  let done = 0
  const run = async function* () {
    yield ++done
  }
  for await (const count of runScheduled(watched, { limit: 8, run })) assert.ok(count)
  assert.equal(done, 200)
  assert.equal(reads(), 200)
})

test('thousands that wait for a registry share one listener, go in order, and leave together', async () => {
  const line = new WaitingLine()
  const controller = new AbortController()
  const { signal } = controller
  let listeners = 0
  const add = signal.addEventListener.bind(signal)
  signal.addEventListener = (...words: Parameters<typeof add>) => {
    listeners++
    add(...words)
  }
  const gone: number[] = []
  const waiting = Array.from({ length: 3000 }, (_, index) =>
    line.wait(index % 2 === 0 ? 'http://even' : 'http://odd', signal).then(() => gone.push(index)),
  )
  const settled = Promise.allSettled(waiting)
  assert.equal(listeners, 1)
  assert.equal(
    line.next(() => true),
    'http://even',
  )
  assert.equal(
    line.next((origin) => origin === 'http://even'),
    'http://even',
  )
  assert.equal(
    line.next(() => true),
    'http://odd',
  )
  await Promise.all([waiting[0], waiting[1], waiting[2]])
  assert.deepEqual(gone, [0, 2, 1])
  controller.abort(new Error('enough'))
  const results = await settled
  assert.equal(results.filter(({ status }) => status === 'rejected').length, 2997)
  assert.equal(
    line.next(() => true),
    undefined,
  )
  await assert.rejects(line.wait('http://odd', signal), /enough/)
})

test('a hundred thousand take turns in order', async () => {
  // Half a minute with Array.shift().
  const turns = new Turns(4)
  let next = 0
  const run = async (index: number) => assert.equal(index, next++)
  await Promise.all(Array.from({ length: 100_000 }, (_, index) => turns.run(() => run(index))))
  assert.equal(next, 100_000)
})

test('Queue gives what came first, whatever was given before', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: -2000, max: 2000 }), { maxLength: 20 }), (steps) => {
      const queue = new Queue<number>()
      const model: number[] = []
      let count = 0
      for (const step of steps) {
        for (let index = 0; index < step; index++) {
          queue.push(count)
          model.push(count++)
        }
        for (let index = 0; index < -step; index++) assert.equal(queue.shift(), model.shift())
        assert.equal(queue.size, model.length)
        assert.equal(queue.first(), model[0])
      }
    }),
  )
})
