/** POST /api/pull: the stream of status lines, with blobs that several pulls share fetched once. */
import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises'
import { blobsInOrder, type Content, describeModel, type ManifestLayer } from './content.ts'
import { AnswerOver, type Exchange, type LineWriter, Refusal, silentWriter, streamErrorType } from './exchange.ts'
import { whenAborted } from './faults.ts'
import { mustRead, type Name, showName } from './names.ts'
import type { RegistryModel } from './options.ts'
import { manifestError, PullFailure } from './pull-errors.ts'
import { extrasOf, type Store } from './store.ts'

interface Download {
  size: number
  completed: number
  sizeKnown: boolean
  waiting: Set<(download: Download) => Promise<void>>
  done: Promise<void>
  stop: AbortController
}

interface Run {
  name: string
  /** Digests it still has to fetch. */
  missing: Set<string>
}

interface Published {
  name: Name
  model: RegistryModel
  content: Content
}

export class Pulls {
  mostAtOnce = 0
  /** Models of the registry, by the exact spelling of repository and tag: a registry minds the case. */
  readonly #registry = new Map<string, Published>()
  readonly #running = new Set<Run>()
  readonly #downloads = new Map<string, Download>()
  readonly #partial = new Map<string, number>()
  readonly #store: Store
  readonly #problems: string[]
  readonly #noPrune: boolean

  constructor(store: Store, problems: string[], noPrune: boolean) {
    this.#store = store
    this.#problems = problems
    this.#noPrune = noPrune
  }

