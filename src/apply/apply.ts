/**
 * Carries out the changes of one target and tells everything as events: pulls first, one at a time, deletions last and
 * alone. Reads what a change does and what it was planned against, never its reason.
 */
import { isAddressable, parseListedName, parseReference, sameReference } from '../artifact/reference.ts'
import type { Backend } from '../backend/backend.ts'
import { OllamaConfigError, toErrorData } from '../errors.ts'
import type { Change, DeleteChange, PullChange, Target } from '../plan/plan.ts'
import type { ActualState, InstalledModel } from '../plan/state.ts'
import type { ChangeResult, Event, SkipReason } from './events.ts'
import { PullMeter } from './pull-progress.ts'

/** What the caller agreed to. */
export interface Approval {
  /** Pulls. */
  readonly changes: boolean
  /** Deletions of models that a registry can be expected to give back. */
  readonly deletions: boolean
  /** Also deletions of models that were made on a host. Default: false. */
  readonly irreplaceable?: boolean
}

export interface ApplyTargetOptions {
  readonly backend: Backend
  readonly approve: Approval
  readonly signal?: AbortSignal | undefined
  /** Epoch milliseconds. */
  readonly now: () => number
}

/** The host with what it had at the last look, which is taken anew after each change. */
interface Host {
  readonly backend: Backend
  state: ActualState
}

type Outcome = Pick<ChangeResult, 'outcome' | 'digest' | 'sizeBytes'> &
  Partial<Pick<ChangeResult, 'error' | 'skipReason'>>

/**
 * Ends after an `apply-finished` event. A failed change does not stop the others, but nothing is deleted after a failure.
 *
 * @throws {OllamaConfigError} only when the host cannot be read before the first change
 */
export async function* applyTarget(target: Target, options: ApplyTargetOptions): AsyncGenerator<Event, void> {
  const { backend, approve, signal, now } = options
  const changes = target.changes.filter(({ action }) => action !== 'no-op')
  const approved = changes.filter((change) => refusal(change, approve) === undefined)
  const ordered = [...approved.filter(isPull), ...approved.filter(isDelete)]
  const host: Host = { backend, state: await backend.readState({ signal }) }
  let failed = false
  yield { type: 'apply-started', address: target.address, changes: ordered }

  for (const change of changes) {
    const skipReason = refusal(change, approve)
    if (skipReason !== undefined) yield finished(change, skipped(skipReason), 0)
  }
  for (const change of ordered) {
    const startedMs = now()
    let outcome: Outcome
    if (signal?.aborted) {
      outcome = skipped('interrupted')
    } else if (change.action === 'delete' && failed) {
      outcome = skipped('earlier-failure')
    } else {
      yield { type: 'change-started', id: change.id }
      try {
        outcome = change.action === 'pull' ? yield* pull(change, host, signal) : await remove(change, host, approve)
      } catch (error) {
        outcome = notDone(error, signal)
      }
    }
    failed ||= outcome.outcome === 'failed'
    yield finished(change, outcome, now() - startedMs)
  }
  yield { type: 'apply-finished', outcome: signal?.aborted ? 'interrupted' : failed ? 'failed' : 'done' }
}

async function* pull(change: PullChange, host: Host, signal: AbortSignal | undefined): AsyncGenerator<Event, Outcome> {
  const [present] = findInstalled(host.state, change.reference)
  // Pulled by somebody else meanwhile: the config has what it wants, and a second pull would ask for a newer version.
  if (present !== undefined) return done(present)
  const meter = new PullMeter(change.id)
  const lines = host.backend.pull(parseReference(change.reference), { insecure: change.insecure, signal })
  for await (const line of lines) yield meter.update(line)
  return done(await verifyPulled(change, host))
}

/** A stream that ends in success is a claim; the listing and `show`, which fails when a blob is missing, are the proof. */
async function verifyPulled(change: PullChange, host: Host): Promise<InstalledModel> {
  // Without the signal: these take moments, and after an interruption the report shall still tell what is installed.
  host.state = await host.backend.readState()
  const [model] = findInstalled(host.state, change.reference)
  if (model === undefined) {
    throw new OllamaConfigError(
      'verification-failed',
      `The server reported success for "${change.reference}", but does not list it`,
      { hint: 'look at the log of the server' },
    )
  }
  // A cloud model is asked for elsewhere, and may need an account.
  if (model.remoteHost === undefined) await host.backend.show(model.name)
  return model
}

async function remove(change: DeleteChange, host: Host, approve: Approval): Promise<Outcome> {
  const found = findInstalled(host.state, change.reference)
  const [model] = found
  if (model === undefined) return done(undefined)
  const changed = whatChanged(change, found, approve)
  if (changed !== undefined) {
    throw new OllamaConfigError('stale-plan', `"${change.reference}" was not deleted: ${changed}`, {
      hint: 'plan again',
    })
  }
  try {
    // Without the signal: a deletion cut off half way would leave the report guessing.
    await host.backend.delete(model.name)
  } catch (error) {
    // Somebody else was quicker, or only the answer was lost. A host that cannot be asked proves neither.
    if (await isGone(change, host).catch(() => false)) return done(undefined)
    throw error
  }
  if (await isGone(change, host)) return done(undefined)
  throw new OllamaConfigError(
    'verification-failed',
    `The server reported that it deleted "${change.reference}", but still lists it`,
    { hint: 'look at the log of the server' },
  )
}

/** Why the model is no longer the one whose deletion was approved. */
function whatChanged(
  { precondition }: DeleteChange,
  found: readonly InstalledModel[],
  approve: Approval,
): string | undefined {
  for (const { digest, name, remoteHost, parentModel } of found) {
    if (found.length > 1 || !isAddressable(name)) return 'the server could take its name for that of another model'
    if (digest !== precondition.digest) return 'it was replaced since the plan was made'
    if (remoteHost !== undefined) return 'it is a cloud model'
    if (parentModel !== undefined && approve.irreplaceable !== true) return 'no registry can give it back'
  }
  return undefined
}

async function isGone(change: DeleteChange, host: Host): Promise<boolean> {
  host.state = await host.backend.readState()
  return findInstalled(host.state, change.reference).length === 0
}

/** What is listed under this name: more than one entry only where they differ. */
function findInstalled(state: ActualState, name: string): readonly InstalledModel[] {
  const reference = parseListedName(name)
  const found = state.models.filter((model) => sameReference(model.reference, reference))
  return found.filter((model, index) => found.findIndex((other) => isSameEntry(model, other)) === index)
}

function isSameEntry(a: InstalledModel, b: InstalledModel): boolean {
  return a.name === b.name && a.digest === b.digest
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

function done(model: InstalledModel | undefined): Outcome {
  const sizeBytes = model === undefined || model.remoteHost !== undefined ? null : model.sizeBytes
  return { outcome: 'done', digest: model?.digest ?? null, sizeBytes }
}

function notDone(error: unknown, signal: AbortSignal | undefined): Outcome {
  // An error of its own is told, also when it comes while the signal is up.
  if (signal?.aborted && error === signal.reason) return { outcome: 'cancelled', digest: null, sizeBytes: null }
  return { outcome: 'failed', digest: null, sizeBytes: null, error: toErrorData(error) }
}

function skipped(skipReason: SkipReason): Outcome {
  return { outcome: 'skipped', skipReason, digest: null, sizeBytes: null }
}

const isPull = (change: Change): change is PullChange => change.action === 'pull'
const isDelete = (change: Change): change is DeleteChange => change.action === 'delete'
