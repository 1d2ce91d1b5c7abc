import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Event } from '../../../src/apply/events.ts'
import {
  type ChangeState,
  foldProgress,
  fractionOf,
  noProgress,
  type Progress,
  rateOf,
  remainingOf,
} from '../../../src/cli/views/progress.ts'
import { addSample, bytesPerSecond, startRate } from '../../../src/cli/views/rate.ts'
import { totalsOf } from '../../../src/cli/views/totals.ts'
import { activityText, errorTexts, outcomeText } from '../../../src/cli/views/words.ts'
import { alias, began, deletion, ended, progressed, pull, started } from './events.ts'

const MB = 1e6
const model = pull('qwen3:8b')

/** Folds events that come at these times. */
function fold(events: readonly (readonly [number, Event])[]): Progress {
  return events.reduce((progress, [ms, event]) => foldProgress(progress, event, ms), noProgress)
}

function only(progress: Progress): ChangeState {
  const [state] = progress.changes
  assert.ok(state)
  return state
}

/** `steps` lines, one each 100 ms from `fromMs`, `perStep` bytes apart. */
function stream(fromMs: number, fromBytes: number, perStep: number, steps: number, total: number) {
  return Array.from({ length: steps }, (_, step) => {
    return [fromMs + step * 100, progressed(model, fromBytes + step * perStep, total)] as const
  })
}

test('a change goes from waiting to active to done', () => {
  const waiting = fold([[0, started(model)]])
  assert.equal(only(waiting).phase, 'waiting')
  const active = foldProgress(waiting, began(model), 10)
  assert.equal(only(active).phase, 'active')
  assert.equal(activityText(only(active)), 'pulling')
  const done = foldProgress(active, ended(model, { durationMs: 80_000, sizeBytes: 4.7e9 }), 20)
  assert.equal(only(done).phase, 'done')
  assert.equal(outcomeText(only(done)), 'pulled 4.7 GB in 1m 20s')
})

test('the fold changes nothing in place, and nothing for changes it was not told of', () => {
  const before = fold([[0, started(model)]])
  assert.equal(foldProgress(before, progressed(pull('other'), 1, 2), 1), before)
  foldProgress(before, began(model), 1)
  assert.equal(only(before).phase, 'waiting')
})

test('a steady download has a rate and a time left', () => {
  const progress = fold([[0, started(model)], [0, began(model)], ...stream(0, 0, 10 * MB, 31, 1000 * MB)])
  const rate = rateOf(only(progress), 3000)
  assert.ok(rate !== null && Math.abs(rate - 100 * MB) < MB, String(rate))
  const left = remainingOf(only(progress), 3000)
  assert.ok(left !== null && Math.abs(left - 7000) < 100, String(left))
})

test('the first bytes tell nothing of the time left', () => {
  // A small layer comes at once, and the storage of the large one lets wait.
  const first = fold([[0, started(model)], [0, began(model)], ...stream(0, 0, 1, 18, 262_000)])
  assert.equal(remainingOf(only(first), 1700), null)
  assert.equal(totalsOf(first, 1700).remainingMs, null)
  const early = fold([[0, started(model)], [0, began(model)], ...stream(0, 0, 10 * MB, 9, 1000 * MB)])
  assert.ok(rateOf(only(early), 800) !== null)
  assert.equal(remainingOf(only(early), 800), null)
  const later = fold([[0, started(model)], [0, began(model)], ...stream(0, 0, 10 * MB, 13, 1000 * MB)])
  assert.ok((remainingOf(only(later), 1200) ?? 0) > 0)
  assert.ok((totalsOf(later, 1200).remainingMs ?? 0) > 0)
})

test('a second name moves no bytes, and counts with none', () => {
  const progress = fold([[0, started(pull('a', 100 * MB), alias('b', 'a', 100 * MB))]])
  assert.deepEqual(
    progress.changes.map(({ plannedBytes }) => plannedBytes),
    [100 * MB, null],
  )
  assert.equal(totalsOf(progress, 0).totalBytes, 100 * MB)
})

test('a resumed download counts only what comes now', () => {
  const progress = fold([[0, started(model)], ...stream(0, 3000 * MB, MB, 31, 4000 * MB)])
  const rate = rateOf(only(progress), 3000)
  assert.ok(rate !== null && Math.abs(rate - 10 * MB) < MB, String(rate))
})

test('bytes that run backwards give neither a negative rate nor a negative share', () => {
  const progress = fold([
    [0, started(model)],
    ...stream(0, 500 * MB, 10 * MB, 11, 1000 * MB),
    [1100, progressed(model, 100 * MB, 1000 * MB)],
    [1200, progressed(model, 110 * MB, 1000 * MB)],
  ])
  const state = only(progress)
  const rate = rateOf(state, 1200)
  assert.ok(rate !== null && rate > 0 && rate <= 100 * MB, String(rate))
  assert.equal(fractionOf(state), 0.11)
  assert.ok((remainingOf(state, 1200) ?? -1) > 0)
})

