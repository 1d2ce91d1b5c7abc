/** The plan: plain readonly JSON, made by `diff`, shown by the views, carried out by `apply`. */
import type { Diagnostic } from '../errors.ts'

/** Of plans, events and reports. A minor version adds fields, which readers ignore when unknown; an unknown major is refused. */
export const formatVersion = '1.0'

export interface Plan {
  readonly formatVersion: string
  /** Whether deletions are part of what the same flags would apply (`--prune`). */
  readonly prune: boolean
  /** One per host or store. */
  readonly targets: readonly Target[]
}

export interface Target {
  /** Origin of the server, without user info. */
  readonly address: string
  readonly kind: 'host'
  readonly serverVersion: string | null
  /** Sorted by reference; one per declared or installed model. */
  readonly changes: readonly Change[]
  readonly diagnostics: readonly Diagnostic[]
}

export type Change = NoOpChange | PullChange | DeleteChange
export type Action = Change['action']

interface ChangeBase {
  /** Unique in the plan. */
  readonly id: string
  /** The shortest spelling, with tag. */
  readonly reference: string
  /** A cloud model: it has no size here and is never deleted, checked or updated. */
  readonly cloud: boolean
  readonly before: ModelFacts | null
  readonly after: ModelFacts | null
  /** Changes that must be done first. */
  readonly dependsOn: readonly string[]
  readonly precondition: Precondition
  /** Bytes this change brings over the network; `null` when unknown. */
  readonly downloadBytes: number | null
  /** Bytes this change frees on the host's disk; `null` when unknown. */
  readonly freedBytes: number | null
  /** For people. Apply never reads it. */
  readonly reason: Reason
}

/** Looked at, and nothing to do. */
export interface NoOpChange extends ChangeBase {
  readonly action: 'no-op'
}

export interface PullChange extends ChangeBase {
  readonly action: 'pull'
  readonly insecure: boolean
}

export interface DeleteChange extends ChangeBase {
  readonly action: 'delete'
  /** Applied only with an approval of its own. */
  readonly requires: 'prune'
  /** At most this much: layers that other models share stay. */
  readonly nominalBytes: number
  /** Made on a host, so that no registry can be expected to give it back. */
  readonly irreplaceable: boolean
}

export interface ModelFacts {
  /** `null` when the plan cannot know it, as of a model yet to be pulled. */
  readonly digest: string | null
  readonly sizeBytes: number | null
}

/** What the change was planned against: when it no longer holds, the change is stale. */
export interface Precondition {
  /** Digest of the installed model under this reference; `null` when none was installed. */
  readonly digest: string | null
}

export interface Reason {
  readonly code: ReasonCode
  readonly text: string
}

export type ReasonCode =
  | 'in-sync'
  | 'missing'
  | 'undeclared'
  | 'kept'
  | 'prune-disabled'
  | 'nothing-declared'
  | 'undeclared-cloud'
  | 'not-addressable'

/**
 * The changes that the same flags would apply. Deletions count only in a plan made with `prune`, and never those that need a
 * person's approval.
 */
export function pendingChanges(plan: Plan): readonly Change[] {
  return plan.targets.flatMap((target) => target.changes).filter((change) => isPending(change, plan.prune))
}

export function isPending(change: Change, prune: boolean): boolean {
  return change.action === 'delete' ? prune && !change.irreplaceable : change.action !== 'no-op'
}

/** Problems that make the plan inapplicable. */
export function planErrors(plan: Plan): readonly Diagnostic[] {
  return plan.targets.flatMap((target) => target.diagnostics).filter(({ severity }) => severity === 'error')
}
