/** Work that several wait for: done once, and given up when the last of them leaves. */
import { abortable } from '../runtime/abortable.ts'

interface Work<T> {
  readonly result: Promise<T>
  readonly controller: AbortController
  waiting: number
}

export class Shared<T> {
  readonly #under = new Map<string, Work<T>>()

  /**
   * Joins the work that is under way for this key, or begins it. It does not see `signal`, only that nobody waits any more.
   *
   * @throws `signal.reason` as soon as the signal is up, and what the work throws
   */
  async join(key: string, signal: AbortSignal | undefined, begin: (signal: AbortSignal) => Promise<T>): Promise<T> {
    signal?.throwIfAborted()
    const work = this.#under.get(key) ?? this.#begin(key, begin)
    work.waiting++
    try {
      return await abortable(work.result, signal)
    } finally {
      work.waiting--
      if (work.waiting === 0) {
        if (this.#under.get(key) === work) this.#under.delete(key)
        work.controller.abort()
      }
    }
  }

  #begin(key: string, begin: (signal: AbortSignal) => Promise<T>): Work<T> {
    const controller = new AbortController()
    const result = begin(controller.signal)
    // Nobody may be left to see it fail.
    result.catch(() => {})
    const work = { result, controller, waiting: 0 }
    this.#under.set(key, work)
    return work
  }
}
