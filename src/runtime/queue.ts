/** First in, first out, for tens of thousands. */

/** From 16,000 elements on `Array.shift()` moves all that are left: 8 s for 50,000, half a minute for 100,000. */
export class Queue<T> {
  #items: T[] = []
  /** What is before it was taken. */
  #at = 0

  get size(): number {
    return this.#items.length - this.#at
  }

  push(item: T): void {
    this.#items.push(item)
  }

  first(): T | undefined {
    return this.#items[this.#at]
  }

  shift(): T | undefined {
    const item = this.#items[this.#at]
    if (this.size > 0) this.#at++
    // Half of it at a time, so that each item is moved about once.
    if (this.#at > 1024 && this.#at * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#at)
      this.#at = 0
    }
    return item
  }
}
