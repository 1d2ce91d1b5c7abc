/** `pullModelsWithValidation`: pulls models, and has the plugins that speak for them look at what came. Deletes nothing. */
import type { ChangeResult, Event } from '../apply/events.ts'
import { formatReference, parseReference, referenceKey } from '../artifact/reference.ts'
import { quoted } from '../artifact/text.ts'
import type { Config } from '../config/config.ts'
import { type Diagnostic, type ErrorData, isOllamaConfigError, OllamaConfigError, toErrorData } from '../errors.ts'
import { type Change, type Plan, pendingChanges, planErrors } from '../plan/plan.ts'
import type { ModelManager } from '../plugins/manager.ts'
import { applyPlan } from './apply.ts'
import { type ConnectOptions, connect, type KnownConfig, type LoadedConfig, selectTarget } from './connection.ts'
import { assertNames } from './given.ts'
import { knownOf } from './known.ts'
import { loadConfig } from './load.ts'
import type { Place } from './place.ts'
import { createPlan, withSources } from './plan.ts'

export interface ValidatedPullOptions extends ConnectOptions {
  /** Whose plugins look at the models. Default: none, and every model stays unvalidated. */
  readonly manager?: ModelManager | undefined
  /** Gives host and headers and, where no models are named, the models. Default: the config that `loadConfig` finds, where none are named. */
  readonly config?: LoadedConfig | Config | undefined
  /** Where a config is looked for. Default: the working directory. */
  readonly cwd?: string | undefined
  readonly onEvent?: ((event: Event) => void) | undefined
}

/** What became of one model. */
export interface ValidatedPull {
  /** It is on the host: this call brought it, or it was there. */
  readonly pulled: boolean
  /** `null`: nobody looked at it, since no plugin speaks for it or the plugin failed. */
  readonly valid: boolean | null
  /** What its plugin told, in which an error means that it is not valid; and how the plugin failed, where it did. */
  readonly diagnostics: readonly Diagnostic[]
  /** Why it is not on the host. */
  readonly error?: ErrorData
}

/**
 * Pulls models that are not there, one by one, and validates each: by the plugin's `probe`, and by whether the host knows the
 * capabilities that its `details` name. One that cannot be pulled does not stop the others; a plugin that fails loses no model.
 *
 * @param models Default: those that the config declares. Of those that it declares its declaration and its lock file hold; others are
 * pulled by their tag.
 * @returns by reference, in the shortest spelling; a name that is none stands for itself
 * @throws {OllamaConfigError} `usage` for models that are no list of names; what `loadConfig` throws, and when the host cannot be asked
 * @throws `options.signal.reason`
 */
export async function pullModelsWithValidation(
  models?: readonly string[],
  options: ValidatedPullOptions = {},
): Promise<ReadonlyMap<string, ValidatedPull>> {
  const results = new Map<string, ValidatedPull>()
  const { config, given, wanted } = await configFor(models, options, results)
  const plan = withoutDeletions(await createPlan(config, { ...options, prune: false }))
  const pulls = await pullAll(plan, given, options)
  options.signal?.throwIfAborted()
  const { place } = selectTarget(config, options)
  const backend = await connect(place, config, options)
  const state = await backend.readState({ signal: options.signal })
  const installed = new Map(state.models.map((model) => [referenceKey(model.reference), model]))
  for (const { reference } of config.desired.models) {
    const name = formatReference(reference)
    if (wanted !== undefined && !wanted.has(referenceKey(reference))) continue
    const model = installed.get(referenceKey(reference))
    const error = pulls.errors.get(name)
    if (model === undefined) {
      results.set(name, { pulled: false, valid: null, diagnostics: [], error: error ?? notThere(name, place) })
      continue
    }
    const changed = pulls.changed.has(name)
    const judged =
      options.manager === undefined
        ? { valid: null, diagnostics: [] }
        : await (await import('./judge.ts')).judge({ name, model, changed }, options.manager, {
            state,
            backend,
            place,
            known: { ...options, config },
          })
    // Also with an error, as when a newer version could not be had: the one that was there stays.
    results.set(name, { pulled: true, ...judged, ...(error === undefined ? {} : { error }) })
  }
  return results
}

