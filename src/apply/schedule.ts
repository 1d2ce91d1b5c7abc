/**
 * Runs fetches, several at once where that is safe: two pulls that want the same blob can crash a server, so that those with
 * a missing blob in common, and those whose layers are unknown, wait for each other. So do updates that remove the old version.
 */
import { blobsOf } from '../artifact/manifest.ts'
import type { PullChange, UpdateChange } from '../plan/plan.ts'
import { Rendezvous } from './rendezvous.ts'

type Fetch = PullChange | UpdateChange

export interface ScheduleOptions<T> {
  /** At most so many at once; 1 or more. */
  readonly limit: number
  /** The place minds no two pulls that want the same blob, as a store, where the second one waits for it. Default: false. */
  readonly mayShare?: boolean | undefined
  /** Never throws. */
  readonly run: (change: Fetch) => AsyncIterable<T>
}

/** What the runs yield, as it comes. Each starts in order as far as the rules allow; none is left out. */
export async function* runScheduled<T>(
  changes: readonly Fetch[],
  { limit, mayShare = false, run }: ScheduleOptions<T>,
): AsyncGenerator<T, void> {
  const waiting = [...changes]
  // Each is compared with what runs whenever something ends.
  const missing = new Map(mayShare ? [] : changes.map((change) => [change, missingDigests(change)]))
  const areIndependent = (a: Fetch, b: Fetch) =>
    !removesBlobs(a) && !removesBlobs(b) && haveNothingInCommon(missing.get(a), missing.get(b))
  const running = new Set<Fetch>()
  const channel = new Rendezvous<T>()
  const start = (change: Fetch) => {
    waiting.splice(waiting.indexOf(change), 1)
    running.add(change)
    channel.follow(run(change), () => {
      running.delete(change)
    })
  }
  const next = () =>
    running.size < limit
      ? waiting.find((change) => mayShare || [...running].every((other) => areIndependent(change, other)))
      : undefined
  while (waiting.length > 0 || running.size > 0) {
    for (let change = next(); change !== undefined; change = next()) start(change)
    // Until one of them ends, which may let another begin.
    yield* channel.drainUntilOneEnds()
  }
}

/** Where the blobs of one are not known, they may be the same. */
function haveNothingInCommon(a: ReadonlySet<string> | undefined, b: ReadonlySet<string> | undefined): boolean {
  return a !== undefined && b !== undefined && [...a].every((digest) => !b.has(digest))
}

/** At its end the server removes what only the old version had, which another pull may have taken for present. */
function removesBlobs(change: Fetch): boolean {
  return change.action === 'update' && change.keepAs === null
}

/** `undefined` when not known. A blob of which it is not known whether the host has it counts as missing. */
function missingDigests({ manifest }: Fetch): ReadonlySet<string> | undefined {
  if (manifest === null) return undefined
  return new Set(blobsOf(manifest).flatMap(({ digest, onHost }) => (onHost === true ? [] : [digest])))
}
