/** `applyPlan`: carries out a plan, and keeps record and lock file. */
import { existsSync } from 'node:fs'
import { basename } from 'node:path'
import { type Approval, applyTarget } from '../apply/apply.ts'
import { type ApplyRun, createApplyRun } from '../apply/apply-run.ts'
import type { Patience } from '../apply/attempts.ts'
import { isSameContent } from '../artifact/manifest.ts'
import { matchesPattern } from '../artifact/pattern.ts'
import { parseListedName, parseReference, referenceKey } from '../artifact/reference.ts'
import { quoted } from '../artifact/text.ts'
import type { Backend } from '../backend/backend.ts'
import type { Config } from '../config/config.ts'
import { OllamaConfigError } from '../errors.ts'
import {
  formatVersion,
  isBuild,
  isFetch,
  knownActions,
  manifestOf,
  type Plan,
  type PullChange,
  planErrors,
  type Target,
  type UpdateChange,
  wordFor,
} from '../plan/plan.ts'
import type { DesiredState } from '../plan/state.ts'
import { isLockedPull, type Lock, type LockedPull } from '../record/lock.ts'
import { recall } from '../resolution/recall.ts'
import type { Books } from './bookkeeping.ts'
import { connect, type KnownConfig, type LoadedConfig, type ReadyOptions, selectTarget } from './connection.ts'
import { assertGiven } from './given.ts'
import { haveHook, knownOf } from './known.ts'
import { recordPlace } from './place.ts'
import { assertLocked, configFileOf, lockPathOf, readLockOf } from './survey.ts'

export interface ApplyPlanOptions extends ReadyOptions, Patience {
  /** Gives the connection: host and headers are not in the plan. */
  readonly config: LoadedConfig | KnownConfig | Config
  readonly approve: Approval
  /**
   * At most so many models are fetched at once. Default: 1, since one pull opens many connections as it is; 4 into a store, whose
   * downloads share their connections.
   */
  readonly concurrency?: number | undefined
  /** Fetch nothing: what is not in the store as a whole fails. Default: false. Of a store; a server downloads by itself. */
  readonly offline?: boolean | undefined
  /** Refuse all of it when any precondition no longer holds, as for a plan that was saved. Default: false. */
  readonly strict?: boolean | undefined
  /**
   * Afterwards, if nothing failed, load declared models into the server's memory, one after the other: those with `keepAlive`, or all where none
   * has it; never cloud models. One that cannot be loaded makes the outcome `failed`. Default: false.
   */
  readonly preload?: boolean | undefined
  /** Never write the lock file. Default: false; it is extended where it exists. */
  readonly frozen?: boolean | undefined
}

/**
 * Carries out a plan: starts at once. An unapproved change is reported as skipped.
 *
 * @throws {OllamaConfigError} `usage`, `invalid-plan`, `stale-plan` through `report`, before anything happens
 */
export function applyPlan(plan: Plan, options: ApplyPlanOptions): ApplyRun {
  return createApplyRun(async function* start(signal) {
    assertGiven(plan, 'plan', 'what createPlan() returned', 'targets')
    const target = applicableTarget(plan)
    assertGiven(options?.approve, 'approval', 'approve: { changes: true, deletions: false }')
    const { approve, strict, stallMs, retryPauseMs, waitMs, onWait, concurrency: atOnce } = options
    if (atOnce !== undefined && !(Number.isInteger(atOnce) && atOnce >= 1)) throw notACount(atOnce)
    const config = await knownOf(options.config, { ...options, signal })
    const known = { ...options, config, signal }
    const { place } = selectTarget(config, options)
    if (options.preload && place.kind === 'store') throw noMemory()
    const backend = await connect(place, config, options)
    assertSamePlace(target, backend)
    const lock = await readLockOf(config)
    await assertAllowed(target, lock, known)
    const books = await openBooks(target, lock, known, Date.now)
    await assertLockReplaceable(target, lock, known)
    const concurrency = atOnce ?? (place.kind === 'store' ? storeConcurrency : 1)
    const events = applyTarget(target, {
      backend,
      approve,
      concurrency,
      strict,
      stallMs,
      retryPauseMs,
      assertUnwanted: config.desired.prune === 'managed' ? (reference) => assertUnwanted(reference, books) : undefined,
      waitMs,
      onWait,
      signal,
      now: () => Math.round(performance.now()),
    })
    const { keepBooks } = await import('./bookkeeping.ts')
    const kept = keepBooks(events, books)
    const probed = haveHook(config, 'probe')
      ? (await import('./probe.ts')).probeAfter(kept, { backend, place, known })
      : kept
    if (target.changes.some(({ reason }) => reason.code === 'not-checked')) {
      const { tellUnchecked } = await import('./unchecked.ts')
      return yield* tellUnchecked(probed, target)
    }
    if (!options.preload || place.kind === 'store') return yield* probed
    // Last: a probe may unload what it has tried.
    const { preloadAfter } = await import('./preload.ts')
    yield* preloadAfter(probed, { backend, place, known })
  }, options?.signal)
}

