/** Notices what stands still: a server whose network hangs goes on sending lines in which nothing moves. */
import { OllamaConfigError } from '../errors.ts'
import { maxTimerMs } from '../runtime/sleep.ts'

/** The server's own six tries for a part take 63 seconds together, a silent part it gives up after 30. */
const defaultStallMs = 120_000

/** While it hashes what came, the server says nothing. Slower than this no disk that holds models is read. */
const slowestHashBytesPerMs = 10_000

/** Calls back once, unless the returned function is called before. */
type After = (ms: number, callback: () => void) => () => void

/** A process that was suspended wakes up with its timers overdue, before it has read what came meanwhile: it gets a moment for that. */
const graceMs = 200

function afterTime(ms: number, callback: () => void): () => void {
  let timer = setTimeout(
    () => {
      timer = setTimeout(callback, graceMs)
    },
    Math.min(ms, maxTimerMs),
  )
  return () => clearTimeout(timer)
}

/** Where the work stands. */
export interface Standing {
  /** What is being done, to which part. */
  readonly doing: string
  readonly bytes: number
  /** The server may hash so many bytes now, in silence. Default: 0. */
  readonly hashedBytes?: number | undefined
  /** Another client downloads this: it may take any time. Default: false. */
  readonly waiting?: boolean | undefined
}

export class StallWatch {
  readonly #what: string
  readonly #stallMs: number
  readonly #after: After
  readonly #stalled = new AbortController()
  #cancel: (() => void) | undefined
  #last: Standing = { doing: '', bytes: -1 }

  /**
   * Begins to watch.
   *
   * @param what In words for the error, such as `The pull of "x"`
   * @param stallMs Longest time in which nothing moves, in milliseconds. Default: 120 000
   */
  constructor(what: string, stallMs: number = defaultStallMs, after: After = afterTime) {
    this.#what = what
    this.#stallMs = stallMs
    this.#after = after
    this.#restart(stallMs)
  }

  /** Up, with an error `stalled`, when it stands still. */
  get signal(): AbortSignal {
    return this.#stalled.signal
  }

  see(now: Standing): void {
    const { doing, bytes } = this.#last
    this.#last = now
    if (now.waiting) {
      // The server may crash when the second client of a download leaves, so it is waited for, however long.
      this.stop()
      return
    }
    // Bytes that go back are a part that is tried again.
    const moved = now.doing !== doing || now.bytes > bytes || this.#cancel === undefined
    if (moved) this.#restart(this.#stallMs + (now.hashedBytes ?? 0) / slowestHashBytesPerMs)
  }

  /** To be called at the end. */
  stop(): void {
    this.#cancel?.()
    this.#cancel = undefined
  }

  #restart(ms: number): void {
    this.stop()
    this.#cancel = this.#after(ms, () => this.#stalled.abort(stalled(this.#what, ms)))
  }
}

function stalled(what: string, ms: number): OllamaConfigError {
  return new OllamaConfigError('stalled', `${what} stood still for ${Math.round(ms / 100) / 10} seconds`, {
    hint: 'look at the network and the log of the server; --stall-timeout 10m has more patience',
    retryable: true,
  })
}
