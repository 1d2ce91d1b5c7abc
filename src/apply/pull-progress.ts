/** Adds up the layers of one pull: the server reports each layer by itself, and only as it gets to it. */
import type { PullProgress } from '../backend/backend.ts'
import type { ChangeProgress } from './events.ts'

interface Layer {
  readonly completedBytes: number
  readonly totalBytes: number
}

/** A model has a dozen layers; a server that tells of more than this is not believed. */
const maxLayers = 10_000

export class PullMeter {
  readonly #id: string
  readonly #layers = new Map<string, Layer>()
  #completedBytes = 0
  #totalBytes = 0

  constructor(id: string) {
    this.#id = id
  }

  /** Takes in one line and tells where the pull as a whole stands. */
  update({ status, digest, totalBytes, completedBytes = 0 }: PullProgress): ChangeProgress {
    if (digest !== undefined && totalBytes !== undefined) this.#set(digest, { completedBytes, totalBytes })
    const known = this.#layers.size > 0
    return {
      type: 'change-progress',
      id: this.#id,
      status,
      completedBytes: known ? this.#completedBytes : null,
      totalBytes: known ? this.#totalBytes : null,
      waiting: digest !== undefined && totalBytes === undefined,
    }
  }

  #set(digest: string, layer: Layer): void {
    const earlier = this.#layers.get(digest)
    if (earlier === undefined && this.#layers.size >= maxLayers) return
    this.#completedBytes += layer.completedBytes - (earlier?.completedBytes ?? 0)
    this.#totalBytes += layer.totalBytes - (earlier?.totalBytes ?? 0)
    this.#layers.set(digest, layer)
  }
}
