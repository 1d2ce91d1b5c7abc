/** A registry without a network: models as a test published them, at the speed and with the errors it asked for. */
import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises'
import type { Blob, Content, ManifestLayer } from './content.ts'
import type { Download, Source } from './download.ts'
import type { Name } from './names.ts'
import type { RegistryModel } from './options.ts'
import { PullFailure } from './pull-errors.ts'
import { type Extras, extrasOf } from './store.ts'

export interface Published {
  name: Name
  model: RegistryModel
  content: Content
}

export class MemorySource implements Source {
  readonly content: Content
  readonly extras: Extras
  readonly #model: RegistryModel
  readonly #partial: Map<string, number>

  /** `partial` holds the bytes of unfinished downloads by digest, from one pull to the next. */
  constructor({ model, content }: Published, partial: Map<string, number>) {
    this.content = content
    this.extras = extrasOf(model)
    this.#model = model
    this.#partial = partial
  }

  async fetch(layer: ManifestLayer, download: Download): Promise<Blob> {
    try {
      return await this.#run(layer, download)
    } catch (error) {
      // Only a client that leaves lets the server note how far it came; after an error the next pull starts again.
      if (error instanceof PullFailure) this.#partial.delete(layer.digest)
      throw error
    }
  }

  async #run(layer: ManifestLayer, download: Download): Promise<Blob> {
    const { bytesPerTick, waitTicks = 0, tickMs = 0, error } = this.#model
    const blob = this.content.blobs.get(layer.digest) ?? { size: layer.size, bytes: undefined, served: undefined }
    download.size = blob.size
    download.completed = this.#partial.get(layer.digest) ?? 0
    download.sizeKnown = this.#partial.has(layer.digest)
    const tick = async () => {
      await (tickMs > 0 ? delay(tickMs) : nextTurn())
      download.checkWanted()
    }
    const waits = async () => {
      for (let count = 0; count < waitTicks; count++) {
        await tick()
        await download.tell()
      }
    }
    if (!download.sizeKnown) await waits()
    failEarly(this.#model, layer)
    download.sizeKnown = true
    this.#partial.set(layer.digest, download.completed)
    if (download.completed === 0) await waits()
    if (error === 'cdn-error') throw new PullFailure('max retries exceeded: EOF')
    while (bytesPerTick !== undefined) {
      await tick()
      download.completed = Math.min(download.size, download.completed + bytesPerTick)
      this.#partial.set(layer.digest, download.completed)
      if (download.completed >= download.size) break
      await download.tell()
      if (error === 'disk-full' && download.completed * 2 >= download.size) failDiskFull(layer, '-partial')
    }
    this.#partial.delete(layer.digest)
    return error === 'digest-mismatch' ? { ...blob, served: blob.served ?? `sha256:${'0'.repeat(64)}` } : blob
  }
}

function failEarly({ error, bytesPerTick }: RegistryModel, layer: ManifestLayer): void {
  if (error === 'missing-blob') throw new PullFailure('file does not exist')
  if (error === 'blob-500') throw new PullFailure('500: ')
  if (error === 'plain-200') throw new PullFailure('http: no Location header in response')
  if (error === 'disk-full' && bytesPerTick === undefined) failDiskFull(layer, '-partial-0')
}

function failDiskFull({ digest }: ManifestLayer, suffix: string): never {
  const file = `$OLLAMA_MODELS/blobs/${digest.replace(':', '-')}${suffix}`
  throw new PullFailure(`write ${file}: no space left on device`)
}