  get running(): string[] {
    return [...this.#running].map((pull) => pull.name)
  }

  publish(model: string | RegistryModel): void {
    const spec: RegistryModel = typeof model === 'string' ? { name: model } : model
    const name = mustRead(spec.name)
    this.#registry.set(registryKey(name), { name, model: spec, content: describeModel(spec) })
  }

  unpublish(name: string): void {
    this.#registry.delete(registryKey(mustRead(name)))
  }

  /** Bytes of unfinished downloads, by digest: what a later pull starts from. */
  partialBytes(): Record<string, number> {
    return Object.fromEntries(this.#partial)
  }

  async answer(exchange: Exchange, name: Name, insecure: boolean, streamed: boolean): Promise<void> {
    const writer: LineWriter = streamed ? exchange.stream() : silentWriter
    try {
      await this.run(name, insecure, writer, exchange.signal)
      if (!streamed) exchange.json(200, { status: 'success' }, streamErrorType)
    } catch (error) {
      if (!(error instanceof PullFailure)) throw error
      // Not streamed, every failure is a 500.
      if (!streamed) throw new Refusal(500, error.message, streamErrorType)
      await writer.line({ error: error.message })
    }
    await writer.end()
  }

  /** The whole pull with its own `success`; @throws PullFailure with the text of the error line. */
  async run(name: Name, insecure: boolean, writer: LineWriter, signal: AbortSignal): Promise<void> {
    const run = { name: showName(name), missing: new Set<string>() }
    this.#running.add(run)
    this.mostAtOnce = Math.max(this.mostAtOnce, this.#running.size)
    try {
      await this.#pull(name, insecure, run, writer, signal)
      await writer.line({ status: 'success' })
    } finally {
      this.#running.delete(run)
    }
  }

  async #pull(name: Name, insecure: boolean, run: Run, writer: LineWriter, signal: AbortSignal): Promise<void> {
    await writer.line({ status: 'pulling manifest' })
    const published = this.#registry.get(registryKey(name))
    const failure = manifestError(name, insecure, published?.model, published?.content.manifest)
    if (failure !== undefined || published === undefined) throw new PullFailure(failure ?? 'unreachable')
    const { content, model } = published
    const layers = blobsInOrder(content)
    this.#checkSharing(run, layers)
    const fetched: ManifestLayer[] = []
    for (const layer of layers) {
      const present = this.#store.blobs.get(layer.digest)
      if (present !== undefined) {
        await writer.line({ ...progress(layer.digest), total: present.size, completed: present.size })
        continue
      }
      await this.#fetch(published, layer, writer, signal)
      run.missing.delete(layer.digest)
      fetched.push(layer)
    }
    await writer.line({ status: 'verifying sha256 digest' })
    for (const layer of fetched) this.#verify(layer, published)
    await writer.line({ status: 'writing manifest' })
    const before = this.#store.get(name)
    this.#store.write(name, content, extrasOf(model))
    const kept = new Set(layers.map((layer) => layer.digest))
    const dropped = (before === undefined ? [] : blobsInOrder(before.content))
      .map((layer) => layer.digest)
      .filter((digest) => !kept.has(digest))
    if (dropped.length > 0 && !this.#noPrune) {
      await writer.line({ status: 'removing unused layers' })
      this.#store.prune(dropped)
    }
  }

  /** The real server can hang and then die when two pulls want the same blob: nothing of ours may ever ask for that. */
  #checkSharing(run: Run, layers: ManifestLayer[]): void {
    run.missing = new Set(layers.map((layer) => layer.digest).filter((digest) => !this.#store.blobs.has(digest)))
    for (const other of this.#running) {
      if (other === run) continue
      const shared = [...run.missing].find((digest) => other.missing.has(digest))
      if (shared === undefined) continue
      this.#problems.push(`pulls of ${other.name} and ${run.name} at once, which share ${shared.slice(0, 19)}`)
    }
  }

  #verify(layer: ManifestLayer, { content, model }: Published): void {
    const served = content.blobs.get(layer.digest)?.served
    const wrong = served ?? (model.error === 'digest-mismatch' ? `sha256:${'0'.repeat(64)}` : undefined)
    if (wrong === undefined || wrong === layer.digest) return
    this.#store.blobs.delete(layer.digest)
    throw new PullFailure(`digest mismatch, file must be downloaded again: want ${layer.digest}, got ${wrong}`)
  }

  /** Joins the download of this blob, or starts it; leaving stops it unless somebody else waits for it too. */
  async #fetch(published: Published, layer: ManifestLayer, writer: LineWriter, signal: AbortSignal): Promise<void> {
    // A download whose last client just left has to end before it can be taken up again.
    while (this.#downloads.get(layer.digest)?.stop.signal.aborted) await nextTurn()
    const existing = this.#downloads.get(layer.digest)
    const download = existing ?? this.#start(published, layer)
    const isFirst = existing === undefined
    const report = async ({ size, completed, sizeKnown }: Download) => {
      // The client that started a download waits in silence for the size; one that joined sees lines without it.
      if (!sizeKnown && isFirst) return
      await writer.line({
        ...progress(layer.digest),
        ...(sizeKnown && size > 0 ? { total: size } : {}),
        ...(completed > 0 ? { completed } : {}),
      })
    }
    download.waiting.add(report)
    const gone = new Promise<never>((_, reject) => whenAborted(signal, () => reject(new AnswerOver())))
    try {
      await Promise.race([download.done, gone])
    } finally {
      gone.catch(() => {})
      download.waiting.delete(report)
      if (download.waiting.size === 0) download.stop.abort()
    }
  }

  #start(published: Published, layer: ManifestLayer): Download {
    const blob = published.content.blobs.get(layer.digest)
    const download: Download = {
      size: blob?.size ?? layer.size,
      completed: this.#partial.get(layer.digest) ?? 0,
      sizeKnown: this.#partial.has(layer.digest),
      waiting: new Set(),
      done: Promise.resolve(),
      stop: new AbortController(),
    }
    this.#downloads.set(layer.digest, download)
    download.done = this.#run(download, published, layer).finally(() => this.#downloads.delete(layer.digest))
    download.done.catch(() => {})
    return download
  }

  async #run(download: Download, { model, content }: Published, layer: ManifestLayer): Promise<void> {
    const { bytesPerTick, waitTicks = 0, tickMs = 0 } = model
    const stopped = () => download.stop.signal.aborted
    const tick = async () => {
      await (tickMs > 0 ? delay(tickMs) : nextTurn())
      if (stopped()) throw new AnswerOver()
    }
    // In step with everybody who watches, so that a held client finds the download where it left it.
    const tell = async () => {
      await Promise.allSettled([...download.waiting].map((report) => report(download)))
      if (stopped()) throw new AnswerOver()
    }
    const waits = async () => {
      for (let count = 0; count < waitTicks; count++) {
        await tick()
        await tell()
      }
    }
    try {
      if (!download.sizeKnown) await waits()
      failEarly(model, layer)
      download.sizeKnown = true
      this.#partial.set(layer.digest, download.completed)
      if (download.completed === 0) await waits()
      if (model.error === 'cdn-error') throw new PullFailure('max retries exceeded: EOF')
      while (bytesPerTick !== undefined) {
        await tick()
        download.completed = Math.min(download.size, download.completed + bytesPerTick)
        this.#partial.set(layer.digest, download.completed)
        if (download.completed >= download.size) break
        await tell()
        if (model.error === 'disk-full' && download.completed * 2 >= download.size) failDiskFull(layer, '-partial')
      }
      this.#store.blobs.set(layer.digest, content.blobs.get(layer.digest) ?? emptyBlob(layer))
      this.#partial.delete(layer.digest)
    } catch (error) {
      // Only a client that leaves lets the server note how far it came; after an error the next pull starts again.
      if (error instanceof PullFailure) this.#partial.delete(layer.digest)
      throw error
    }
  }
}

function emptyBlob({ size }: ManifestLayer) {
  return { size, bytes: undefined, served: undefined }
}

function progress(digest: string): { status: string; digest: string } {
  return { status: `pulling ${digest.slice('sha256:'.length, 'sha256:'.length + 12)}`, digest }
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

function registryKey({ host, namespace, model, tag }: Name): string {
  return `${host.toLowerCase()}/${namespace}/${model}:${tag}`
}