interface Wanted {
  /** With only what is wanted, and what that starts from: nothing else is planned, or in its way. */
  readonly config: KnownConfig
  /** As it was given: record and lock file are kept for what it declares. */
  readonly given: KnownConfig
  /** By `referenceKey`; `undefined`: all that is declared. */
  readonly wanted: ReadonlySet<string> | undefined
}

/**
 * The config as it is, so that its declarations, its lock file and its record hold, and beside them what is named and not declared.
 * Names that are none are told in `results`.
 */
async function configFor(
  models: readonly string[] | undefined,
  options: ValidatedPullOptions,
  results: Map<string, ValidatedPull>,
): Promise<Wanted> {
  const { config } = options
  if (models === undefined) {
    const given = await knownOf(config ?? (await loadConfig(options)), options)
    return { config: given, given, wanted: undefined }
  }
  assertNames(models)
  const names = new Map<string, string>()
  for (const text of models) {
    try {
      const reference = parseReference(text)
      // `http://…` has a meaning: the name is kept as it was written.
      if (!names.has(referenceKey(reference))) names.set(referenceKey(reference), text)
    } catch (error) {
      if (!isOllamaConfigError(error)) throw error
      results.set(text, { pulled: false, valid: null, diagnostics: [], error: toErrorData(error) })
    }
  }
  const known = await knownOf(config ?? { models: [] }, options)
  const declared = new Set(known.desired.models.map(({ reference }) => referenceKey(reference)))
  const others = [...names].flatMap(([key, text]) => (declared.has(key) ? [] : [text]))
  const more = await knownOf({ models: others }, options)
  const wanted = new Set(names.keys())
  const all = withSources(wanted, known.desired.models)
  const declaredOnes = known.desired.models.filter(({ reference }) => all.has(referenceKey(reference)))
  const desired = { ...known.desired, models: [...declaredOnes, ...more.desired.models] }
  return { config: { ...known, desired }, given: known, wanted }
}

function withoutDeletions(plan: Plan): Plan {
  return {
    ...plan,
    targets: plan.targets.map((target) => ({
      ...target,
      changes: target.changes.filter(({ action }) => action !== 'delete'),
    })),
  }
}

interface Pulls {
  /** By reference, in the shortest spelling. */
  readonly errors: ReadonlyMap<string, ErrorData>
  readonly changed: ReadonlySet<string>
}

async function pullAll(plan: Plan, config: KnownConfig, options: ValidatedPullOptions): Promise<Pulls> {
  const pending = pendingChanges(plan)
  if (pending.length === 0) return { errors: new Map(), changed: new Set() }
  const [problem] = planErrors(plan)
  if (problem !== undefined) {
    // Such as a disk that is too small: nothing is begun then.
    const { message, hint } = problem
    const error = toErrorData(new OllamaConfigError('invalid-plan', message, { hint }))
    return { errors: new Map(pending.map(({ reference }) => [reference, error])), changed: new Set() }
  }
  const run = applyPlan(plan, { ...options, config, approve: { changes: true, deletions: false } })
  for await (const event of run) options.onEvent?.(event)
  const results = (await run.report).targets.flatMap((target) => target.results)
  return {
    errors: errorsOf(results, pending),
    changed: new Set(results.filter(({ outcome }) => outcome === 'done').map(({ reference }) => reference)),
  }
}

/**
 * What starts from a model that was not brought was not begun, and says no more than that: the reason is that of its source, which comes
 * before it.
 */
function errorsOf(results: readonly ChangeResult[], pending: readonly Change[]): ReadonlyMap<string, ErrorData> {
  const sources = new Map(pending.map(({ id, dependsOn }) => [id, dependsOn]))
  const errors = new Map<string, ErrorData>()
  for (const { id, error, skipReason } of results) {
    const inherited = skipReason === 'dependency-failed' ? (sources.get(id) ?? []) : []
    const told = error ?? inherited.map((source) => errors.get(source)).find((one) => one !== undefined)
    if (told !== undefined) errors.set(id, told)
  }
  return new Map(
    results.flatMap(({ id, reference }) => {
      const error = errors.get(id)
      return error === undefined ? [] : [[reference, error] as const]
    }),
  )
}

function notThere(name: string, { kind }: Place): ErrorData {
  const where = kind === 'host' ? 'on the host' : 'in the store'
  return toErrorData(new OllamaConfigError('verification-failed', `${quoted(name)} is not ${where}`))
}
