import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Turns } from '../../src/runtime/turns.ts'

test('so many run at once, in order, and one that fails gives its turn on', async () => {
  const turns = new Turns(2)
  const open: (() => void)[] = []
  const begun: number[] = []
  const work = (index: number) =>
    turns.run(async () => {
      begun.push(index)
      await new Promise<void>((resolve) => open.push(resolve))
      if (index === 0) throw new Error('failed')
      return index
    })
  const all = Promise.allSettled([0, 1, 2, 3].map(work))
  assert.deepEqual(begun, [0, 1])
  for (let done = 0; done < 4; done++) {
    // The next one begins in a later turn of the loop.
    while (open[done] === undefined) await new Promise((resolve) => setImmediate(resolve))
    assert.ok(begun.length <= done + 2)
    open[done]?.()
  }
  const results = await all
  assert.deepEqual(
    results.map((result) => (result.status === 'fulfilled' ? result.value : 'failed')),
    ['failed', 1, 2, 3],
  )
  assert.deepEqual(begun, [0, 1, 2, 3])
})
