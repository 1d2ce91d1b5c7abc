/** Notices a pull that stands still: a server whose network hangs goes on sending lines in which nothing moves. */
import type { PullProgress } from '../backend/backend.ts'
import { OllamaConfigError } from '../errors.ts'
import type { ChangeProgress } from './events.ts'

/** The server's own six tries for a part take 63 seconds together, a silent part it gives up after 30. */
export const defaultStallMs = 120_000

/** While it hashes what came, the server says nothing. Slower than this no disk that holds models is read. */
const slowestHashBytesPerMs = 10_000

/** Calls back once, unless the returned function is called before. */
type After = (ms: number, callback: () => void) => () => void

/** Longer timers fire at once. */
const maxTimerMs = 2 ** 31 - 1

function afterTime(ms: number, callback: () => void): () => void {
  const timer = setTimeout(callback, Math.min(ms, maxTimerMs))
  return () => clearTimeout(timer)
}

export class StallWatch {
  readonly #stallMs: number
  readonly #stalled = new AbortController()
  readonly #reference: string
  readonly #after: After
  #cancel: (() => void) | undefined
  /** What the last line told, but for lines in which bytes went back. */
  #last = ''
  #bytes = -1

  /** Begins to watch. @param stallMs Longest time in which nothing moves, in milliseconds */
  constructor(reference: string, stallMs: number, after: After = afterTime) {
    this.#reference = reference
    this.#stallMs = stallMs
    this.#after = after
    this.#restart(stallMs)
  }

  /** Up, with a `pull-stalled` error, when it stands still. */
  get signal(): AbortSignal {
    return this.#stalled.signal
  }

  /** Takes in a line, and what it means for the pull as a whole. */
  see({ status, digest, completedBytes = 0 }: PullProgress, { waiting, totalBytes }: ChangeProgress): void {
    if (waiting) {
      // Another client downloads this layer. The server may crash when its second client leaves, so it is waited for, however long.
      this.stop()
      return
    }
    const line = `${status} ${digest ?? ''}`
    const moved = line !== this.#last || completedBytes > this.#bytes || this.#cancel === undefined
    this.#last = line
    this.#bytes = completedBytes
    if (!moved) return
    const isHashing = /^verifying/.test(status)
    this.#restart(this.#stallMs + (isHashing ? (totalBytes ?? 0) / slowestHashBytesPerMs : 0))
  }

  /** To be called at the end. */
  stop(): void {
    this.#cancel?.()
    this.#cancel = undefined
  }

  #restart(ms: number): void {
    this.stop()
    this.#cancel = this.#after(ms, () => this.#stalled.abort(stalled(this.#reference, ms)))
  }
}

function stalled(reference: string, ms: number): OllamaConfigError {
  const seconds = Math.round(ms / 100) / 10
  return new OllamaConfigError('pull-stalled', `The pull of "${reference}" stood still for ${seconds} seconds`, {
    hint: 'look at the network of the server, which keeps what it has downloaded; --stall-timeout 10m has more patience',
    retryable: true,
  })
}
