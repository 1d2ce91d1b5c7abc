/** Carries out a deletion, and the restoring of a previous version, which ends with one. */
import { isAddressable, sameReference } from '../artifact/reference.ts'
import { toErrorData } from '../errors.ts'
import type { DeleteChange, RestoreChange } from '../plan/plan.ts'
import type { InstalledModel } from '../plan/state.ts'
import type { Event } from './events.ts'
import { findInstalled, type Host, notAsReported, stalePlan, verifyInstalled } from './host.ts'
import { done, type Outcome } from './outcome.ts'

/** @throws {OllamaConfigError} `stale-plan`, `verification-failed`, and what the host answers */
export async function removeModel(change: DeleteChange, host: Host): Promise<Outcome> {
  const found = findInstalled(host.state, change.reference)
  const [model] = found
  if (model === undefined) return done(undefined)
  const changed = whatChanged(change, found, host)
  if (changed !== undefined) throw stalePlan(`"${change.reference}" was not deleted: ${changed}`)
  await deleteModel(model.name, host)
  return done(undefined)
}

/** Why the model is no longer the one whose deletion was approved. */
function whatChanged(
  { precondition, parentModel }: DeleteChange,
  found: readonly InstalledModel[],
  { backend }: Host,
): string | undefined {
  for (const { digest, name, remoteHost, ...model } of found) {
    if (found.length > 1 || !isAddressable(name))
      return `${backend.kind === 'host' ? 'the' : 'a'} server could take its name for that of another model`
    if (digest !== precondition.digest) return 'it was replaced since the plan was made'
    if (remoteHost !== undefined) return 'it is a cloud model'
    if ((model.parentModel ?? null) !== parentModel) return 'it is not known whether a registry can give it back'
  }
  return undefined
}

async function deleteModel(name: string, host: Host): Promise<void> {
  const isGone = async () => {
    host.state = await host.backend.readState({ signal: host.lateSignal })
    return findInstalled(host.state, name).length === 0
  }
  try {
    // Without the signal: a deletion cut off half way would leave the report guessing.
    await host.backend.delete(name)
  } catch (error) {
    // Somebody else was quicker, or only the answer was lost. A host that cannot be asked proves neither.
    if (await isGone().catch(() => false)) return
    throw error
  }
  if (await isGone()) return
  throw notAsReported(host, `that it deleted "${name}", but still lists it`)
}

/** Copies the kept version back over the model; the copy, which is then a second name of the same, goes. */
export async function* restoreModel(change: RestoreChange, host: Host): AsyncGenerator<Event, Outcome> {
  const { reference, from, precondition } = change
  const [copy] = findInstalled(host.state, from)
  const [present] = findInstalled(host.state, reference)
  if (copy !== undefined && (isSameEntry(copy, present) || !isAddressable(copy.name))) {
    throw stalePlan(`"${reference}" was not restored: "${from}" is no copy of it`)
  }
  if (copy === undefined || copy.digest !== precondition.source) {
    throw stalePlan(
      `"${reference}" was not restored: its copy "${from}" ${copy === undefined ? 'is gone' : 'was replaced'}`,
    )
  }
  if ((present?.digest ?? null) !== precondition.digest) {
    throw stalePlan(`"${reference}" was not restored: it was replaced since the plan was made`)
  }
  await host.backend.copy(copy.name, present?.name ?? reference)
  const model = await verifyInstalled(reference, host)
  if (model.digest !== copy.digest) {
    throw notAsReported(host, `that it restored "${reference}", but lists another version`)
  }
  try {
    await deleteModel(copy.name, host)
  } catch (error) {
    // The model is what was wanted; a second name of it is left.
    const { code, message } = toErrorData(error)
    yield {
      type: 'diagnostic',
      diagnostic: { severity: 'warning', code, message: `The copy "${from}" is left: ${message}` },
    }
  }
  return done(model)
}

function isSameEntry(copy: InstalledModel, present: InstalledModel | undefined): boolean {
  return present !== undefined && sameReference(copy.reference, present.reference)
}
