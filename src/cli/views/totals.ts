/** The whole run in numbers, from the states of its changes. Pure. */
import {
  type ChangeState,
  expectedBytes,
  isFinished,
  movesNoBytes,
  type Progress,
  rateOf,
  timeFor,
} from './progress.ts'
import { isSettled } from './rate.ts'

export interface Totals {
  readonly counts: Readonly<Record<ChangeState['phase'], number>>
  readonly changes: number
  readonly finished: number
  readonly completedBytes: number
  /** `null` while the size of a change that is still to be done is unknown. */
  readonly totalBytes: number | null
  /** `null` while unknown. */
  readonly bytesPerSecond: number | null
  /** Milliseconds; `null` while unknown. */
  readonly remainingMs: number | null
}

export function totalsOf(progress: Progress, nowMs: number): Totals {
  const counts = { waiting: 0, active: 0, done: 0, failed: 0, skipped: 0, cancelled: 0 }
  let completedBytes = 0
  let knownBytes = 0
  let complete = true
  let rate: number | null = null
  let settled = false
  for (const state of progress.changes) {
    counts[state.phase] += 1
    if (movesNoBytes(state.action)) continue
    const completed = bytesOnHost(state)
    completedBytes += completed
    const expected = isFinished(state) ? completed : expectedBytes(state)
    if (expected === null) complete = false
    // What failed will not come any more, so that it counts with what it got.
    knownBytes += Math.max(completed, expected ?? 0)
    const own = rateOf(state, nowMs)
    if (own !== null) rate = (rate ?? 0) + own
    settled ||= state.rate !== null && isSettled(state.rate, nowMs)
  }
  const totalBytes = complete ? knownBytes : null
  return {
    counts,
    changes: progress.changes.length,
    finished: progress.changes.length - counts.waiting - counts.active,
    completedBytes,
    totalBytes,
    bytesPerSecond: rate,
    remainingMs: totalBytes === null || !settled ? null : timeFor(totalBytes - completedBytes, rate),
  }
}

function bytesOnHost(state: ChangeState): number {
  if (state.phase === 'done') return state.seenBytes ?? state.sizeBytes ?? 0
  return state.completedBytes ?? 0
}
