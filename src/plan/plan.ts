/** The plan: plain readonly JSON, made by `diff`, shown by the views, carried out by `apply`. */
import type { BuildFields } from '../artifact/derived.ts'
import type { Layer, Manifest } from '../artifact/manifest.ts'
import type { Diagnostic, ErrorData } from '../errors.ts'

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
  /** Origin of the server, without user info; of a store, its absolute path. */
  readonly address: string
  readonly kind: TargetKind
  /** `null` when the server does not say, and of a store, which has none. */
  readonly serverVersion: string | null
  /** Sorted by reference; one per declared or installed model. */
  readonly changes: readonly Change[]
  /** What was changed by somebody else since the last apply of this config. It informs; the changes follow from what is there now. */
  readonly drift: readonly Drift[]
  readonly diagnostics: readonly Diagnostic[]
}

/** An Ollama server, or a model directory. */
export type TargetKind = 'host' | 'store'

/** What holds the models, in a sentence. */
export function wordFor(kind: TargetKind): 'server' | 'store' {
  return kind === 'host' ? 'server' : 'store'
}

export interface Drift {
  readonly reference: string
  /** Digest that the last apply left. */
  readonly recorded: string
  /** Digest that is there now; `null` when the model is gone. */
  readonly installed: string | null
}

export type Change =
  | NoOpChange
  | PullChange
  | UpdateChange
  | DeriveChange
  | RebuildChange
  | AliasChange
  | RestoreChange
  | DeleteChange
export type Action = Change['action']

/** A newer version may know more. */
export const knownActions: ReadonlySet<string> = new Set<Action>([
  'no-op',
  'pull',
  'update',
  'derive',
  'rebuild',
  'alias',
  'restore',
  'delete',
])

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
  /** Bytes this change brings over the network, those that an earlier change of the plan brings left out; `null` when unknown. */
  readonly downloadBytes: number | null
  /** Bytes this change frees on the host's disk; `null` when unknown. */
  readonly freedBytes: number | null
  /** For people. Apply never reads it. */
  readonly reason: Reason
}

/** Looked at, and nothing to do. */
export interface NoOpChange extends ChangeBase {
  readonly action: 'no-op'
  /** Of a model that is built: how it is known to be what its declaration would build. */
  readonly method?: BuildMethod
  /** Of such a model: what it is built from. */
  readonly built?: BuiltFrom
  /** Of an update that finds the model up to date: what the lock file is to say of it. */
  readonly lock?: PlannedManifest
}

/** What pulls and updates have in common: the host fetches the tag from its registry. */
interface FetchChange extends ChangeBase {
  /** Over plain http. */
  readonly insecure: boolean
  /** What the registry serves, or the lock knows; `null` when neither could tell. */
  readonly manifest: PlannedManifest | null
  /** Bytes of it that are on the host already; `null` when unknown. */
  readonly presentBytes: number | null
  /** `after.digest` binds: another digest is a failure. */
  readonly locked: boolean
  /** Set when it cannot be carried out: apply reports it as failed without asking the host. */
  readonly blocked?: ErrorData
}

export interface PullChange extends FetchChange {
  readonly action: 'pull'
}

/** The model is there in another version. */
export interface UpdateChange extends FetchChange {
  readonly action: 'update'
  /** The replaced version is first copied to this name; `null`: it is not kept. */
  readonly keepAs: string | null
}

/** What the models that are made on the host have in common. */
interface MakeChange extends ChangeBase {
  /** What is installed under this name is first copied to this one; `null`: it is not kept. */
  readonly keepAs: string | null
  /** Set when it cannot be carried out, as of what starts from a model that cannot be had. */
  readonly blocked?: ErrorData
}

interface BuildChange extends MakeChange {
  readonly build: PlannedBuild
  /** SHA-256 of the declaration, files included: 64 hex digits. */
  readonly declaration: string
  /** Blobs of what will be built, config last; `null` when they cannot be foreseen. */
  readonly blobs: readonly Layer[] | null
  /** Bytes that go from this machine to the host; `null` when unknown. */
  readonly uploadBytes: number | null
}

/** Builds a model from another one, or from files. */
export interface DeriveChange extends BuildChange {
  readonly action: 'derive'
}

/** Builds it again, always from its base: it is not what its declaration would build. */
export interface RebuildChange extends BuildChange {
  readonly action: 'rebuild'
  readonly method: BuildMethod
  /** Sorted by field; empty when it is not known in what it differs. */
  readonly differences: readonly Difference[]
}

/** Gives a model a second name. */
export interface AliasChange extends MakeChange {
  readonly action: 'alias'
  /** Never an alias itself. */
  readonly of: string
}

/**
 * `predicted`: by the digest that a build would give; `recorded`: by what the last apply built from the same declaration and base;
 * `compared`: by what the server tells of it, field by field; `base`: its base is another after this plan.
 */
export type BuildMethod = 'predicted' | 'recorded' | 'compared' | 'base'

