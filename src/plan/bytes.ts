/** Bytes of a plan: what each change downloads and frees, shared blobs counted once. */
import type { Layer } from '../artifact/manifest.ts'
import { type Change, type DeleteChange, isFetch, type PullChange, plannedBlobs, type UpdateChange } from './plan.ts'
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
  // A cloud entry is a few hundred bytes; what is blocked moves nothing.
  if (change.blocked !== undefined) return { ...change, downloadBytes: 0, presentBytes: null, freedBytes: 0 }
  if (change.manifest === null) return { ...change, freedBytes }
  let downloadBytes: number | null = 0
  let presentBytes: number | null = 0
  for (const { digest, sizeBytes, onHost } of plannedBlobs(change.manifest)) {
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
 * What goes when all of it is carried out: blobs that no surviving model has. A blob of several doomed models counts with the
 * last of them, since only that one frees it. Layers of most models are unknown, as the host tells them to nobody.
 */
function freedBytes(changes: readonly Change[], { contents }: Resolution): ReadonlyMap<string, Freed> {
  const leaving = changes.filter((change) => change.action === 'delete' || change.action === 'update')
  if (leaving.length === 0) return new Map()
  const doomedNames = new Set(
    leaving.filter((change) => change.action === 'update' || !change.irreplaceable).map(({ reference }) => reference),
  )
  const survivors = changes.filter(
    (change) => change.before !== null && !change.cloud && !doomedNames.has(change.reference),
  )
  const survivingDigests = countOf(survivors.map(({ before }) => before?.digest ?? ''))
  const survivingBlobs = new Set(
    changes
      .flatMap((change) => (isFetch(change) && change.manifest !== null ? plannedBlobs(change.manifest) : []))
      .map(({ digest }) => digest),
  )
  for (const digest of survivingDigests.keys())
    for (const blob of contents.get(digest) ?? []) survivingBlobs.add(blob.digest)
  const allKnown =
    survivors.every(({ before }) => before !== null && contents.has(before.digest ?? '')) &&
    changes.every((change) => !isFetch(change) || change.manifest !== null || change.blocked !== undefined)
  return new Map(tally(leaving, { survivingDigests, survivingBlobs, allKnown, contents }))
}

function countOf(values: readonly string[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1)
  return counts
}

interface Survivors {
  /** How many surviving models have it. */
  readonly survivingDigests: ReadonlyMap<string, number>
  readonly survivingBlobs: ReadonlySet<string>
  readonly allKnown: boolean
  readonly contents: ReadonlyMap<string, readonly Layer[]>
}

function tally(leaving: readonly Change[], survivors: Survivors): readonly (readonly [string, Freed])[] {
  const { survivingDigests, survivingBlobs, allKnown, contents } = survivors
  const exact = allKnown && leaving.every(({ before }) => contents.has(before?.digest ?? ''))
  const taken = new Set<string>()
  const takenDigests = new Set<string>()
  // From the last to the first: the last one that has a blob frees it.
  return [...leaving].reverse().flatMap((change): (readonly [string, Freed])[] => {
    const digest = change.before?.digest ?? ''
    // What only a person may approve counts as a survivor, also where its own bytes are asked for.
    const isSurvivor = change.action === 'delete' && change.irreplaceable
    const others = (survivingDigests.get(digest) ?? 0) - (isSurvivor ? 1 : 0)
    // Kept aside, or another name of it stays: every byte does.
    if (others > 0 || takenDigests.has(digest) || (change.action === 'update' && change.keepAs !== null)) {
      return [[change.id, { exact: true, atMost: 0 }]]
    }
    if (isSurvivor) return []
    takenDigests.add(digest)
    const known = contents.get(digest)
    if (known === undefined) return []
    let atMost = 0
    for (const blob of known) {
      if (survivingBlobs.has(blob.digest) || taken.has(blob.digest)) continue
      taken.add(blob.digest)
      atMost += blob.sizeBytes
    }
    return [[change.id, { exact, atMost }]]
  })
}
