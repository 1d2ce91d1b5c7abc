/** `createPlan`: compares the config with what the host or the store has. */
import path from 'node:path'
import { formatReference, nameOfPage, parseReference, referenceKey } from '../artifact/reference.ts'
import { quoted } from '../artifact/text.ts'
import type { Config } from '../config/config.ts'
import { OllamaConfigError } from '../errors.ts'
import { sourceOf } from '../plan/declared-models.ts'
import { diff } from '../plan/diff.ts'
import { type Change, formatVersion, type Plan } from '../plan/plan.ts'
import { type Intent, isUpdated } from '../plan/resolution.ts'
import type { DesiredModel, DesiredState } from '../plan/state.ts'
import { createFileReader, type FileReader } from '../resolution/inputs.ts'
import { resolvePlan } from '../resolution/resolve.ts'
import { withUnusable } from '../resolution/unusable.ts'
import { suggest } from '../suggest.ts'
import { type ConnectOptions, type KnownConfig, type LoadedConfig, openRegistry } from './connection.ts'
import { assertNames } from './given.ts'
import { haveHook, knownOf } from './known.ts'
import { isLocal, ollamaFolders } from './place.ts'
import { assertDeclarationsLocked, type Survey, type SurveyOptions, survey } from './survey.ts'

export interface CreatePlanOptions extends SurveyOptions {
  /** Count deletions among what this plan applies. Default: false; they are listed all the same. */
  readonly prune?: boolean | undefined
  /** Ask registries whether they could give back what is not in the config, since it may be deleted. Default: as `prune`. */
  readonly checkDeletions?: boolean | undefined
  /** Ask no registry: versions and sizes then come from the lock file, or are unknown. Default: false. */
  readonly offline?: boolean | undefined
  /** Bring these models, or all, to what their tags name now, whatever the lock says. Default: none. */
  readonly update?: readonly string[] | 'all' | undefined
  /** Copy each version aside before it is replaced, for a rollback. Default: false. */
  readonly keepPrevious?: boolean | undefined
}

/** A plan is made while someone waits. */
const registryBudgetMs = 5000
/** An update is asked for by name, and worth waiting for. */
export const longRegistryBudgetMs = 60_000
/** For whoever waited that long already. */
export const patientHint = 'try again, and check the network or proxy to this registry'

/**
 * Compares the config with what the host or the store has. Changes nothing.
 *
 * @throws {ConfigError} when `config` was not loaded by `loadConfig` and is wrong
 * @throws {OllamaConfigError} when the host cannot be read, such as `host-unreachable`; `lock-invalid`, `lock-missing`,
 * `lock-frozen`; `usage` when `update` names a model that is not declared, and for options that do not go together
 */
export async function createPlan(
  config: LoadedConfig | KnownConfig | Config,
  options: CreatePlanOptions = {},
): Promise<Plan> {
  const { prune = false, offline = false, update, keepPrevious = false, checkDeletions = prune } = options
  const known = await knownOf(config, options)
  const { desired } = known
  if (prune && desired.prune === false) {
    throw new OllamaConfigError('prune-refused', 'The config says prune: false, so nothing may be deleted', {
      hint: 'drop --prune, or change "prune" in the config',
    })
  }
  const intent: Intent = {
    update:
      update === undefined || update === 'all'
        ? (update ?? null)
        : withSources(keysOf(update, desired), desired.models),
    keepPrevious,
    checkDeletions,
  }
  const found = await survey(known, options)
  // One for all that read, so that nothing is read twice: weights have gigabytes.
  const readFile = createFileReader(found.recalled.inputs, options.signal)
  if (options.frozen && hasBuilds(desired)) {
    const { declarationHashes } = await import('../resolution/declaration-hash.ts')
    const hashes = await declarationHashes(desired, readFile)
    assertDeclarationsLocked(desired, hashes, found.lock, known)
  }
  const plan = { formatVersion, prune, targets: [await planTarget(found, intent, { ...options, offline, readFile })] }
  if (!haveHook(known, 'review')) return plan
  const { reviewPlan } = await import('./review.ts')
  return reviewPlan(plan, found, options)
}