test('a layer that is on the host already is no burst of speed', () => {
  const progress = fold([
    [0, started(model)],
    ...stream(0, 0, MB, 20, 100 * MB),
    [2000, progressed(model, 4020 * MB, 4100 * MB)],
  ])
  const rate = rateOf(only(progress), 2000)
  assert.ok(rate !== null && rate < 15 * MB, String(rate))
})

test('a total that grows is taken as it comes, but not below what the plan knows', () => {
  const planned = pull('qwen3:8b', 1000 * MB)
  const progress = fold([
    [0, started(planned)],
    [1, progressed(planned, 50 * MB, 100 * MB)],
  ])
  assert.equal(fractionOf(only(progress)), 0.05)
  assert.equal(fractionOf(only(foldProgress(progress, progressed(planned, 50 * MB, 2000 * MB), 2))), 0.025)
})

test('without numbers nothing is guessed', () => {
  const progress = fold([
    [0, started(model)],
    [0, progressed(model, null, null, { status: 'pulling manifest' })],
  ])
  const state = only(progress)
  assert.deepEqual([fractionOf(state), rateOf(state, 900), remainingOf(state, 900)], [null, null, null])
  assert.equal(activityText(state), 'pulling manifest')
})

test('waiting for another client is said, and has neither rate nor time', () => {
  const progress = fold([
    [0, started(model)],
    ...stream(0, 0, 10 * MB, 20, 1000 * MB),
    [2000, progressed(model, null, null, { waiting: true })],
  ])
  const state = only(progress)
  assert.equal(activityText(state), 'waiting for another download')
  assert.equal(rateOf(state, 2000), null)
})

test('a rate is unknown at first, falls in a stall, and stands a clock that is set back', () => {
  let rate = startRate(0)
  rate = addSample(rate, 10 * MB, 100)
  assert.equal(bytesPerSecond(rate, 100), null)
  rate = addSample(rate, 90 * MB, 1000)
  const fast = bytesPerSecond(rate, 1000) ?? 0
  const stalled = bytesPerSecond(rate, 31_000) ?? 0
  assert.ok(fast > 50 * MB && stalled < MB, `${fast} ${stalled}`)
  assert.ok((bytesPerSecond(addSample(rate, MB, 500), 500) ?? -1) >= 0)
})

test('a time left of days is no answer', () => {
  const progress = fold([[0, started(model)], ...stream(0, 0, 1, 20, 1e15)])
  assert.equal(remainingOf(only(progress), 2000), null)
})

test('totals are unknown while one size is, and failures leave them', () => {
  const [known, unknown, removed] = [pull('a', 100 * MB), pull('b'), deletion('c')]
  const begun = fold([
    [0, started(known, unknown, removed)],
    [0, progressed(known, 40 * MB, 100 * MB)],
  ])
  const first = totalsOf(begun, 0)
  assert.deepEqual([first.completedBytes, first.totalBytes, first.remainingMs], [40 * MB, null, null])
  const failed = foldProgress(begun, ended(unknown, { outcome: 'failed' }), 1)
  const totals = totalsOf(failed, 1)
  assert.deepEqual([totals.completedBytes, totals.totalBytes], [40 * MB, 100 * MB])
  assert.deepEqual(totals.counts, { waiting: 1, active: 1, done: 0, failed: 1, skipped: 0, cancelled: 0 })
  assert.equal(totals.finished, 1)
})

test('every outcome has its words', () => {
  const end = (more: Parameters<typeof ended>[1]) =>
    only(
      fold([
        [0, started(model)],
        [0, progressed(model, 2.3e9, 4.7e9)],
        [1, ended(model, more)],
      ]),
    )
  assert.equal(outcomeText(end({ outcome: 'cancelled' })), 'cancelled at 2.3 GB, resumable')
  assert.equal(
    outcomeText(end({ outcome: 'skipped', skipReason: 'earlier-failure' })),
    'skipped: nothing is deleted after a failure',
  )
  const failed = end({
    outcome: 'failed',
    durationMs: 3000,
    error: { code: 'disk-full', message: 'No \x1b[2Jroom\nleft', hint: 'make room' },
  })
  assert.equal(outcomeText(failed), 'failed after 3s')
  assert.deepEqual(
    errorTexts(failed, (hint) => hint),
    { message: 'qwen3:8b: No room left', hint: 'hint: make room' },
  )
})
