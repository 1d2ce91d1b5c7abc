/** Adds up the layers of one pull: the server reports each layer by itself, and only as it gets to it. */

import { blobsOf } from '../artifact/manifest.ts'
import type { PullProgress } from '../backend/backend.ts'
import type { PlannedManifest } from '../plan/plan.ts'
import type { ChangeProgress } from './events.ts'

interface Layer {
  readonly completedBytes: number
  readonly totalBytes: number
}

/** A model has a dozen layers; a server that tells of more than this is not believed. */
const maxLayers = 10_000

/** With the manifest the total is right from the first line on; without it, it grows while layers come up. */
export class PullMeter {
  readonly #id: string
  readonly #inOrder: boolean
  /** In the order in which the server gets to them, as far as known. */
  readonly #layers = new Map<string, Layer>()
  /** Digests of the manifest, in the order of the pull; empty when it is not known. */
  #order: readonly string[]
  #completedBytes = 0
  #totalBytes = 0
  /** Layers of the manifest before this one are complete. */
  #reached = 0

  /** @param inOrder A server fetches layer by layer, and does not tell of those that come quickly; a store tells of each, in any order. */
  constructor(id: string, manifest: PlannedManifest | null = null, inOrder = true) {
    this.#id = id
    this.#inOrder = inOrder
    const blobs = manifest === null ? [] : blobsOf(manifest)
    this.#order = blobs.map(({ digest }) => digest)
    for (const { digest, sizeBytes, onHost } of blobs) {
      this.#set(digest, { completedBytes: onHost === true ? sizeBytes : 0, totalBytes: sizeBytes })
    }
  }

  /** Takes in one line and tells where the pull as a whole stands. */
  update({ status, digest, totalBytes, completedBytes }: PullProgress): ChangeProgress {
    if (digest !== undefined) this.#takeIn(digest, totalBytes, completedBytes)
    // The server verifies when it has all of it.
    else if (/^(verifying|writing|success)/.test(status)) this.#reach(this.#order.length)
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

  #takeIn(digest: string, totalBytes: number | undefined, completedBytes: number | undefined): void {
    const planned = this.#order.length === 0 ? undefined : this.#layers.get(digest)
    if (planned !== undefined) {
      if (this.#inOrder) this.#reach(this.#order.indexOf(digest))
      if (completedBytes !== undefined)
        this.#set(digest, { ...planned, completedBytes: Math.min(completedBytes, planned.totalBytes) })
    } else if (totalBytes !== undefined) {
      // Models in many tensor files are told of as one layer that is in no manifest.
      if (this.#order.length > 0) this.#forget()
      this.#set(digest, { completedBytes: completedBytes ?? 0, totalBytes })
    }
  }

  #reach(index: number): void {
    for (; this.#reached < index; this.#reached++) {
      const digest = this.#order[this.#reached] ?? ''
      const layer = this.#layers.get(digest)
      if (layer !== undefined) this.#set(digest, { ...layer, completedBytes: layer.totalBytes })
    }
  }

  /** The server counts otherwise than the manifest: from here on its own numbers count. */
  #forget(): void {
    for (const digest of this.#order) this.#set(digest, { completedBytes: 0, totalBytes: 0 })
    this.#order = []
  }

  #set(digest: string, layer: Layer): void {
    const earlier = this.#layers.get(digest)
    if (earlier === undefined && this.#layers.size >= maxLayers) return
    this.#completedBytes += layer.completedBytes - (earlier?.completedBytes ?? 0)
    this.#totalBytes += layer.totalBytes - (earlier?.totalBytes ?? 0)
    this.#layers.set(digest, layer)
  }
}