function notACount(given: number): OllamaConfigError {
  return new OllamaConfigError('usage', `concurrency ${given} is no number of models that are fetched at once`, {
    hint: 'give a whole number from 1 on',
  })
}

function noMemory(): OllamaConfigError {
  return new OllamaConfigError('usage', 'A store has no memory that models could be loaded into', {
    hint: 'leave out --preload, or name a server instead of the store',
  })
}

const storeConcurrency = 4

/** @throws {OllamaConfigError} `invalid-plan` */
function assertSamePlace(planned: Target, { kind, address }: Backend): void {
  if (planned.kind === kind && planned.address === address) return
  const name = (other: Pick<Target, 'kind' | 'address'>) =>
    planned.kind === kind && kind === 'host' ? other.address : `the ${wordFor(other.kind)} ${other.address}`
  const which = planned.kind === 'host' ? 'the host it was made for' : `--store=${planned.address}`
  throw invalidPlan(
    `The plan was made for ${name(planned)}, not for ${name({ kind, address })}`,
    `plan again, or give ${which}`,
  )
}

interface KnownOptions extends Omit<ApplyPlanOptions, 'config'> {
  readonly config: KnownConfig
}

function applicableTarget(plan: Plan): Target {
  const [target] = plan.targets
  if (Number.parseInt(plan.formatVersion, 10) !== Number.parseInt(formatVersion, 10)) {
    throw invalidPlan(
      `The plan has format ${JSON.stringify(plan.formatVersion)}, which this version does not read`,
      'plan again',
    )
  }
  if (target === undefined || plan.targets.length > 1)
    throw invalidPlan(`A plan for ${plan.targets.length} hosts cannot be applied`)
  const [problem] = planErrors(plan)
  if (problem !== undefined) throw invalidPlan(`The plan has an error: ${problem.message}`, problem.hint)
  const unknown = target.changes.find(({ action }) => !knownActions.has(action))
  if (unknown !== undefined)
    throw invalidPlan(`The plan has a change of a kind that this version does not know: ${quoted(unknown.action)}`)
  return target
}

/** What a plan from elsewhere, or from earlier, must not do: the lock binds as it is now, and only copies of ours are restored. */
async function assertAllowed(target: Target, lock: Lock | undefined, options: KnownOptions): Promise<void> {
  const { config, frozen = false, strict = false } = options
  if (frozen) assertLocked(config.desired, lock, config)
  if (strict) {
    await assertDeclared(target)
    assertPinned(target, lock)
    if (options.approve.deletions) assertUndeclared(target, config.desired)
  }
  const restores = target.changes.filter((change) => change.action === 'restore')
  if (restores.length === 0) return
  const { openRecord } = await import('../record/record-file.ts')
  const place = recordPlace(selectTarget(config, options).place, options)
  const record = place === undefined ? undefined : await openRecord(place).read()
  const copies = record?.configs[configFileOf(config) ?? '']?.copies ?? {}
  for (const { from, reference } of restores) {
    if (copies[from]?.of !== reference)
      throw invalidPlan(`${quoted(from)} is no copy of ${quoted(reference)} that this config made`)
  }
}

/**
 * What is recorded and locked of a build is its declaration, which has to be that of what is built.
 *
 * @throws {OllamaConfigError} `invalid-plan`
 */
async function assertDeclared({ changes }: Target): Promise<void> {
  const builds = changes.filter(isBuild)
  if (builds.length === 0) return
  const { hashOfBuild } = await import('../resolution/declaration-hash.ts')
  for (const { reference, build, declaration } of builds) {
    if (hashOfBuild(build, build.files, build.adapters) !== declaration)
      throw invalidPlan(
        `The plan says of ${quoted(reference)} what does not fit together, as after an edit by hand`,
        'plan again',
      )
  }
}

