/** One blob under way, for everybody who waits for it, and where it comes from. */
import type { Blob, Content, ManifestLayer } from './content.ts'
import { AnswerOver } from './exchange.ts'
import type { Extras } from './store.ts'

type Report = (download: Download) => Promise<void>

export class Download {
  size: number
  completed = 0
  sizeKnown = false
  done: Promise<void> = Promise.resolve()
  readonly waiting = new Set<Report>()
  readonly #stop = new AbortController()

  constructor(size: number) {
    this.size = size
  }

  /** Aborted when nobody waits any more. */
  get signal(): AbortSignal {
    return this.#stop.signal
  }

  join(report: Report): void {
    this.waiting.add(report)
  }

  /** The last who leaves stops it. */
  leave(report: Report): void {
    this.waiting.delete(report)
    if (this.waiting.size === 0) this.#stop.abort()
  }

  /** In step with everybody who watches, so that a held client finds the download where it left it. */
  async tell(): Promise<void> {
    await Promise.allSettled([...this.waiting].map((report) => report(this)))
    this.checkWanted()
  }

  checkWanted(): void {
    if (this.signal.aborted) throw new AnswerOver()
  }
}

/** One model of one registry. */
export interface Source {
  readonly content: Content
  readonly extras: Extras
  /** Fetches a blob; what it hashes to is looked at later. @throws PullFailure */
  fetch(layer: ManifestLayer, download: Download): Promise<Blob>
}
