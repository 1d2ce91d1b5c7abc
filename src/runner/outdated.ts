/** `findOutdated`: what registries serve now, against what is installed and locked. */
import type { Config } from '../config/config.ts'
import type { Diagnostic } from '../errors.ts'
import { diff } from '../plan/diff.ts'
import { type OutdatedModel, outdatedModels } from '../plan/outdated.ts'
import { formatVersion } from '../plan/plan.ts'
import { resolvePlan } from '../resolution/resolve.ts'
import { type LoadedConfig, openRegistry } from './connection.ts'
import { longRegistryBudgetMs, patientHint } from './plan.ts'
import { type SurveyOptions, survey } from './survey.ts'

export interface Outdated {
  readonly formatVersion: string
  /** One per host. */
  readonly targets: readonly OutdatedTarget[]
}

export interface OutdatedTarget {
  readonly address: string
  readonly serverVersion: string | null
  readonly models: readonly OutdatedModel[]
  readonly diagnostics: readonly Diagnostic[]
}

/**
 * Asks the registry of each declared model once. Changes nothing.
 *
 * @throws {OllamaConfigError} as `createPlan`
 */
export async function findOutdated(config: LoadedConfig | Config, options: SurveyOptions = {}): Promise<Outdated> {
  const { desired, place, backend, actual, recalled, diagnostics: notes } = await survey(config, options)
  const { serverVersion } = actual
  const intent = { update: 'all', keepPrevious: false, checkDeletions: false } as const
  const resolution = await resolvePlan({
    desired,
    actual,
    recalled,
    intent,
    backend,
    offline: false,
    openRegistry: () => openRegistry(place, serverVersion, options),
    budgetMs: longRegistryBudgetMs,
    hint: patientHint,
    signal: options.signal,
  })
  const { diagnostics } = diff(desired, actual, resolution, intent)
  const models = outdatedModels(desired, actual, resolution)
  return {
    formatVersion,
    targets: [{ address: backend.address, serverVersion, models, diagnostics: [...notes, ...diagnostics] }],
  }
}
