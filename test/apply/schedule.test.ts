import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { runScheduled } from '../../src/apply/schedule.ts'
import type { PlannedManifest, PullChange } from '../../src/plan/plan.ts'
import { pull } from '../cli/views/events.ts'

const digest = (index: number) => `sha256:${index.toString(16).padStart(64, '0')}`

/** A pull whose missing blobs have these numbers; `null`: unknown layers. */
function fetchOf(name: string, missing: readonly number[] | null, present: readonly number[] = []): PullChange {
  const blob = (onHost: boolean) => (index: number) => ({ mediaType: 'm', digest: digest(index), sizeBytes: 1, onHost })
  const manifest: PlannedManifest | null =
    missing === null
      ? null
      : { digest: digest(999), config: null, layers: [...missing.map(blob(false)), ...present.map(blob(true))] }
  return { ...pull(name), manifest }
}

/** Runs everything, each in so many turns of the event loop, and tells what ran together. */
async function together(changes: readonly PullChange[], limit: number, turns = 3, mayShare = false) {
  const running = new Set<string>()
  const seen = new Set<string>()
  const order: string[] = []
  let most = 0
  for await (const event of runScheduled(changes, {
    limit,
    mayShare,
    async *run({ reference }) {
      order.push(reference)
      for (const other of running) seen.add([other, reference].sort().join(' '))
      running.add(reference)
      most = Math.max(most, running.size)
      for (let turn = 0; turn < turns; turn++) {
        await new Promise((resolve) => setImmediate(resolve))
        yield reference
      }
      running.delete(reference)
    },
  }))
    assert.ok(event)
  return { order, seen: [...seen].sort(), most }
}

test('one at a time unless more are asked for, in order', async () => {
  const changes = ['a', 'b', 'c'].map((name, index) => fetchOf(name, [index]))
  assert.deepEqual(await together(changes, 1), { order: ['a', 'b', 'c'], seen: [], most: 1 })
  assert.equal((await together(changes, 2)).most, 2)
  assert.equal((await together(changes, 9)).most, 3)
})

test('two that share a missing blob never run at once; a present blob is no matter; unknown layers run alone', async () => {
  const { seen } = await together(
    [fetchOf('a', [1, 2], [9]), fetchOf('b', [2, 3], [9]), fetchOf('c', [4], [9, 1]), fetchOf('unknown', null)],
    4,
  )
  assert.deepEqual(
    seen,
    ['a c', 'b c'].filter((pair) => seen.includes(pair)),
  )
  assert.ok(seen.includes('a c'))
})

test('where a place minds nothing, only the limit counts', async () => {
  const changes = [fetchOf('a', [1]), fetchOf('b', [1]), fetchOf('unknown', null), fetchOf('c', [1])]
  const { order, most } = await together(changes, 3, 3, true)
  assert.deepEqual(order, ['a', 'b', 'unknown', 'c'])
  assert.equal(most, 3)
})

test('what is yielded is worked off before the stream goes on, and what a stream throws comes out', async () => {
  const steps: string[] = []
  const changes = [fetchOf('a', [1]), fetchOf('b', [2])]
  for await (const value of runScheduled(changes, {
    limit: 2,
    async *run({ reference }) {
      yield `${reference} 1`
      steps.push(`${reference} goes on`)
      yield `${reference} 2`
    },
  })) {
    await new Promise((resolve) => setImmediate(resolve))
    steps.push(value)
  }
  assert.ok(steps.indexOf('a 1') < steps.indexOf('a goes on'))
  assert.ok(steps.indexOf('b 1') < steps.indexOf('b goes on'))
  assert.equal(steps.length, 6)
  const failing = runScheduled(changes, {
    limit: 2,
    async *run() {
      yield await Promise.reject(new Error('no luck'))
    },
  })
  await assert.rejects(async () => {
    for await (const _ of failing);
  }, /no luck/)
})

test('whatever the blobs, the rules hold and nothing is left out', async () => {
  const fetches = fc.array(fc.option(fc.uniqueArray(fc.nat(6), { maxLength: 3 }), { freq: 5 }), { maxLength: 8 })
  await fc.assert(
    fc.asyncProperty(fetches, fc.integer({ min: 1, max: 4 }), async (contents, limit) => {
      const changes = contents.map((missing, index) => fetchOf(`m${index}`, missing))
      const { order, seen, most } = await together(changes, limit, 2)
      assert.deepEqual([...order].sort(), changes.map(({ reference }) => reference).sort())
      assert.ok(most <= limit)
      for (const pair of seen) {
        const [first, second] = pair.split(' ').map((name) => contents[Number(name.slice(1))])
        assert.ok(first && second, 'unknown layers alone')
        assert.ok(
          first.every((blob) => !second.includes(blob)),
          pair,
        )
      }
    }),
    { numRuns: 60 },
  )
})
