/** What is going on, folded from events: per change here, in total in `totals.ts`. Pure: the time is an argument. */
import type { ChangeOutcome, ChangeProgress, ChangeRetrying, Event, SkipReason } from '../../apply/events.ts'
import { printable } from '../../artifact/text.ts'
import type { ErrorData } from '../../errors.ts'
import type { Change } from '../../plan/plan.ts'
import { addSample, bytesPerSecond, isSettled, type Rate, startRate } from './rate.ts'

export interface Progress {
  /** In the order of the events that announced them. */
  readonly changes: readonly ChangeState[]
  readonly indexes: ReadonlyMap<string, number>
}

export interface ChangeState {
  readonly id: string
  readonly reference: string
  readonly action: Change['action']
  readonly phase: 'waiting' | 'active' | ChangeOutcome
  /** The server's words, such as `pulling manifest`; empty when it said nothing yet. */
  readonly status: string
  /** Another client is downloading the same layer. */
  readonly waitsForOther: boolean
  /** It broke off, and this attempt follows; `null` while one is under way. */
  readonly retry: Pick<ChangeRetrying, 'attempt' | 'pauseMs'> | null
  /** `null` while unknown. */
  readonly completedBytes: number | null
  /** Of the layers seen so far; `null` while unknown. */
  readonly seenBytes: number | null
  /** What the plan expects of the whole model; `null` when it does not know. */
  readonly plannedBytes: number | null
  /** `null` until bytes were reported. */
  readonly rate: Rate | null
  /** Of a finished change. */
  readonly durationMs: number | null
  readonly attempts: number
  readonly sizeBytes: number | null
  readonly skipReason: SkipReason | null
  readonly error: ErrorData | null
}

export const noProgress: Progress = { changes: [], indexes: new Map() }

/** Events of changes that were not announced, such as unapproved ones, change nothing. */
export function foldProgress(progress: Progress, event: Event, nowMs: number): Progress {
  switch (event.type) {
    case 'apply-started':
      return announce(progress, event.changes)
    case 'change-started':
      return replace(progress, event.id, (state) => ({ ...state, phase: 'active' }))
    case 'change-progress':
      return replace(progress, event.id, (state) => (isFinished(state) ? state : advance(state, event, nowMs)))
    case 'change-retrying':
      return replace(progress, event.id, (state) => ({ ...state, retry: event, rate: null }))
    case 'change-finished':
      return replace(progress, event.id, (state) => ({
        ...state,
        retry: null,
        attempts: event.attempts ?? 1,
        phase: event.outcome,
        rate: null,
        durationMs: event.durationMs,
        sizeBytes: event.sizeBytes,
        skipReason: event.skipReason ?? null,
        error: event.error ?? null,
      }))
    default:
      return progress // `apply-finished`, and what a newer engine may add
  }
}

/** Its size must not wait in the total. */
export function movesNoBytes(action: Change['action']): boolean {
  return action === 'delete' || action === 'alias' || action === 'restore'
}

export function isFinished(state: ChangeState): boolean {
  return state.phase !== 'waiting' && state.phase !== 'active'
}

/**
 * The best guess at the bytes of the whole model; `null` while unknown. The layers seen so far are too few until the
 * last one came up, so the plan's size counts while it is the larger one.
 */
export function expectedBytes({ seenBytes, plannedBytes }: ChangeState): number | null {
  if (seenBytes === null) return plannedBytes
  return Math.max(seenBytes, plannedBytes ?? 0)
}

/** Between 0 and 1; `null` while unknown. */
export function fractionOf(state: ChangeState): number | null {
  const total = expectedBytes(state)
  if (state.completedBytes === null || total === null || total <= 0) return null
  return Math.min(1, Math.max(0, state.completedBytes / total))
}

/** Bytes per second; `null` while unknown. */
export function rateOf(state: ChangeState, nowMs: number): number | null {
  return state.rate === null ? null : bytesPerSecond(state.rate, nowMs)
}

/** Milliseconds; `null` while unknown, as in a download that stalls. */
export function remainingOf(state: ChangeState, nowMs: number): number | null {
  const total = expectedBytes(state)
  if (state.phase !== 'active' || state.completedBytes === null || total === null) return null
  if (state.rate === null || !isSettled(state.rate, nowMs)) return null
  return timeFor(total - state.completedBytes, rateOf(state, nowMs))
}

/** More than this is no answer to "how long?". */
const maxRemainingMs = 99 * 3600 * 1000

/** Milliseconds that so many bytes take; `null` when nobody can tell. */
export function timeFor(bytes: number, rate: number | null): number | null {
  if (rate === null || rate < 1) return null
  const ms = (Math.max(0, bytes) / rate) * 1000
  return ms > maxRemainingMs ? null : ms
}

function announce(progress: Progress, changes: readonly Change[]): Progress {
  const indexes = new Map(progress.indexes)
  const states = [...progress.changes]
  for (const change of changes) {
    if (indexes.has(change.id)) continue
    indexes.set(change.id, states.length)
    states.push(waiting(change))
  }
  return { changes: states, indexes }
}

function waiting({ id, reference, action, after, downloadBytes }: Change): ChangeState {
  return {
    id,
    reference: printable(reference),
    action,
    phase: 'waiting',
    status: '',
    waitsForOther: false,
    retry: null,
    completedBytes: null,
    seenBytes: null,
    plannedBytes: movesNoBytes(action) ? null : (after?.sizeBytes ?? downloadBytes),
    rate: null,
    durationMs: null,
    attempts: 1,
    sizeBytes: null,
    skipReason: null,
    error: null,
  }
}

function advance(state: ChangeState, event: ChangeProgress, nowMs: number): ChangeState {
  const { completedBytes, totalBytes } = event
  return {
    ...state,
    phase: 'active',
    status: event.status === state.status ? state.status : printable(event.status),
    waitsForOther: event.waiting,
    retry: null,
    completedBytes: completedBytes ?? state.completedBytes,
    seenBytes: totalBytes ?? state.seenBytes,
    rate: nextRate(state, event, nowMs),
  }
}

function nextRate(state: ChangeState, event: ChangeProgress, nowMs: number): Rate | null {
  // While another client downloads, the bytes are not ours to measure.
  if (event.waiting) return null
  if (event.completedBytes === null) return state.rate
  // The first number is where a resumed download starts, not what came just now.
  if (state.rate === null || state.completedBytes === null) return startRate(nowMs)
  const moved = event.completedBytes - state.completedBytes
  // A layer that comes up with bytes already on the host moves both numbers at once, and nothing came over the network.
  const grown = Math.max(0, (event.totalBytes ?? 0) - (state.seenBytes ?? 0))
  return addSample(state.rate, moved - grown, nowMs)
}

function replace(progress: Progress, id: string, change: (state: ChangeState) => ChangeState): Progress {
  const index = progress.indexes.get(id)
  const state = index === undefined ? undefined : progress.changes[index]
  if (index === undefined || state === undefined) return progress
  const next = change(state)
  return next === state ? progress : { ...progress, changes: progress.changes.with(index, next) }
}
