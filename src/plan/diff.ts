/** Desired state × actual state → changes. Pure and deterministic: the order of the inputs does not show in the result. */
import { matchesPattern } from '../artifact/pattern.ts'
import { compareText, formatReference, isAddressable, type Reference, referenceKey } from '../artifact/reference.ts'
import type { Diagnostic } from '../errors.ts'
import type { Change, ModelFacts, Reason } from './plan.ts'
import type { ActualState, DesiredModel, DesiredState, InstalledModel } from './state.ts'

export interface Difference {
  readonly changes: readonly Change[]
  readonly diagnostics: readonly Diagnostic[]
}

/** What has to happen so that the host has what the config declares, and an entry for each model that is fine. */
export function diff(desired: DesiredState, actual: ActualState): Difference {
  const installed = groupByKey(actual.models)
  const declared = new Set<string>()
  const entries: { readonly key: string; readonly change: Change }[] = []
  for (const model of desired.models) {
    const key = referenceKey(model.reference)
    declared.add(key)
    entries.push({ key, change: declaredChange(model, installed.get(key)?.[0]) })
  }
  const undeclared = [...installed].filter(([key]) => !declared.has(key))
  const doomed = new Set<InstalledModel>()
  const spared = new Map<InstalledModel, Reason>()
  for (const [, models] of undeclared) {
    for (const model of models) {
      const reason = reasonToSpare(model, models.length > 1, desired)
      if (reason === undefined) doomed.add(model)
      else spared.set(model, reason)
    }
  }
  const listed = [...installed.values()].flat()
  const survivors = new Set(listed.filter((model) => !doomed.has(model)).map(({ digest }) => digest))
  for (const [key, models] of undeclared) {
    for (const model of models) {
      const reason = spared.get(model)
      entries.push({
        key,
        change: reason === undefined ? deletion(model, survivors) : noOp(model.reference, model, reason),
      })
    }
  }
  entries.sort((a, b) => compareText(a.key, b.key) || compareText(a.change.id, b.change.id))
  return {
    changes: withUniqueIds(entries.map(({ change }) => change)),
    diagnostics: diagnose(desired, actual, installed),
  }
}

function declaredChange(model: DesiredModel, installed: InstalledModel | undefined): Change {
  const { reference, insecure } = model
  if (installed !== undefined) return noOp(reference, installed, { code: 'in-sync', text: 'installed' })
  const name = formatReference(reference)
  return {
    id: `pull:${name}`,
    action: 'pull',
    reference: name,
    cloud: reference.cloud,
    before: null,
    after: { digest: null, sizeBytes: null },
    dependsOn: [],
    precondition: { digest: null },
    downloadBytes: null,
    freedBytes: 0,
    insecure,
    reason: { code: 'missing', text: 'declared, not installed' },
  }
}

function deletion(model: InstalledModel, survivors: ReadonlySet<string>): Change {
  const name = formatReference(model.reference)
  const irreplaceable = model.parentModel !== undefined
  // A model with the same manifest stays, and with it every byte of this one.
  const shared = survivors.has(model.digest)
  return {
    id: `delete:${name}`,
    action: 'delete',
    reference: name,
    cloud: false,
    before: factsOf(model),
    after: null,
    dependsOn: [],
    precondition: { digest: model.digest },
    downloadBytes: 0,
    freedBytes: shared ? 0 : null,
    requires: 'prune',
    nominalBytes: model.sizeBytes,
    irreplaceable,
    reason: {
      code: 'undeclared',
      text: irreplaceable ? `built from ${model.parentModel}` : 'not in the config',
    },
  }
}

function noOp(reference: Reference, model: InstalledModel, reason: Reason): Change {
  const name = formatReference(reference)
  const facts = factsOf(model)
  return {
    id: `no-op:${name}`,
    action: 'no-op',
    reference: name,
    cloud: model.remoteHost !== undefined,
    before: facts,
    after: facts,
    dependsOn: [],
    precondition: { digest: model.digest },
    downloadBytes: 0,
    freedBytes: 0,
    reason,
  }
}

