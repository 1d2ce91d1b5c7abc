/** Adds up the layers of one pull: the server reports each layer by itself, and only as it gets to it. */
import type { PullProgress } from '../backend/backend.ts'
import type { ChangeProgress } from './events.ts'

interface Layer {
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
      this.#layers.set(digest, { completedBytes, totalBytes })
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

  #sum(pick: (layer: Layer) => number): number {
    let sum = 0
    for (const layer of this.#layers.values()) sum += pick(layer)
    return sum
  }
}
