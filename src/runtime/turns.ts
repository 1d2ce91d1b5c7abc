/** So many at once, in order; the rest wait. */
import { Queue } from './queue.ts'

export class Turns {
  #free: number
  readonly #waiting = new Queue<() => void>()

  constructor(atOnce: number) {
    this.#free = atOnce
  }

  /** Settles as `work` does, which begins when its turn comes. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#free++
      else next()
    }
  }
}
