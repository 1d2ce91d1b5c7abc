/** What becomes of an installed model that the config does not declare: spared, with the reason, or proposed for deletion. */
import { indexPatterns, matchesPattern } from '../artifact/pattern.ts'
import { formatReference, isAddressable, referenceKey } from '../artifact/reference.ts'
import { factsOf } from './facts.ts'
import type { DeleteChange, Reason } from './plan.ts'
import type { Intent, PreviousVersion, Resolution } from './resolution.ts'
import type { DesiredState, InstalledModel } from './state.ts'

export interface Undeclared {
  /** Its `referenceKey`. */
  readonly key: string
  readonly model: InstalledModel
  /** The server lists more than one model under this name. */
  readonly ambiguous: boolean
}

/** Why an undeclared model is not to be deleted; `undefined` when nothing speaks for it. */
export type Sparing = (undeclared: Undeclared) => Reason | undefined

/** Made once for a plan, which may look at thousands of models, patterns and copies. */
export function sparing(
  desired: DesiredState,
  installed: ReadonlyMap<string, readonly InstalledModel[]>,
  resolution: Resolution,
): Sparing {
  const { prune } = desired
  const keep = indexPatterns(desired.keep)
  const waiting = copiesForRollback(desired, installed, resolution)
  return ({ key, model, ambiguous }) => {
    if (model.remoteHost !== undefined) return { code: 'undeclared-cloud', text: 'cloud models are never deleted' }
    const copy = copyOf(key, model, resolution)
    if (copy !== undefined) {
      const spared = (text: string): Reason => ({ code: 'previous-version', text })
      if (!copy.own) return spared(`previous version of ${copy.reference}, kept by another config`)
      if (waiting.has(key)) return spared(`previous version of ${copy.reference}, kept for rollback`)
    }
    if (prune === false) return { code: 'prune-disabled', text: 'not in the config, which says prune: false' }
    if (desired.models.length === 0)
      return { code: 'nothing-declared', text: 'a config that declares no model deletes nothing' }
    const pattern = keep.candidates(model.reference).find((candidate) => matchesPattern(candidate, model.reference))
    if (pattern !== undefined) return { code: 'kept', text: `kept by "${pattern.text}"` }
    if (ambiguous || !isAddressable(model.name)) {
      const who = resolution.kind === 'host' ? 'the server' : 'a server'
      return { code: 'not-addressable', text: `${who} would take its name for that of another model` }
    }
    if (prune === 'managed' && copy?.broughtIn !== true) return reasonNotManaged(key, model, resolution)
    return undefined
  }
}

/** With `prune: 'managed'` only what this config brought in, and nobody else wants, may go. */
function reasonNotManaged(
  key: string,
  model: InstalledModel,
  { recorded, declaredBy }: Resolution,
): Reason | undefined {
  const record = recorded.get(key)
  if (record?.broughtIn !== true) return { code: 'not-managed', text: 'not brought in by this config' }
  if (record.digest !== model.digest) return { code: 'not-managed', text: 'replaced since this config brought it in' }
  const other = declaredBy.get(key)
  return other === undefined ? undefined : { code: 'not-managed', text: `declared by ${other}` }
}

/** The record's entry that says that the model is a copy of ours; one that was replaced since is none any more. */
function copyOf(key: string, model: InstalledModel, { copies }: Resolution): PreviousVersion | undefined {
  const copy = copies.get(key)
  return copy?.digest === model.digest ? copy : undefined
}

/** The newest copies of each declared model, by the `referenceKey` of the copy: they wait for a rollback. */
function copiesForRollback(
  { models }: DesiredState,
  installed: ReadonlyMap<string, readonly InstalledModel[]>,
  { copies }: Resolution,
): ReadonlySet<string> {
  const waiting = new Set<string>()
  // Nearly always there is none.
  if (copies.size === 0) return waiting
  const declared = new Set(models.map(({ reference }) => referenceKey(reference)))
  // A copy is recorded before it is made, and anybody may remove it: only one that is there can be gone back to.
  const there = [...copies].filter(
    ([key, { own, of, digest }]) =>
      own && declared.has(of) && installed.get(key)?.some((model) => model.digest === digest) === true,
  )
  const newest = new Map<string, string>()
  for (const [, { of, at }] of there) if (at > (newest.get(of) ?? '')) newest.set(of, at)
  for (const [key, { of, at }] of there) if (at >= (newest.get(of) ?? '')) waiting.add(key)
  return waiting
}

/** The entry that proposes to delete it. Its bytes are counted once all changes are known. */
export function deletion({ key, model }: Undeclared, resolution: Resolution, intent: Intent): DeleteChange {
  const name = formatReference(model.reference)
  const { irreplaceable, reason } = judge(key, model, resolution, intent)
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
    freedBytes: null,
    requires: 'prune',
    nominalBytes: model.sizeBytes,
    irreplaceable,
    parentModel: model.parentModel ?? null,
    reason,
  }
}

/** Whether anybody could give the model back, and what to say of it. */
function judge(
  key: string,
  model: InstalledModel,
  resolution: Resolution,
  { checkDeletions }: Intent,
): { readonly irreplaceable: boolean; readonly reason: Reason } {
  const { recorded, answers, declaredBy } = resolution
  const copy = copyOf(key, model, resolution)
  if (copy !== undefined) {
    const text = copy.broughtIn
      ? `older copy of ${copy.reference}`
      : `copy of what was ${copy.reference}, which no apply brought`
    return { irreplaceable: !copy.broughtIn, reason: { code: 'superseded', text } }
  }
  // Whatever else is to be said of it: who approves its deletion has to know that.
  const other = declaredBy.get(key)
  const also = other === undefined ? '' : `; declared in ${other}`
  const undeclared = (text: string): Reason => ({ code: 'undeclared', text: `${text}${also}` })
  const record = recorded.get(key)
  // What an apply of this config brought in came from a registry, or is built again from the config.
  if (record?.broughtIn === true && record.digest === model.digest) {
    return { irreplaceable: false, reason: undeclared('brought in by an earlier apply, no longer in the config') }
  }
  if (model.parentModel !== undefined)
    return { irreplaceable: true, reason: undeclared(`built from ${model.parentModel}`) }
  const answer = answers.get(key)
  if (checkDeletions && answer?.kind === 'missing') {
    return { irreplaceable: true, reason: undeclared('its registry does not have it') }
  }
  if (checkDeletions && answer?.kind === 'too-new') {
    return { irreplaceable: true, reason: undeclared('its registry has it only for a newer Ollama') }
  }
  if (checkDeletions && (answer === undefined || answer.kind === 'unknown' || answer.kind === 'unauthorized')) {
    return { irreplaceable: true, reason: undeclared('it is not known whether its registry has it') }
  }
  if (checkDeletions && answer?.kind === 'found' && answer.served.digest !== model.digest) {
    // It may be an older version, or made here under the name of another.
    return { irreplaceable: true, reason: undeclared('its registry has another version') }
  }
  const text = other === undefined ? 'not in the config' : `not in this config, but in ${other}`
  return { irreplaceable: false, reason: { code: 'undeclared', text } }
}
