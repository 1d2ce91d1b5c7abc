/** Who waits for a place at an origin: thousands, where a plan has as many models to ask about. */
import { Queue } from '../runtime/queue.ts'

interface Waiter {
  readonly origin: string
  /** Order of arrival. */
  readonly number: number
  readonly go: () => void
  readonly fail: (reason: unknown) => void
  /** Its signal went up. */
  left: boolean
}

interface Group {
  readonly waiters: Set<Waiter>
  readonly onAbort: () => void
}

export class WaitingLine {
  readonly #byOrigin = new Map<string, Queue<Waiter>>()
  /** One listener for all that share a signal: Node looks through the others whenever one is added. */
  readonly #bySignal = new Map<AbortSignal, Group>()
  #arrived = 0

  /** Resolves when its turn has come. @throws `signal.reason` as soon as the signal is up */
  async wait(origin: string, signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted()
    await new Promise<void>((resolve, reject) => {
      const waiter: Waiter = {
        origin,
        number: this.#arrived++,
        fail: reject,
        left: false,
        go: () => {
          if (signal !== undefined) this.#forget(signal, waiter)
          resolve()
        },
      }
      const queue = this.#byOrigin.get(origin) ?? new Queue()
      queue.push(waiter)
      this.#byOrigin.set(origin, queue)
      if (signal !== undefined) this.#groupOf(signal).waiters.add(waiter)
    })
  }

  /** Lets the first of those go whose origin has a place. Returns its origin. */
  next(hasPlace: (origin: string) => boolean): string | undefined {
    let first: Waiter | undefined
    for (const [origin, queue] of this.#byOrigin) {
      while (queue.first()?.left) queue.shift()
      const waiter = queue.first()
      if (waiter === undefined) this.#byOrigin.delete(origin)
      else if (waiter.number < (first?.number ?? Number.POSITIVE_INFINITY) && hasPlace(origin)) first = waiter
    }
    if (first === undefined) return undefined
    this.#byOrigin.get(first.origin)?.shift()
    first.go()
    return first.origin
  }

  #groupOf(signal: AbortSignal): Group {
    const known = this.#bySignal.get(signal)
    if (known !== undefined) return known
    const waiters = new Set<Waiter>()
    const onAbort = () => {
      this.#bySignal.delete(signal)
      for (const waiter of waiters) {
        waiter.left = true
        waiter.fail(signal.reason)
      }
    }
    const group = { waiters, onAbort }
    this.#bySignal.set(signal, group)
    signal.addEventListener('abort', onAbort, { once: true })
    return group
  }

  #forget(signal: AbortSignal, waiter: Waiter): void {
    const group = this.#bySignal.get(signal)
    group?.waiters.delete(waiter)
    if (group === undefined || group.waiters.size > 0) return
    this.#bySignal.delete(signal)
    signal.removeEventListener('abort', group.onAbort)
  }
}
