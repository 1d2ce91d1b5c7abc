/**
 * Carries out the changes of one target and tells everything as events: fetches first, then what is made of them, deletions last
 * and alone. Reads what a
 * change does and what it was planned against, never its reason.
 */

import { printable } from '../artifact/text.ts'
import type { Backend, Hold } from '../backend/backend.ts'
import { readStateWhenReady, type WaitOptions } from '../backend/wait.ts'
import {
  type AliasChange,
  blockOf,
  type Change,
  type DeleteChange,
  type DeriveChange,
  isBuild,
  type PullChange,
  type RebuildChange,
  type RestoreChange,
  type Target,
  type UpdateChange,
} from '../plan/plan.ts'
import { anySignal } from '../runtime/abortable.ts'
import type { Patience } from './attempts.ts'
import type { Event, SkipReason } from './events.ts'
import { fetchModel } from './fetch.ts'
import { findInstalled, findWhole, type Host, stalePlan } from './host.ts'
import { aliasModel, buildModel } from './make.ts'
import { notDone, type Outcome, skipped } from './outcome.ts'
import { removeModel, restoreModel } from './remove.ts'
import { runScheduled } from './schedule.ts'

/** What the caller agreed to. */
export interface Approval {
  /** Everything but deletions: pulls, updates, rollbacks. */
  readonly changes: boolean
  /** Deletions of models that a registry can be expected to give back. */
  readonly deletions: boolean
  /** Also deletions of models that were made on a host. Default: false. */
  readonly irreplaceable?: boolean
}

export interface ApplyTargetOptions extends Patience, WaitOptions {
  readonly backend: Backend
  readonly approve: Approval
  /** At most so many models are fetched at once. Default: 1. */
  readonly concurrency?: number | undefined
  /** Refuse everything when a precondition of any change no longer holds. Default: only that change fails, or is found done. */
  readonly strict?: boolean | undefined
  /** Asked right before each deletion; rejects, and nothing is deleted, when the model is wanted by now. */
  readonly assertUnwanted?: ((reference: string) => Promise<void>) | undefined
  /** Milliseconds of a clock that is never set back. */
  readonly now: () => number
}

type Pending = Exclude<Change, { readonly action: 'no-op' }>

/**
 * Ends after an `apply-finished` event. A failed change does not stop the others, but nothing is deleted after a failure. No other process
 * of ours changes the place meanwhile.
 *
 * @throws {OllamaConfigError} only before the first change: when the host cannot be read, or `stale-plan` of a strict apply
 */
export async function* applyTarget(target: Target, options: ApplyTargetOptions): AsyncGenerator<Event, void> {
  const left = new AbortController()
  const signal = anySignal(options.signal, left.signal)
  let tell = (_holder: string) => {}
  const told = new Promise<string>((resolve) => {
    tell = resolve
  })
  // Where nothing is to be done, nobody is kept waiting, and a place that cannot be written is none the worse.
  const acts = target.changes.some(
    (change) => change.action !== 'no-op' && refusal(change, options.approve) === undefined,
  )
  const holding = acts ? options.backend.hold({ signal, onWait: tell }) : Promise.resolve(notHeld)
  try {
    yield* waiting(holding, told)
    yield* applyHeld(target, options, signal, await holding)
  } finally {
    // Without effect at the end; when the loop over the events is left, nothing may go on.
    left.abort(new DOMException('The loop over the events was left', 'AbortError'))
    await holding.then(
      (hold) => hold.release(),
      () => {},
    )
  }
}

const notHeld: Hold = { release: async () => {} }

/** For looking at what the last change did, after an interruption: the report shall still tell what is installed. */
const checkGraceMs = 3000

/** Goes up so long after the other one. */
function later(signal: AbortSignal, ms: number): AbortSignal {
  const late = new AbortController()
  const abort = () => {
    setTimeout(() => late.abort(signal.reason), ms).unref()
  }
  if (signal.aborted) abort()
  else signal.addEventListener('abort', abort, { once: true })
  return late.signal
}

/** Until the place is ours; tells for whom it waits. @throws what `hold` throws */
async function* waiting(holding: Promise<Hold>, told: Promise<string>): AsyncGenerator<Event, void> {
  const first = await Promise.race([holding, told])
  if (typeof first === 'string') yield { type: 'waiting', holder: printable(first) }
  await holding
}

async function* applyHeld(
  target: Target,
  options: ApplyTargetOptions,
  signal: AbortSignal,
  hold: Hold,
): AsyncGenerator<Event, void> {
  const { backend, approve, concurrency = 1, strict = false, now, stallMs, retryPauseMs, assertUnwanted } = options
  const changes = target.changes.filter((change): change is Pending => change.action !== 'no-op')
  const approved = changes.filter((change) => refusal(change, approve) === undefined)
  // Updates may remove blobs, which a pull that was planned against them would then bring again.
  const fetches = [...approved.filter(isPull), ...approved.filter(isUpdate)]
  // What is made comes after what it starts from. Deletions last.
  const others = [...inOrder(approved.filter(isMaking)), ...approved.filter(isRestore), ...approved.filter(isDelete)]
  const state = await readStateWhenReady(backend, { ...options, signal })
  const host: Host = { backend, state, lateSignal: later(signal, checkGraceMs) }
  if (strict) assertFresh(approved, host)
  yield { type: 'apply-started', address: target.address, changes: [...fetches, ...others] }

  for (const change of changes) {
    const skipReason = refusal(change, approve)
    if (skipReason !== undefined) yield finished(change, skipped(skipReason), 0)
  }
  let failed = false
  const undone = new Set<string>()
  const run = async function* (change: Pending): AsyncGenerator<Event, void> {
    const startedMs = now()
    const situation = { host, hold, signal, failed, undone, strict, assertUnwanted, stallMs, retryPauseMs }
    const outcome = yield* carryOut(change, situation)
    failed ||= outcome.outcome === 'failed'
    if (outcome.outcome !== 'done') undone.add(change.id)
    yield finished(change, outcome, now() - startedMs)
  }
  yield* runScheduled(fetches, { limit: concurrency, mayShare: backend.kind === 'store', run })
  for (const change of others) yield* run(change)
  yield { type: 'apply-finished', outcome: options.signal?.aborted ? 'interrupted' : failed ? 'failed' : 'done' }
}