/** @throws {OllamaConfigError} `prune-refused`, `stale-plan` when the config does not allow a deletion, or not any more */
function assertUndeclared({ changes }: Target, { models, prune, keep }: DesiredState): void {
  const deletions = changes.filter(({ action }) => action === 'delete')
  if (prune === false && deletions.length > 0) {
    throw new OllamaConfigError('prune-refused', 'The config says prune: false, so nothing may be deleted', {
      hint: 'plan again, or change "prune" in the config',
    })
  }
  const declared = new Set(models.map(({ reference }) => referenceKey(reference)))
  for (const { reference } of deletions) {
    const parsed = parseReference(reference)
    const isDeclared = declared.has(referenceKey(parsed))
    if (!isDeclared && !keep.some((pattern) => matchesPattern(pattern, parsed))) continue
    throw new OllamaConfigError(
      'stale-plan',
      `The plan deletes ${quoted(reference)}, which the config ${isDeclared ? 'declares' : 'keeps'}`,
      { hint: 'plan again, or apply the plan where its config is' },
    )
  }
}

/**
 * Another config may have come to declare the model since the plan was made, as while this one asked, or waited for its turn.
 *
 * @throws {OllamaConfigError} `stale-plan`, `record-invalid`
 */
async function assertUnwanted(reference: string, { record }: Books): Promise<void> {
  if (record === undefined) return
  const { keeper, configFile } = record
  const { declaredBy } = recall({ lock: undefined, record: await keeper.read(), configFile, exists: existsSync })
  const other = declaredBy.get(referenceKey(parseListedName(reference)))
  if (other === undefined) return
  throw new OllamaConfigError('stale-plan', `"${reference}" was not deleted: ${other} declares it by now`, {
    hint: 'plan again',
  })
}

/** @throws {OllamaConfigError} `stale-plan` when the lock names another version than the plan */
function assertPinned({ changes }: Target, lock: Lock | undefined): void {
  const pins = new Map(Object.entries(lock?.models ?? {}).map(([name, entry]) => [name.toLowerCase(), entry]))
  const other = changes.find((change) => {
    const pin = isFetch(change) ? pins.get(change.reference.toLowerCase()) : undefined
    return isFetch(change) && pin !== undefined && isLockedPull(pin) && !isPinned(change, pin)
  })
  if (other === undefined) return
  throw new OllamaConfigError(
    'stale-plan',
    `The lock file names another version of ${quoted(other.reference)} than the plan`,
    {
      hint: 'plan again',
    },
  )
}

function isPinned({ after, manifest }: PullChange | UpdateChange, { digest, config, layers }: LockedPull): boolean {
  if (after?.digest === digest) return true
  return manifest !== null && layers !== null && isSameContent(manifestOf(manifest), { config, layers })
}

/**
 * Before anything is updated: with the versions of before in the file, the next plan would be held to what no tag names any more.
 *
 * @throws {OllamaConfigError} `file-not-written`
 */
async function assertLockReplaceable(target: Target, lock: Lock | undefined, options: KnownOptions): Promise<void> {
  const file = lockPathOf(options.config)
  const writes = lock !== undefined && !options.frozen && target.changes.some(({ action }) => action === 'update')
  if (file === undefined || !writes) return
  const { assertReplaceable } = await import('../runtime/atomic-file.ts')
  await assertReplaceable(file)
}

async function openBooks(
  target: Target,
  known: Lock | undefined,
  options: KnownOptions,
  now: () => number,
): Promise<Books> {
  const { config, frozen = false } = options
  const configFile = configFileOf(config)
  const place = recordPlace(selectTarget(config, options).place, options)
  const lockFile = lockPathOf(config)
  const { openRecord } = await import('../record/record-file.ts')
  const { extendLock } = await import('../record/lock-file.ts')
  return {
    target,
    desired: config.desired,
    record: place === undefined || configFile === undefined ? undefined : { keeper: openRecord(place), configFile },
    lock: lockFile === undefined || frozen ? undefined : (entries) => extendLock(lockFile, entries, known),
    lockFile: lockFile === undefined ? undefined : basename(lockFile),
    now,
    trusted: options.strict !== true,
  }
}

function invalidPlan(message: string, hint?: string): OllamaConfigError {
  return new OllamaConfigError('invalid-plan', message, { hint })
}