async function planTarget(
  { desired, place, backend, actual: listed, recalled, diagnostics: notes }: Survey,
  intent: Intent,
  options: CreatePlanOptions & { readonly offline: boolean; readonly readFile: FileReader },
): Promise<Plan['targets'][number]> {
  const { offline, readFile, env = process.env, signal } = options
  const { serverVersion } = listed
  const budgetMs = intent.update === null ? registryBudgetMs : longRegistryBudgetMs
  const { actual, diagnostics: looks } = await withUnusable(listed, {
    desired,
    recalled,
    backend,
    budgetMs: registryBudgetMs,
    signal,
  })
  const startMs = performance.now()
  const resolution = await resolvePlan({
    desired,
    actual,
    recalled,
    intent,
    backend,
    offline,
    openRegistry: () => openRegistry(place, serverVersion, options),
    budgetMs,
    hint: intent.update === null ? 'try again; "ollama-config outdated" waits longer' : patientHint,
    signal,
  })
  // What that took is over for these: it is the time for all registries of a plan.
  const leftMs = Math.max(0, Math.round(budgetMs - (performance.now() - startMs)))
  const builds = hasBuilds(desired)
    ? await (await import('../resolution/builds.ts')).resolveBuilds({
        desired,
        actual,
        resolution,
        intent,
        backend,
        local: isLocal(place),
        readFile,
        openRegistry: () => openRegistry(place, serverVersion, options),
        budgetMs: leftMs,
        signal,
      })
    : resolution.builds
  const { changes: all, drift, diagnostics } = diff(desired, actual, { ...resolution, builds }, intent)
  const changes = intent.update === null ? all : onlyUpdates(all, desired, intent)
  const disk =
    isLocal(place) && changes.some(({ downloadBytes }) => downloadBytes !== null && downloadBytes > 0)
      ? await diskOf({
          changes,
          actual,
          backend,
          ...(place.kind === 'store' ? { folder: place.folder, candidates: [] } : { candidates: modelFolders(env) }),
          signal,
        })
      : []
  return {
    address: backend.address,
    kind: backend.kind,
    serverVersion,
    changes,
    drift,
    diagnostics: [...notes, ...looks, ...disk, ...diagnostics],
  }
}

function hasBuilds({ models }: DesiredState): boolean {
  return models.some(({ recipe }) => recipe?.kind === 'build')
}

/** An update leaves alone what was not named, but for what is made from it. */
function onlyUpdates(changes: readonly Change[], { models }: DesiredState, intent: Intent): readonly Change[] {
  const wanted = new Set(
    models
      .filter(({ reference }) => isUpdated(referenceKey(reference), intent))
      .map(({ reference }) => formatReference(reference)),
  )
  const updated = new Set<string>()
  const isWanted = ({ id, reference, dependsOn }: Change) =>
    !updated.has(id) && (wanted.has(reference) || dependsOn.some((other) => updated.has(other)))
  // Until nothing more depends on what is in: a model may come before its base in the order of names.
  for (let more = changes.filter(isWanted); more.length > 0; more = changes.filter(isWanted)) {
    for (const { id } of more) updated.add(id)
  }
  return changes.filter(({ id }) => updated.has(id))
}

async function diskOf(options: Parameters<typeof import('../resolution/disk.ts').diskProblem>[0]) {
  const { diskProblem } = await import('../resolution/disk.ts')
  const problem = await diskProblem(options)
  return problem === undefined ? [] : [problem]
}

function modelFolders(env: NonNullable<ConnectOptions['env']>): readonly string[] {
  const set = env['OLLAMA_MODELS']
  return [
    ...(set === undefined || set === '' ? [] : [set]),
    ...ollamaFolders(env).map((folder) => path.join(folder, 'models')),
  ]
}

/** Whoever updates a model that is made wants what it is made from to be up to date. */
export function withSources(keys: ReadonlySet<string>, models: readonly DesiredModel[]): ReadonlySet<string> {
  const declared = new Map(models.map((model) => [referenceKey(model.reference), model]))
  const all = new Set<string>()
  for (const key of keys) {
    for (let model = declared.get(key); model !== undefined && !all.has(referenceKey(model.reference)); ) {
      all.add(referenceKey(model.reference))
      const source = sourceOf(model)
      model = source === undefined ? undefined : declared.get(referenceKey(source))
    }
  }
  return all
}

/** @throws {OllamaConfigError} `usage` when a name is not declared, or what is given is no list */
export function keysOf(names: readonly string[], { models }: DesiredState): ReadonlySet<string> {
  assertNames(names)
  const declared = new Map(models.map(({ reference }) => [referenceKey(reference), formatReference(reference)]))
  return new Set(
    names.map((name) => {
      const key = referenceKey(parseReference(name))
      if (declared.has(key)) return key
      const near = nearest(nameOfPage(name) ?? name, [...declared.values()])
      throw new OllamaConfigError('usage', `${quoted(name)} is not declared in the config`, {
        hint:
          near === undefined
            ? `declared are ${[...declared.values()].join(', ') || 'no models'}`
            : `did you mean "${near}"?`,
      })
    }),
  )
}

/** By the name without its tag, which many share; and where host and namespace are the same, by what follows them. */
function nearest(name: string, declared: readonly string[]): string | undefined {
  const split = (full: string) => /^(?<place>(?:.*\/)?)(?<model>[^/:]*)(?::[^/:]*)?$/.exec(full)?.groups ?? {}
  const wanted = formatReference(parseReference(name))
  const { place = '', model = '' } = split(wanted)
  const near = declared.filter((full) => split(full)['place'] === place)
  const others = declared.filter((full) => split(full)['place'] !== place)
  const bare = (full: string) => `${split(full)['place']}${split(full)['model']}`
  const last = suggest(
    model,
    near.map((full) => split(full)['model'] ?? ''),
  )
  const found = last === undefined ? suggest(`${place}${model}`, others.map(bare)) : `${place}${last}`
  const same = declared.filter((full) => bare(full) === found)
  return suggest(wanted, same) ?? same[0]
}