/** Why an undeclared model is not to be deleted; `undefined` when nothing speaks for it. */
function reasonToSpare(model: InstalledModel, ambiguous: boolean, desired: DesiredState): Reason | undefined {
  if (model.remoteHost !== undefined) return { code: 'undeclared-cloud', text: 'cloud models are never deleted' }
  if (desired.prune === false) return { code: 'prune-disabled', text: 'not in the config, which says prune: false' }
  if (desired.models.length === 0)
    return { code: 'nothing-declared', text: 'a config that declares no model deletes nothing' }
  const pattern = desired.keep.find((candidate) => matchesPattern(candidate, model.reference))
  if (pattern !== undefined) return { code: 'kept', text: `kept by "${pattern.text}"` }
  if (ambiguous || !isAddressable(model.name)) {
    return { code: 'not-addressable', text: 'the server would take its name for that of another model' }
  }
  return undefined
}

function diagnose(
  desired: DesiredState,
  actual: ActualState,
  installed: ReadonlyMap<string, readonly InstalledModel[]>,
): readonly Diagnostic[] {
  const found: Diagnostic[] = []
  desired.keep.forEach((pattern, index) => {
    if (actual.models.some((model) => matchesPattern(pattern, model.reference))) return
    found.push({
      severity: 'warning',
      code: 'keep-matches-nothing',
      path: `keep[${index}]`,
      message: `keep[${index}]: "${pattern.text}" matches no installed model`,
      ...(pattern.text.includes('/')
        ? {}
        : { hint: 'it covers the default registry only: "*/*/*" covers every model of every registry' }),
    })
  })
  for (const models of installed.values()) {
    const names = models.map(({ name }) => `"${name}"`).sort(compareText)
    if (names.length > 1) {
      found.push({
        severity: 'warning',
        code: 'ambiguous-name',
        message: `The server lists ${names.join(' and ')}, which are one name to it: they are left alone`,
        hint: 'rename one of them in the model directory',
      })
    } else if (models.some(({ name }) => !isAddressable(name))) {
      found.push({
        severity: 'warning',
        code: 'not-addressable',
        message: `The server lists ${names.join('')}, but takes ":local" for a routing word: the model is left alone`,
        hint: 'copy it to another name',
      })
    }
  }
  for (const name of actual.unreadable) {
    found.push({
      severity: 'warning',
      code: 'unreadable-name',
      message: `The server lists ${JSON.stringify(name)}, which is no valid model name: it is left alone`,
    })
  }
  if (desired.models.length === 0) {
    found.push({
      severity: 'warning',
      code: 'nothing-declared',
      path: 'models',
      message: 'The config declares no model',
      hint: 'add names to "models"',
    })
  }
  return found.sort(
    (a, b) =>
      compareText(a.code, b.code) || compareText(a.path ?? '', b.path ?? '') || compareText(a.message, b.message),
  )
}

/** Two spellings of one name, or one name twice in a listing, would otherwise share an id. */
function withUniqueIds(changes: readonly Change[]): readonly Change[] {
  const seen = new Map<string, number>()
  return changes.map((change) => {
    const count = (seen.get(change.id) ?? 0) + 1
    seen.set(change.id, count)
    return count === 1 ? change : { ...change, id: `${change.id}#${count}` }
  })
}

function factsOf(model: InstalledModel): ModelFacts {
  return { digest: model.digest, sizeBytes: model.remoteHost === undefined ? model.sizeBytes : null }
}

/** Hand-made files can make a server list two names that differ only in case. */
function groupByKey(models: readonly InstalledModel[]): ReadonlyMap<string, readonly InstalledModel[]> {
  const groups = new Map<string, InstalledModel[]>()
  for (const model of models) {
    const key = referenceKey(model.reference)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [model])
    else if (group.every(({ name, digest }) => name !== model.name || digest !== model.digest)) group.push(model)
  }
  for (const group of groups.values()) group.sort((a, b) => compareText(a.name, b.name))
  return groups
}
