/** Gathers what a plan looks at: asks registries about the few models in question, and the host about their blobs. */
import { blobsOf } from '../artifact/manifest.ts'
import type { ManifestAnswer } from '../artifact/served.ts'
import type { Backend, BlobId, BlobLookup } from '../backend/backend.ts'
import { type Question, questions } from '../plan/ask.ts'
import { groupByKey, wholeModels } from '../plan/installed.ts'
import { type Intent, nothingResolved, type Resolution } from '../plan/resolution.ts'
import type { ActualState, DesiredState } from '../plan/state.ts'
import type { RegistryClient } from '../registry/registry.ts'
import { sharedSignal } from '../runtime/abortable.ts'
import { Queue } from '../runtime/queue.ts'
import type { Recalled } from './recall.ts'

export interface ResolveOptions {
  readonly desired: DesiredState
  readonly actual: ActualState
  readonly recalled: Recalled
  readonly intent: Intent
  readonly backend: Backend
  readonly offline: boolean
  /** Called at most once, when there is something to ask. */
  readonly openRegistry: () => Promise<RegistryClient>
  /** Longest time for all registries together, in milliseconds; the rest is then unknown. */
  readonly budgetMs: number
  /** What to do about a registry that did not answer in that time. */
  readonly hint: string
  readonly signal?: AbortSignal | undefined
}

/** Never fails because of a registry; what it did not tell is unknown. @throws `signal.reason` when aborted */
export async function resolvePlan(options: ResolveOptions): Promise<Resolution> {
  const { desired, actual, recalled, intent, offline, signal } = options
  const { kind, fetchesByDigest } = options.backend
  const nothing = { answers: new Map(), blobs: new Map(), builds: new Map() }
  const { contents, notFreed } = actual.stored ?? nothingResolved
  const known: Resolution = {
    ...recalled,
    ...nothing,
    // What lies there says it best.
    contents: new Map([...recalled.contents, ...contents]),
    notFreed,
    offline,
    kind,
    fetchesByDigest,
  }
  const asked = questions(desired, actual, known, intent)
  if (asked.length === 0) return known
  const lookup = options.backend.openBlobs()
  const blobs = new BlobSurvey(lookup, signal, options.budgetMs)
  try {
    for (const { key } of asked) {
      // Also what the lock says: the registry may not answer, or serve another version.
      const manifest = known.pins.get(key)?.manifest ?? null
      if (manifest !== null) blobs.ask(blobsOf(manifest))
    }
    const open = offline ? [] : asked.filter(({ purpose }) => purpose !== 'locked')
    const answers = open.length === 0 ? new Map<string, ManifestAnswer>() : await askRegistries(open, options, blobs)
    return { ...known, answers, blobs: await blobs.results() }
  } finally {
    lookup.close()
  }
}

async function askRegistries(
  asked: readonly Question[],
  options: ResolveOptions,
  blobs: BlobSurvey,
): Promise<ReadonlyMap<string, ManifestAnswer>> {
  const { actual, openRegistry, budgetMs, signal } = options
  const registry = await openRegistry()
  const installed = groupByKey(wholeModels(actual.models))
  const over = new AbortController()
  const timer = setTimeout(() => over.abort(), budgetMs)
  const both = sharedSignal(signal, over.signal)
  try {
    const answers = asked.map(
      async ({ key, reference, insecure, purpose }): Promise<readonly [string, ManifestAnswer]> => {
        try {
          const answer = await registry.manifest({ reference, insecure, signal: both })
          if (
            purpose === 'fetch' &&
            answer.kind === 'found' &&
            answer.served.digest !== installed.get(key)?.[0]?.digest
          ) {
            blobs.ask(blobsOf(answer.served.manifest))
          }
          return [key, answer]
        } catch (error) {
          if (signal?.aborted || !over.signal.aborted) throw error
          return [key, notInTime(reference.host, options)]
        }
      },
    )
    return new Map(await Promise.all(answers))
  } finally {
    clearTimeout(timer)
    over.abort()
    registry.close()
  }
}

function notInTime(host: string, { budgetMs, hint }: ResolveOptions): ManifestAnswer {
  return { kind: 'unknown', problem: `${host} did not answer within ${budgetMs / 1000} s`, hint, unreachable: true }
}

/** More at once than to a registry: the host is near, and looks only whether a file is there. */
const headsAtOnce = 32

/** Asks the host whether it has blobs, each once, while the registries are still being asked. */
class BlobSurvey {
  readonly #lookup: BlobLookup
  readonly #signal: AbortSignal | undefined
  /** Up when the caller's is, or when the time is over. */
  readonly #over: AbortSignal
  readonly #found = new Map<string, boolean>()
  readonly #asked = new Set<string>()
  readonly #waiting = new Queue<BlobId>()
  readonly #workers = new Set<Promise<void>>()

  /** @param budgetMs For the host, from the same moment on as that for the registries; the rest is then unknown. */
  constructor(lookup: BlobLookup, signal: AbortSignal | undefined, budgetMs: number) {
    this.#lookup = lookup
    this.#signal = signal
    this.#over = sharedSignal(signal, AbortSignal.timeout(budgetMs))
  }

  ask(blobs: readonly BlobId[]): void {
    for (const blob of blobs) {
      if (this.#asked.has(blob.digest)) continue
      this.#asked.add(blob.digest)
      this.#waiting.push(blob)
      if (this.#workers.size < headsAtOnce) this.#start()
    }
  }

  /** What the host said of each; a blob of which it said nothing is not in it. */
  async results(): Promise<ReadonlyMap<string, boolean>> {
    while (this.#workers.size > 0) await Promise.all(this.#workers)
    this.#signal?.throwIfAborted()
    return this.#found
  }

  #start(): void {
    const worker = this.#work().finally(() => this.#workers.delete(worker))
    this.#workers.add(worker)
  }

  async #work(): Promise<void> {
    for (let blob = this.#waiting.shift(); blob !== undefined; blob = this.#waiting.shift()) {
      if (this.#over.aborted) return
      try {
        this.#found.set(blob.digest, await this.#lookup.has(blob, { signal: this.#over }))
      } catch {
        // Unknown. A host that fails altogether is told of by whatever else is asked of it.
      }
    }
  }
}
