/** Desired state × actual state × resolution → changes. Pure and deterministic: the order of the inputs does not show in the result. */
import { compareText, formatReference, referenceKey } from '../artifact/reference.ts'
import type { Diagnostic } from '../errors.ts'
import { withBytes } from './bytes.ts'
import { declaredChanges } from './declared-models.ts'
import { diagnose } from './diagnose.ts'
import { noOp } from './facts.ts'
import { groupByKey } from './installed.ts'
import type { Change, Drift } from './plan.ts'
import { asDeclared, type Intent, nothingResolved, type Resolution } from './resolution.ts'
import type { ActualState, DesiredState, InstalledModel } from './state.ts'
import { deletion, sparing } from './undeclared.ts'

export interface DiffResult {
  readonly changes: readonly Change[]
  readonly drift: readonly Drift[]
  readonly diagnostics: readonly Diagnostic[]
}

/** What has to happen so that the host has what the config declares, and an entry for each model that is fine. */
export function diff(
  desired: DesiredState,
  actual: ActualState,
  resolution: Resolution = nothingResolved,
  intent: Intent = asDeclared,
): DiffResult {
  const installed = groupByKey(actual.models)
  const { serverVersion } = actual
  const declared = declaredChanges(desired, { serverVersion, installed }, resolution, intent)
  const entries: { readonly key: string; readonly change: Change }[] = []
  for (const [key, change] of declared) entries.push({ key, change })
  const reasonToSpare = sparing(desired, installed, resolution)
  for (const [key, models] of installed) {
    if (declared.has(key)) continue
    for (const model of models) {
      const undeclared = { key, model, ambiguous: models.length > 1 }
      const reason = reasonToSpare(undeclared)
      const change =
        reason === undefined ? deletion(undeclared, resolution, intent) : noOp(model.reference, model, reason)
      entries.push({ key, change })
    }
  }
  entries.sort((a, b) => compareText(a.key, b.key) || compareText(a.change.id, b.change.id))
  const changes = withBytes(withUniqueIds(entries.map(({ change }) => change)), resolution)
  return {
    changes,
    drift: driftOf(desired, installed, resolution),
    diagnostics: diagnose({ desired, actual, installed, resolution, intent, changes }),
  }
}

/** Declared models that are no longer as the last apply left them. */
function driftOf(
  { models }: DesiredState,
  installed: ReadonlyMap<string, readonly InstalledModel[]>,
  { recorded }: Resolution,
): readonly Drift[] {
  // Nearly always nothing was recorded, or nothing changed.
  if (recorded.size === 0) return []
  return models
    .flatMap(({ reference }): readonly Drift[] => {
      const key = referenceKey(reference)
      const record = recorded.get(key)
      const now = installed.get(key)?.[0]?.digest ?? null
      return record === undefined || record.digest === now
        ? []
        : [{ reference: formatReference(reference), recorded: record.digest, installed: now }]
    })
    .sort((a, b) => compareText(a.reference, b.reference))
}

/** Two spellings of one name, or one name twice in a listing, would otherwise share an id. They come one after the other. */
function withUniqueIds(changes: readonly Change[]): readonly Change[] {
  let count = 0
  return changes.map((change, index) => {
    count = change.id === changes[index - 1]?.id ? count + 1 : 1
    return count === 1 ? change : { ...change, id: `${change.id}#${count}` }
  })
}
