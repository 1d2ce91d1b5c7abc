/**
 * Pulls once more what broke off, stands still or is not there afterwards: the server keeps what it has of a model, and goes on from
 * there. What stays wrong until somebody mends it is tried once.
 */

import { parseReference } from '../artifact/reference.ts'
import type { PullOptions, PullProgress } from '../backend/backend.ts'
import { isOllamaConfigError, type OllamaConfigError, toErrorData } from '../errors.ts'
import type { PullChange, UpdateChange } from '../plan/plan.ts'
import type { InstalledModel } from '../plan/state.ts'
import { anySignal } from '../runtime/abortable.ts'
import { sleep } from '../runtime/sleep.ts'
import type { ChangeProgress, Event } from './events.ts'
import { type Host, verifyInstalled } from './host.ts'
import { PullMeter } from './pull-progress.ts'
import { StallWatch, type Standing } from './stall-watch.ts'

export interface Patience {
  /** Longest time in which no byte comes, in milliseconds. Default: 120 000. */
  readonly stallMs?: number | undefined
  /** Before the second attempt, in milliseconds; doubled with each. Default: 1000. */
  readonly retryPauseMs?: number | undefined
}

/** That get no further than any before them. */
const maxFruitless = 5
/** In which bytes come damaged, and are thrown away. */
const maxDamaged = 2
/** Of a connection that breaks off again and again, and gets a little further each time. */
const maxAttempts = 100
const longestPauseMs = 60_000

export class Attempts {
  /** So far. */
  count = 0
  readonly #host: Host
  readonly #patience: Patience
  #fruitless = 0
  #damaged = 0
  #furthestBytes = 0

  constructor(host: Host, patience: Patience) {
    this.#host = host
    this.#patience = patience
  }

  /** Until the model is there. @throws what the last attempt failed with */
  async *pull(change: PullChange | UpdateChange, options: PullOptions): AsyncGenerator<Event, InstalledModel> {
    const { signal } = options
    for (;;) {
      this.count++
      let pulled = false
      try {
        yield* this.#pullOnce(change, options)
        pulled = true
        return await this.#verify(change.reference, signal)
      } catch (error) {
        const damage = isDamage(error)
        if (damage) {
          this.#damaged++
          // What there was of it is gone.
          this.#furthestBytes = 0
          this.#fruitless = 1
        }
        if (signal?.aborted || !this.#mayTryAgain(error, pulled, damage)) throw error
        const pauseMs = this.#pauseMs(this.#fruitless)
        yield { type: 'change-retrying', id: change.id, attempt: this.count + 1, pauseMs, error: toErrorData(error) }
        await sleep(pauseMs, signal)
      }
    }
  }

  async *#pullOnce(change: PullChange | UpdateChange, options: PullOptions): AsyncGenerator<Event, void> {
    const { backend } = this.#host
    const isHost = backend.kind === 'host'
    const meter = new PullMeter(change.id, change.manifest, isHost)
    const reference = parseReference(change.reference)
    // A store watches each of its connections by itself.
    const watch = isHost ? new StallWatch(`The pull of "${change.reference}"`, this.#patience.stallMs) : undefined
    const signal = anySignal(options.signal, watch?.signal)
    let furthestBytes = 0
    try {
      for await (const line of backend.pull(reference, { ...options, signal })) {
        const progress = meter.update(line)
        watch?.see(standingOf(line, progress))
        furthestBytes = Math.max(furthestBytes, progress.completedBytes ?? 0)
        yield progress
      }
    } finally {
      watch?.stop()
      this.#fruitless = furthestBytes > this.#furthestBytes ? 1 : this.#fruitless + 1
      this.#furthestBytes = Math.max(furthestBytes, this.#furthestBytes)
    }
  }

  /** A listing that fails for a moment is asked for again, and not the registry, which may serve another version by now. */
  async #verify(reference: string, signal: AbortSignal | undefined): Promise<InstalledModel> {
    for (let tries = 1; ; tries++) {
      try {
        return await verifyInstalled(reference, this.#host)
      } catch (error) {
        const again = isOllamaConfigError(error) && error.retryable && tries < maxFruitless && !signal?.aborted
        if (!again) throw error
        await sleep(this.#pauseMs(tries), signal)
      }
    }
  }

  /** @param pulled What failed is the look at it afterwards */
  #mayTryAgain(error: unknown, pulled: boolean, damage: boolean): error is OllamaConfigError {
    // The downloads of a store were tried several times already, and what is checked there is on this disk.
    if (this.#host.backend.kind === 'store' || !isOllamaConfigError(error)) return false
    if (pulled ? !isGone(error) : !error.retryable) return false
    if (this.count >= maxAttempts) return false
    return damage ? this.#damaged < maxDamaged : this.#fruitless < maxFruitless
  }

  #pauseMs(fruitless: number): number {
    const { retryPauseMs = 1000 } = this.#patience
    // Others who wait for the same registry shall not come back at the same moment.
    const share = 0.5 + Math.random() / 2
    return Math.min(longestPauseMs, retryPauseMs * 2 ** (fruitless - 1)) * share
  }
}

function standingOf({ status, digest = '', completedBytes = 0 }: PullProgress, progress: ChangeProgress): Standing {
  const { waiting, totalBytes } = progress
  const hashedBytes = /^verifying/.test(status) ? (totalBytes ?? 0) : 0
  return { doing: `${status} ${digest}`, bytes: completedBytes, hashedBytes, waiting }
}

function isDamage(error: unknown): boolean {
  return isOllamaConfigError(error) && (error.code === 'digest-mismatch' || isGone(error))
}

/**
 * A success that left nothing, as when another client deleted a part of it meanwhile: it would be pulled by hand. That `show` tells of a
 * model with a part missing; a registry that has no such model says it of a pull.
 */
function isGone({ code, details }: OllamaConfigError): boolean {
  return code === 'verification-failed' || (code === 'model-not-found' && details?.['path'] === '/api/show')
}
