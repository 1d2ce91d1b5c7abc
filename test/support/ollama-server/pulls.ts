/** POST /api/pull: the stream of status lines, with blobs that several pulls share fetched once. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { blobsInOrder, describeModel, type ManifestLayer } from './content.ts'
import { Download, type Source } from './download.ts'
import { AnswerOver, type Exchange, type LineWriter, Refusal, silentWriter, streamErrorType } from './exchange.ts'
import { whenAborted } from './faults.ts'
import { HttpPartials, HttpSource, isLoopback } from './http-source.ts'
import { MemorySource, type Published } from './memory-source.ts'
import { mustRead, type Name, showName } from './names.ts'
import type { OllamaServerOptions, RegistryModel } from './options.ts'
import { manifestError, PullFailure } from './pull-errors.ts'
import type { Store } from './store.ts'

interface Run {
  name: string
  /** Digests it still has to fetch. */
  missing: Set<string>
}

export class Pulls {
  mostAtOnce = 0
  /** Models of the registry, by the exact spelling of repository and tag: a registry minds the case. */
  readonly #registry = new Map<string, Published>()
  readonly #running = new Set<Run>()
  readonly #downloads = new Map<string, Download>()
  readonly #partial = new Map<string, number>()
  readonly #httpPartial = new HttpPartials()
  readonly #store: Store
  readonly #problems: string[]
  readonly #options: OllamaServerOptions & { version: string }

  constructor(store: Store, problems: string[], options: OllamaServerOptions & { version: string }) {
    this.#store = store
    this.#problems = problems
    this.#options = options
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
    return { ...Object.fromEntries(this.#partial), ...this.#httpPartial.completed() }
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
    const source = await this.#open(name, insecure, signal)
    const { content } = source
    const layers = blobsInOrder(content)
    this.#checkSharing(run, layers)
    const fetched: ManifestLayer[] = []
    for (const layer of layers) {
      const present = this.#store.blobs.get(layer.digest)
      if (present !== undefined) {
        await writer.line({ ...progress(layer.digest), total: present.size, completed: present.size })
        continue
      }
      await this.#fetch(source, layer, writer, signal)
      run.missing.delete(layer.digest)
      fetched.push(layer)
    }
    await writer.line({ status: 'verifying sha256 digest' })
    for (const layer of fetched) this.#verify(layer)
    await writer.line({ status: 'writing manifest' })
    const before = this.#store.get(name)
    // What came over HTTP is known only by now.
    for (const { digest } of layers) {
      const blob = this.#store.blobs.get(digest)
      if (blob !== undefined && content.blobs.get(digest)?.bytes === undefined) content.blobs.set(digest, blob)
    }
    this.#store.write(name, content, source.extras)
    const kept = new Set(layers.map((layer) => layer.digest))
    const dropped = (before === undefined ? [] : blobsInOrder(before.content))
      .map((layer) => layer.digest)
      .filter((digest) => !kept.has(digest))
    if (dropped.length > 0 && this.#options.noPrune !== true) {
      await writer.line({ status: 'removing unused layers' })
      this.#store.prune(dropped)
    }
  }

  /** What was published here comes first, then the registries that a test gave this server, then real ones nearby. */
  async #open(name: Name, insecure: boolean, signal: AbortSignal): Promise<Source> {
    const published = this.#registry.get(registryKey(name))
    const base = published === undefined ? this.#baseUrl(name.host) : undefined
    if (base === undefined) {
      const failure = manifestError(name, insecure, published?.model, published?.content.manifest)
      if (failure !== undefined || published === undefined) throw new PullFailure(failure ?? 'unreachable')
      return new MemorySource(published, this.#partial)
    }
    const { version, keyFile, bytesPerLine } = this.#options
    const pace = { partials: this.#httpPartial, bytesPerLine }
    return await HttpSource.open({ base, name, insecure, version, keyFile }, pace, signal)
  }

  #baseUrl(host: string): string | undefined {
    const isHost = (other: string) => other.toLowerCase() === host.toLowerCase()
    const given = Object.entries(this.#options.registries ?? {}).find(([key]) => isHost(key))?.[1]
    if (given !== undefined) return given.replace(/\/+$/, '')
    const isPlayed = [...this.#registry.values()].some(({ name }) => isHost(name.host))
    return isLoopback(host) && !isPlayed ? `http://${host}` : undefined
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

  #verify({ digest }: ManifestLayer): void {
    const wrong = this.#store.blobs.get(digest)?.served
    if (wrong === undefined || wrong === digest) return
    this.#store.blobs.delete(digest)
    throw new PullFailure(`digest mismatch, file must be downloaded again: want ${digest}, got ${wrong}`)
  }

  /** Joins the download of this blob, or starts it; leaving stops it unless somebody else waits for it too. */
  async #fetch(source: Source, layer: ManifestLayer, writer: LineWriter, signal: AbortSignal): Promise<void> {
    // A download whose last client just left has to end before it can be taken up again.
    while (this.#downloads.get(layer.digest)?.signal.aborted) await nextTurn()
    const existing = this.#downloads.get(layer.digest)
    const download = existing ?? new Download(layer.size)
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
    download.join(report)
    if (isFirst) this.#start(download, source, layer)
    const gone = new Promise<never>((_, reject) => whenAborted(signal, () => reject(new AnswerOver())))
    try {
      await Promise.race([download.done, gone])
    } finally {
      gone.catch(() => {})
      download.leave(report)
    }
  }

  #start(download: Download, source: Source, layer: ManifestLayer): void {
    this.#downloads.set(layer.digest, download)
    const run = async () => {
      try {
        this.#store.blobs.set(layer.digest, await source.fetch(layer, download))
      } finally {
        this.#downloads.delete(layer.digest)
      }
    }
    download.done = run()
    download.done.catch(() => {})
  }
}

function progress(digest: string): { status: string; digest: string } {
  return { status: `pulling ${digest.slice('sha256:'.length, 'sha256:'.length + 12)}`, digest }
}

function registryKey({ host, namespace, model, tag }: Name): string {
  return `${host.toLowerCase()}/${namespace}/${model}:${tag}`
}