interface Situation extends Patience, Pick<ApplyTargetOptions, 'assertUnwanted'> {
  readonly host: Host
  readonly hold: Hold
  readonly signal: AbortSignal
  /** Something before failed. */
  readonly failed: boolean
  /** Changes that were not carried out, by id. */
  readonly undone: ReadonlySet<string>
  readonly strict: boolean
}

/** Never throws. */
async function* carryOut(
  change: Pending,
  { host, hold, signal, failed, undone, strict, assertUnwanted, ...patience }: Situation,
): AsyncGenerator<Event, Outcome> {
  if (signal.aborted) return skipped('interrupted')
  if (change.action === 'delete' && failed) return skipped('earlier-failure')
  const blocked = blockOf(change)
  if (blocked !== undefined) return { outcome: 'failed', digest: null, sizeBytes: null, error: blocked }
  if (change.dependsOn.some((id) => undone.has(id))) return skipped('dependency-failed')
  yield { type: 'change-started', id: change.id }
  try {
    await hold.assertHeld?.()
    switch (change.action) {
      case 'pull':
      case 'update':
        return yield* fetchModel(change, host, { signal, ...patience })
      case 'derive':
      case 'rebuild':
        return yield* buildModel(change, host, { signal, strict, stallMs: patience.stallMs })
      case 'alias':
        return yield* aliasModel(change, host)
      case 'restore':
        return yield* restoreModel(change, host)
      case 'delete':
        await assertUnwanted?.(change.reference)
        return await removeModel(change, host)
    }
  } catch (error) {
    return notDone(error, signal)
  }
}

/** @throws {OllamaConfigError} `stale-plan`, naming every model that is not as it was */
function assertFresh(changes: readonly Pending[], { state, backend }: Host): void {
  const stale = changes.filter((change) => {
    const find = (name: string) => (change.action === 'delete' ? findInstalled(state, name)[0] : findWhole(state, name))
    const digestOf = (name: string) => find(name)?.digest ?? null
    // Done by an earlier apply of the plan, which was interrupted, or by somebody else.
    if (isAtGoal(change, digestOf(change.reference))) return false
    const { digest, source = null, base = null } = change.precondition
    const start = startOf(change)
    const wanted = source ?? base
    return digestOf(change.reference) !== digest || (start !== null && wanted !== null && digestOf(start) !== wanted)
  })
  if (stale.length === 0) return
  throw stalePlan(
    `Nothing was changed: since the plan was made, ${stale.map(({ reference }) => `"${reference}"`).join(', ')} changed ${backend.kind === 'host' ? 'on the host' : 'in the store'}`,
  )
}

function isAtGoal({ action, after }: Pending, digest: string | null): boolean {
  if (action === 'delete') return digest === null
  return action !== 'restore' && digest !== null && digest === after?.digest
}

/** The model that it copies, or is built from. */
function startOf(change: Pending): string | null {
  if (change.action === 'alias') return change.of
  if (change.action === 'restore') return change.from
  return isBuild(change) ? change.build.from : null
}

/** Each after those that it depends on; else as they come. */
function inOrder(changes: readonly Making[]): readonly Making[] {
  const ordered: Making[] = []
  let waiting = changes
  while (waiting.length > 0) {
    const open = new Set(waiting.map(({ id }) => id))
    for (const change of waiting) {
      if (change.dependsOn.some((id) => open.has(id))) continue
      open.delete(change.id)
      ordered.push(change)
    }
    const rest = waiting.filter(({ id }) => open.has(id))
    // A plan from elsewhere may go round in circles: all of that is refused by the host then.
    if (rest.length === waiting.length) return [...ordered, ...rest]
    waiting = rest
  }
  return ordered
}

function refusal(change: Change, approve: Approval): SkipReason | undefined {
  if (change.action !== 'delete') return approve.changes ? undefined : 'not-approved'
  if (!approve.deletions) return 'not-approved'
  return change.irreplaceable && approve.irreplaceable !== true ? 'irreplaceable' : undefined
}

function finished(change: Change, outcome: Outcome, durationMs: number): Event {
  const { id, action, reference } = change
  return { type: 'change-finished', id, action, reference, durationMs, ...outcome }
}

const isPull = (change: Change): change is PullChange => change.action === 'pull'
const isUpdate = (change: Change): change is UpdateChange => change.action === 'update'
type Making = DeriveChange | RebuildChange | AliasChange
const isMaking = (change: Change): change is Making => isBuild(change) || change.action === 'alias'
const isRestore = (change: Change): change is RestoreChange => change.action === 'restore'
const isDelete = (change: Change): change is DeleteChange => change.action === 'delete'
