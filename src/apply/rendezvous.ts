/** Several streams as one. Each waits until what it yielded was taken and worked off, as it would with a reader of its own. */

interface Item<T> {
  readonly value: T
  readonly taken: () => void
}

export class Rendezvous<T> {
  readonly #items: Item<T>[] = []
  #ended = 0
  #failure: { readonly error: unknown } | undefined
  #wake: () => void = () => {}

  /** Begins to read the stream; `onEnd` is called when it is over. */
  follow(stream: AsyncIterable<T>, onEnd: () => void): void {
    const read = async () => {
      for await (const value of stream) {
        await new Promise<void>((taken) => {
          this.#items.push({ value, taken })
          this.#wake()
        })
      }
    }
    read()
      .catch((error: unknown) => {
        this.#failure ??= { error }
      })
      .finally(() => {
        onEnd()
        this.#ended += 1
        this.#wake()
      })
  }

  /** What comes in, until one more stream has ended. @throws what a stream threw */
  async *drainUntilOneEnds(): AsyncGenerator<T, void> {
    const before = this.#ended
    for (;;) {
      for (let item = this.#items.shift(); item !== undefined; item = this.#items.shift()) {
        yield item.value
        item.taken()
      }
      if (this.#failure !== undefined) throw this.#failure.error
      if (this.#ended > before) return
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }
}
