/** What a plan looks at besides the config and the listing: the lock, the record, registries, blobs on the host. */
import type { Derived } from '../artifact/derived.ts'
import type { Layer, Manifest } from '../artifact/manifest.ts'
import type { ManifestAnswer } from '../artifact/served.ts'
import type { BuiltFrom, Difference, PlannedFile, TargetKind } from './plan.ts'

/** Everything by `referenceKey`, unless said otherwise. What was not looked at is not in it. */
export interface Resolution {
  readonly pins: ReadonlyMap<string, Pin>
  readonly answers: ReadonlyMap<string, ManifestAnswer>
  /** Whether the host has a blob, by digest. */
  readonly blobs: ReadonlyMap<string, boolean>
  /** Which blobs an installed version is made of, config last, by its digest. */
  readonly contents: ReadonlyMap<string, readonly Layer[]>
  /** Digests of blobs that no deletion frees, whatever models have them; `null` when that is not known. */
  readonly notFreed: ReadonlySet<string> | null
  /** What the last apply of this config left. */
  readonly recorded: ReadonlyMap<string, Recorded>
  /** Copies of replaced versions that configs of this user made. */
  readonly copies: ReadonlyMap<string, PreviousVersion>
  /** Other configs of this user that declared the model at their last apply. */
  readonly declaredBy: ReadonlyMap<string, string>
  /** Digests of what the last applies of other configs of this user brought or built. */
  readonly broughtElsewhere: ReadonlySet<string>
  /** What was found out about declared models that are built. */
  readonly builds: ReadonlyMap<string, BuildFindings>
  /** No registry was to be asked. */
  readonly offline: boolean
  /** What is planned for. */
  readonly kind: TargetKind
  /** Whether it can fetch a version that its tag does not name any more. */
  readonly fetchesByDigest: boolean
}

/** One model that is built. */
export interface BuildFindings {
  /** SHA-256 of the declaration, files included: 64 hex digits. */
  readonly declaration: string
  readonly files: readonly PlannedFile[]
  readonly adapters: readonly PlannedFile[]
  /** What the server would make of it, of the base as it is after this plan; `null` when that cannot be foreseen. */
  readonly predicted: Derived | null
  /** In what the installed one differs from that, as far as the server tells; `null` when it was not looked at. */
  readonly differences: readonly Difference[] | null
  /** The declaration has what no server tells: only the prediction can say that it is there. */
  readonly hidden: boolean
  /** Fields that the declaration leaves empty and the base has: they stay. */
  readonly inherited: readonly string[]
}

/** What the lock says of one model. */
export interface Pin {
  readonly digest: string
  /** `null` where the lock does not have it. */
  readonly manifest: Manifest | null
  /** The manifest's bytes, where `formatManifest` gives others. */
  readonly text?: string
}

export interface Recorded {
  readonly reference: string
  readonly digest: string
  readonly broughtIn: boolean
  /** Of a model that was built. */
  readonly built?: BuiltFrom
}

export interface PreviousVersion {
  /** Key of the model it is a copy of. */
  readonly of: string
  /** That model in its shortest spelling. */
  readonly reference: string
  readonly digest: string
  /** When it was made, ISO 8601. */
  readonly at: string
  /** Made by the config that is planned. */
  readonly own: boolean
  /** An apply of that config brought or built what it is a copy of; else nobody may be able to give it back. */
  readonly broughtIn: boolean
}

/** Whether the locked version is fetched by what the lock file says alone, whatever the tag names. */
export function isHadByLock(
  pin: Pin | undefined,
  { fetchesByDigest }: Pick<Resolution, 'fetchesByDigest'>,
): pin is Pin & { readonly manifest: Manifest } {
  return fetchesByDigest && pin !== undefined && pin.manifest !== null
}

export const nothingResolved: Resolution = {
  pins: new Map(),
  answers: new Map(),
  blobs: new Map(),
  contents: new Map(),
  notFreed: new Set(),
  recorded: new Map(),
  copies: new Map(),
  declaredBy: new Map(),
  broughtElsewhere: new Set(),
  builds: new Map(),
  offline: false,
  kind: 'host',
  fetchesByDigest: false,
}

/** What the caller wants beyond "as declared". */
export interface Intent {
  /** Models, by key, that are to be brought to what their tag names now, whatever the lock says; `all`: every declared one. */
  readonly update: ReadonlySet<string> | 'all' | null
  /** Keep a copy of each version that is replaced. */
  readonly keepPrevious: boolean
  /** Deletions are to be carried out or asked about, so it matters whether a registry could give the model back. */
  readonly checkDeletions: boolean
}

export const asDeclared: Intent = { update: null, keepPrevious: false, checkDeletions: false }

export function isUpdated(key: string, { update }: Intent): boolean {
  return update !== null && (update === 'all' || update.has(key))
}