/** What a built model follows from. */
export interface BuiltFrom {
  /** SHA-256 of its declaration, files included: 64 hex digits. */
  readonly declaration: string
  /** Digest of its base; `null` for one that is built from files. */
  readonly base: string | null
}

export interface Difference {
  /** Such as `system` or `parameters.num_ctx`. */
  readonly field: string
  /** Such as `1 line changed` or `4096 → 16384`. */
  readonly text: string
}

/** What is built, complete: defaults are merged, `null` and empty lists mean as the base has it. */
export interface PlannedBuild extends Omit<BuildFields, 'adapters'> {
  /** The base in its shortest spelling; `null`: built from `files`. */
  readonly from: string | null
  readonly files: readonly PlannedFile[]
  readonly adapters: readonly PlannedFile[]
  readonly quantize: string | null
}

/** A file of this machine that the host needs. */
export interface PlannedFile {
  /** What the server is told. */
  readonly name: string
  /** Absolute path. */
  readonly file: string
  readonly digest: string
  readonly sizeBytes: number
  /** When it was last changed, epoch milliseconds. */
  readonly modifiedMs: number
  /** `null` when the host was not asked, or did not answer. */
  readonly onHost: boolean | null
}

/** Brings back the version that an earlier update replaced, from the copy that was kept of it. */
export interface RestoreChange extends ChangeBase {
  readonly action: 'restore'
  /** Name of the copy, which is gone afterwards. */
  readonly from: string
}

export interface DeleteChange extends ChangeBase {
  readonly action: 'delete'
  /** Applied only with an approval of its own. */
  readonly requires: 'prune'
  /** At most this much is freed: layers that other models share stay. */
  readonly nominalBytes: number
  /** No registry is known to give it back (made on a host, not there, another version, not asked), and no apply of this config brought it. */
  readonly irreplaceable: boolean
  /** What the server says it was built from; `null` for what was pulled. */
  readonly parentModel: string | null
}

/** A manifest, with what the host has of it. */
export interface PlannedManifest {
  readonly digest: string
  readonly config: PlannedBlob | null
  readonly layers: readonly PlannedBlob[]
  /** The bytes as they were served, where `formatManifest` gives others. */
  readonly text?: string
}

export interface PlannedBlob extends Layer {
  /** `null` when the host was not asked, or did not answer. */
  readonly onHost: boolean | null
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
  /** Of a restore and an alias: digest of what is copied; `null` when it is only brought by this plan. */
  readonly source?: string | null
  /** Of a build: digest of its base; `null` when there is none, or when it is only brought by this plan. */
  readonly base?: string | null
}

export interface Reason {
  readonly code: ReasonCode
  readonly text: string
}

export type ReasonCode =
  | 'in-sync'
  | 'same-content'
  | 'not-checked'
  | 'missing'
  | 'damaged'
  | 'needed'
  | 'locked-elsewise'
  | 'tag-moved'
  | 'manifest-rewritten'
  | 'declaration-changed'
  | 'base-moved'
  | 'not-as-declared'
  | 'alias-moved'
  | 'rollback'
  | 'undeclared'
  | 'superseded'
  | 'previous-version'
  | 'not-managed'
  | 'kept'
  | 'prune-disabled'
  | 'nothing-declared'
  | 'undeclared-cloud'
  | 'not-addressable'

/** Reasons of the models that the config declares and that are fine. */
const fineReasons: ReadonlySet<ReasonCode> = new Set<ReasonCode>(['in-sync', 'same-content', 'not-checked'])

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

/** A declared model that is as it should be. */
export function isFine({ action, reason }: Change): boolean {
  return action === 'no-op' && fineReasons.has(reason.code)
}

/** Whether the host fetches something from a registry. */
export function isFetch(change: Change): change is PullChange | UpdateChange {
  return change.action === 'pull' || change.action === 'update'
}

/** Whether the host builds something. */
export function isBuild(change: Change): change is DeriveChange | RebuildChange {
  return change.action === 'derive' || change.action === 'rebuild'
}

/** Why the change cannot be carried out; `undefined` for one that can. */
export function blockOf(change: Change): ErrorData | undefined {
  // Most changes are of these kinds, and a plan may have thousands.
  if (change.action === 'no-op' || change.action === 'delete' || change.action === 'restore') return undefined
  return change.blocked
}

/** Problems that make the plan inapplicable. */
export function planErrors(plan: Plan): readonly Diagnostic[] {
  return plan.targets.flatMap((target) => target.diagnostics).filter(({ severity }) => severity === 'error')
}

/** The same without what the host has of it. */
export function manifestOf({ config, layers }: PlannedManifest): Manifest {
  const layer = ({ mediaType, digest, sizeBytes }: PlannedBlob): Layer => ({ mediaType, digest, sizeBytes })
  return { config: config === null ? null : layer(config), layers: layers.map(layer) }
}
