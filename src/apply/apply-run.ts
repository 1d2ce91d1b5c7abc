/** A running apply, for programs: iterate it once to watch, await its report, or both. */
import { anySignal } from '../runtime/abortable.ts'
import type { Event } from './events.ts'
import { emptyReport, foldEvent, joinReports, type Report } from './report.ts'

export interface ApplyRun extends AsyncIterable<Event> {
  /** Resolves also when changes failed or the run was interrupted; rejects only when nothing could be started. */
  readonly report: Promise<Report>
}

/**
 * Starts at once, whether or not anyone iterates. Leaving the loop early aborts the run.
 *
 * @param start Makes the events; the signal is up when the caller's is or when a loop was left.
 */
export function createApplyRun(start: (signal: AbortSignal) => AsyncIterable<Event>, signal?: AbortSignal): ApplyRun {
  const left = new AbortController()
  const queue = new EventQueue()
  let watched = false
  const report = (async () => {
    let target = emptyReport
    try {
      for await (const event of start(anySignal(signal, left.signal))) {
        target = foldEvent(target, event)
        queue.push(event)
      }
      return joinReports([target])
    } catch (error) {
      queue.fail(error)
      throw error
    } finally {
      queue.end()
    }
  })()
  // Whoever only iterates gets the error from the loop; without this it would also be an unhandled rejection.
  report.catch(() => {})
  return {
    report,
    async *[Symbol.asyncIterator]() {
      if (watched) throw new TypeError('The events of an apply can be iterated once')
      watched = true
      let complete = false
      try {
        yield* queue.drain()
        complete = true
      } finally {
        if (!complete) left.abort(new DOMException('The loop over the events was left', 'AbortError'))
      }
    },
  }
}

/** Holds events until they are read. Progress that nobody has read yet gives way to newer progress of the same change. */
class EventQueue {
  #events: Event[] = []
  readonly #progressAt = new Map<string, number>()
  #failure: { readonly error: unknown } | undefined
  #ended = false
  #wake: () => void = () => {}

  push(event: Event): void {
    if (event.type === 'change-progress') {
      const at = this.#progressAt.get(event.id)
      if (at !== undefined) {
        this.#events[at] = event
        return
      }
      this.#progressAt.set(event.id, this.#events.length)
    } else if ('id' in event) {
      // Later progress comes after it.
      this.#progressAt.delete(event.id)
    }
    this.#events.push(event)
    this.#wake()
  }

  fail(error: unknown): void {
    this.#failure = { error }
  }

  end(): void {
    this.#ended = true
    this.#wake()
  }

  async *drain(): AsyncGenerator<Event, void> {
    for (;;) {
      const events = this.#events
      this.#events = []
      this.#progressAt.clear()
      yield* events
      if (this.#events.length > 0) continue
      if (this.#ended) break
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    if (this.#failure !== undefined) throw this.#failure.error
  }
}
