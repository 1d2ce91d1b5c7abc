/** Keeps blobs that no manifest names yet, of a pull or a build under way, from whoever removes those of another model meanwhile. */
import type { Manifest } from '../artifact/manifest.ts'

export class Claims {
  readonly #claimed = new Set<ReadonlySet<string>>()
  #removal: Promise<unknown> = Promise.resolve()

  /** When it resolves, none of these is removed any more until the function is called that it gives. */
  async claim(digests: Iterable<string>): Promise<() => void> {
    const claimed = new Set(digests)
    this.#claimed.add(claimed)
    // One that began before does not know of it.
    await this.#removal
    return () => void this.#claimed.delete(claimed)
  }

  /** Removes blobs of a model that is gone: `remove` is given those that nobody claims. */
  async removing<T extends { readonly manifest: Manifest }>(
    model: T,
    remove: (model: T) => Promise<unknown>,
  ): Promise<void> {
    const isFree = ({ digest }: { readonly digest: string }) =>
      ![...this.#claimed].some((claimed) => claimed.has(digest))
    const { config, layers } = model.manifest
    const manifest = { config: config !== null && isFree(config) ? config : null, layers: layers.filter(isFree) }
    const work = remove({ ...model, manifest })
    this.#removal = Promise.allSettled([this.#removal, work])
    await work
  }
}
