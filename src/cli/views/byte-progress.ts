/** Bytes that are worked through, on stderr: one line that is written over in a terminal, else a line now and then. */
import type { Output } from '../context.ts'
import { formatByteShare, formatRate } from './format.ts'
import { addSample, bytesPerSecond, startRate } from './rate.ts'
import { truncate } from './text.ts'

const redrawMs = 100
/** A log does not need more. */
const lineMs = 10_000

export class ByteProgress {
  readonly #stream: Output
  readonly #animate: boolean
  readonly #now: () => number
  #rate
  #words = ''
  #seenBytes = 0
  #toldMs: number
  #isOnScreen = false

  constructor(stream: Output, { animate, now }: { readonly animate: boolean; readonly now: () => number }) {
    this.#stream = stream
    this.#animate = animate
    this.#now = now
    this.#rate = startRate(now())
    this.#toldMs = animate ? Number.NEGATIVE_INFINITY : now()
  }

  /** @param words What is done: `Reading` */
  update(words: string, completedBytes: number, totalBytes: number): void {
    const nowMs = this.#now()
    if (words !== this.#words) {
      this.#rate = startRate(nowMs)
      this.#seenBytes = 0
    }
    this.#words = words
    this.#rate = addSample(this.#rate, completedBytes - this.#seenBytes, nowMs)
    this.#seenBytes = completedBytes
    if (nowMs - this.#toldMs < (this.#animate ? redrawMs : lineMs)) return
    this.#toldMs = nowMs
    const rate = formatRate(bytesPerSecond(this.#rate, nowMs))
    const text = `${words} ${formatByteShare(completedBytes, totalBytes)}${rate === '' ? '' : `  ${rate}`}`
    if (!this.#animate) {
      this.#stream.write(`${text}\n`)
      return
    }
    // The last column stays free: some terminals wrap when it is filled.
    this.#stream.write(`\r${truncate(text, (this.#stream.columns ?? 80) - 1)}\x1b[K`)
    this.#isOnScreen = true
  }

  /** Before anything else is written. */
  clear(): void {
    if (this.#isOnScreen) this.#stream.write('\r\x1b[K')
    this.#isOnScreen = false
  }
}
