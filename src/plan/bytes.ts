/** Bytes of a plan: what each change downloads and frees, shared blobs counted once. */
import { blobsOf, type Layer } from '../artifact/manifest.ts'
import {
  blockOf,
  type Change,
  type DeleteChange,
  isBuild,
  isFetch,
  type PullChange,
  type UpdateChange,
} from './plan.ts'
import type { Resolution } from './resolution.ts'

/** Fills in the byte counts. Changes come in the order of the plan, which is the order of apply within each kind. */
export function withBytes(changes: readonly Change[], resolution: Resolution): readonly Change[] {
  const claimed = new Set<string>()
  const freed = freedBytes(changes, resolution)
  return changes.map((change) => {
    if (isFetch(change)) return withDownload(change, claimed, freed.get(change.id))
    return change.action === 'delete' ? withFreed(change, freed.get(change.id)) : change
  })
}

function withDownload<T extends PullChange | UpdateChange>(
  change: T,
  claimed: Set<string>,
  freed: Freed | undefined,
): T {
  const freedBytes = change.action === 'pull' ? 0 : exactly(freed)
  // What is blocked moves nothing.
  if (change.blocked !== undefined) return { ...change, downloadBytes: 0, presentBytes: null, freedBytes: 0 }
  if (change.manifest === null) return { ...change, freedBytes }
  let downloadBytes: number | null = 0
  let presentBytes: number | null = 0
  for (const { digest, sizeBytes, onHost } of blobsOf(change.manifest)) {
    if (onHost === true) {
      if (presentBytes !== null) presentBytes += sizeBytes
    } else if (claimed.has(digest)) {
      // It comes with an earlier change.
    } else if (onHost === null) {
      downloadBytes = null
      presentBytes = null
    } else if (downloadBytes !== null) {
      downloadBytes += sizeBytes
    }
    if (onHost !== true) claimed.add(digest)
  }
  return { ...change, downloadBytes, presentBytes, freedBytes }
}

/** `atMost` counts what surely belongs to no other model and what may. */
interface Freed {
  readonly exact: boolean
  readonly atMost: number
}

function exactly(freed: Freed | undefined): number | null {
  return freed?.exact === true ? freed.atMost : null
}

function withFreed(change: DeleteChange, freed: Freed | undefined): DeleteChange {
  if (freed === undefined) return change
  if (freed.exact) return { ...change, freedBytes: freed.atMost }
  return { ...change, nominalBytes: Math.min(change.nominalBytes, freed.atMost) }
}

/**
 * What goes when all of it is carried out, updates before deletions: blobs that no surviving model has. A blob of several doomed models
 * counts with the last of them, since only that one frees it. Layers of most models are unknown, as the host tells them to nobody.
 */
function freedBytes(changes: readonly Change[], { contents, notFreed }: Resolution): ReadonlyMap<string, Freed> {
  const leaving = [
    ...changes.filter((change) => change.action === 'update'),
    ...changes.filter((change) => change.action === 'delete'),
  ]
  if (leaving.length === 0) return new Map()
  const survivors = survivorsOf(changes, contents)
  const exact =
    notFreed !== null && survivors.known && leaving.every(({ before }) => contents.has(before?.digest ?? ''))
  const freed = new Map<string, Freed>()
  const taken = new Set<string>()
  const takenDigests = new Set<string>()
  // From the last to the first: the last one that has a blob frees it.
  for (const change of leaving.reverse()) {
    const digest = change.before?.digest ?? ''
    const isSurvivor = staysFor(change)
    const others = (survivors.digests.get(digest) ?? 0) - (isSurvivor ? 1 : 0)
    // Kept aside, or another name of it stays: every byte does.
    if (others > 0 || takenDigests.has(digest) || (change.action === 'update' && change.keepAs !== null)) {
      freed.set(change.id, { exact: true, atMost: 0 })
      continue
    }
    if (isSurvivor) continue
    takenDigests.add(digest)
    const known = contents.get(digest)
    if (known === undefined) continue
    let atMost = 0
    for (const blob of known) {
      if (survivors.blobs.has(blob.digest) || taken.has(blob.digest) || notFreed?.has(blob.digest)) continue
      taken.add(blob.digest)
      atMost += blob.sizeBytes
    }
    freed.set(change.id, { exact, atMost })
  }
  return freed
}

interface Survivors {
  /** How many surviving models have it. */
  readonly digests: ReadonlyMap<string, number>
  /** Blobs of those whose layers are known, and of what the plan brings. */
  readonly blobs: ReadonlySet<string>
  /** Whether the layers of all of them are known. */
  readonly known: boolean
}

function survivorsOf(changes: readonly Change[], contents: ReadonlyMap<string, readonly Layer[]>): Survivors {
  const digests = new Map<string, number>()
  const blobs = new Set<string>()
  let known = true
  for (const change of changes) {
    const brought = blockOf(change) === undefined ? broughtBy(change) : []
    known &&= brought !== null
    for (const { digest } of brought ?? []) blobs.add(digest)
    if (change.before === null || change.cloud || !staysFor(change)) continue
    const digest = change.before.digest ?? ''
    digests.set(digest, (digests.get(digest) ?? 0) + 1)
    const layers = contents.get(digest)
    known &&= layers !== undefined
    for (const blob of layers ?? []) blobs.add(blob.digest)
  }
  return { digests, blobs, known }
}

/** `null` when it is not known. */
function broughtBy(change: Change): readonly Layer[] | null {
  if (isFetch(change)) return change.manifest === null ? null : blobsOf(change.manifest)
  return isBuild(change) ? change.blobs : []
}

/**
 * Whether what is there before stays, if only as a copy. What only a person may approve counts so, also where its own bytes are
 * asked for.
 */
function staysFor(change: Change): boolean {
  if (change.action === 'delete') return change.irreplaceable
  if ('keepAs' in change && change.keepAs !== null) return true
  return change.action === 'no-op' || change.action === 'restore' || blockOf(change) !== undefined
}
