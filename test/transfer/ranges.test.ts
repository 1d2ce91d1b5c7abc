/** Byte ranges, against a list of single bytes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseJournal } from '../../src/transfer/journal.ts'
import { bytesIn, frontierOf, missingRanges, type Ranges, withRange } from '../../src/transfer/ranges.ts'

const size = 40
const range = fc.tuple(fc.nat(size), fc.nat(size)).map(([a, b]) => ({ from: Math.min(a, b), to: Math.max(a, b) }))

test('ranges are what single bytes would be', () => {
  fc.assert(
    fc.property(fc.array(range, { maxLength: 12 }), (added) => {
      const there = new Set(added.flatMap(({ from, to }) => Array.from({ length: to - from }, (_, i) => from + i)))
      const ranges = added.reduce<Ranges>(withRange, [])
      const covered = (list: Ranges) =>
        list.flatMap(({ from, to }) => Array.from({ length: to - from }, (_, i) => from + i))
      assert.deepEqual(
        covered(ranges),
        [...there].sort((a, b) => a - b),
      )
      assert.deepEqual(
        covered(missingRanges(ranges, size)),
        Array.from({ length: size }, (_, i) => i).filter((byte) => !there.has(byte)),
      )
      assert.equal(bytesIn(ranges), there.size)
      const gap = Array.from({ length: size + 1 }, (_, i) => i).find((byte) => !there.has(byte)) ?? size
      assert.equal(frontierOf(ranges), gap)
      // Joined where they touch: else there would be more and more of them.
      for (const [index, { from }] of ranges.entries()) assert.ok(index === 0 || from > (ranges[index - 1]?.to ?? 0))
    }),
  )
})

test('no text makes a journal say what cannot be', () => {
  const line = fc.oneof(
    fc.string(),
    fc.tuple(fc.integer(), fc.integer(), fc.stringMatching(/^[0-9a-f]{0,9}$/)).map((words) => words.join(' ')),
  )
  fc.assert(
    fc.property(fc.array(line), (lines) => {
      for (const { from, to, crc } of parseJournal(['ollama-config parts 1 1000', ...lines].join('\n'), 1000) ?? [])
        assert.ok(from >= 0 && from < to && to <= 1000 && Number.isSafeInteger(crc))
      assert.equal(parseJournal(lines.join('\n'), 1000), undefined)
    }),
  )
})
