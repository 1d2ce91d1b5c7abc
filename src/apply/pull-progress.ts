/** Adds up the layers of one pull: the server reports each layer by itself, and only as it gets to it. */
import type { PullProgress } from '../backend/backend.ts'
import type { ChangeProgress } from './events.ts'

interface Layer {
  /** Bytes that were on the host before this pull. */
  readonly startBytes: number
  readonly completedBytes: number
  readonly totalBytes: number
}

export class PullMeter {
  readonly #id: string
  readonly #layers = new Map<string, Layer>()

  constructor(id: string) {
    this.#id = id
  }

  /** Takes in one line and tells where the pull as a whole stands. */
  update(line: PullProgress): ChangeProgress {
    const { status, digest, totalBytes, completedBytes = 0 } = line
    if (digest !== undefined && totalBytes !== undefined) {
      const startBytes = this.#layers.get(digest)?.startBytes ?? completedBytes
      this.#layers.set(digest, { startBytes, completedBytes, totalBytes })
    }
    const known = this.#layers.size > 0
    return {
      type: 'change-progress',
      id: this.#id,
      status,
      completedBytes: known ? this.#sum((layer) => layer.completedBytes) : null,
      totalBytes: known ? this.#sum((layer) => layer.totalBytes) : null,
      waiting: digest !== undefined && totalBytes === undefined,
    }
  }

  /**
   * Bytes that came over the network; `null` when no line told, since layers that arrive at once have none.
   *
   * @param complete Whether the pull ended well: the last line of a layer need not reach its total.
   */
  downloadedBytes(complete: boolean): number | null {
    if (this.#layers.size === 0) return null
    return this.#sum(({ startBytes, completedBytes, totalBytes }) =>
      Math.max(0, (complete ? totalBytes : completedBytes) - startBytes),
    )
  }

  #sum(pick: (layer: Layer) => number): number {
    let sum = 0
    for (const layer of this.#layers.values()) sum += pick(layer)
    return sum
  }
}
