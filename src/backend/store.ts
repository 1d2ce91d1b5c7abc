/** A model directory as a backend: no server is needed, and one may run on it. */
import { blobsOf } from '../artifact/manifest.ts'
import { formatReference, parseListedName, type Reference } from '../artifact/reference.ts'
import { printable, quoted, quotedPath } from '../artifact/text.ts'
import { OllamaConfigError } from '../errors.ts'
import type { ActualState } from '../plan/state.ts'
import { createRegistryClient, type RegistryClientOptions } from '../registry/client.ts'
import type { DownloadClient } from '../registry/registry.ts'
import type { MutexHold } from '../runtime/process-mutex.ts'
import { assertKnownLayout, assertStorable, type Layout, layoutOf, manifestFile } from '../store/layout.ts'
import { readManifests, type StoredModel } from '../store/manifests.ts'
import { listModels } from '../store/models.ts'
import { holdStore } from '../store/mutex.ts'
import { type Owner, ownerFor } from '../store/ownership.ts'
import { prepare, publishBlob, publishManifest, writeStream } from '../store/publish.ts'
import { copyModel, removeModel, removeUnnamedBlobs } from '../store/remove.ts'
import { SmallFiles } from '../store/small-files.ts'
import { Downloader, type DownloaderOptions } from '../transfer/downloader.ts'
import type {
  Backend,
  BlobLookup,
  CallOptions,
  CreateRequest,
  Hold,
  HoldOptions,
  ModelDetails,
  PullOptions,
  PullProgress,
  Upload,
} from './backend.ts'
import { Claims } from './claims.ts'
import { notInStore, seemsThere } from './store-blob.ts'
import { assertTakenOver, deriveInStore, isForServer, onlyServer } from './store-create.ts'
import { manifestFor, pullBlobs } from './store-pull.ts'
import { showStored } from './store-shown.ts'

export interface StoreBackendOptions {
  /** Absolute path of the model directory; need not be there yet. */
  readonly folder: string
  /** Who shall own what is written. Default: of root, who owns the folder; else nobody else. */
  readonly owner?: Owner | undefined
  /** Of all downloads together. Default: 4. */
  readonly connections?: number | undefined
  /** Fetch nothing. Default: false. */
  readonly offline?: boolean | undefined
  readonly registry: RegistryClientOptions
  /** How downloads deal with a bad network. */
  readonly download?: (DownloaderOptions & { readonly silenceMs?: number | undefined }) | undefined
}

/** Reads and writes nothing yet. */
export function createStoreBackend(options: StoreBackendOptions): Backend {
  return new StoreBackend(options)
}

class StoreBackend implements Backend {
  readonly kind = 'store'
  readonly fetchesByDigest = true
  readonly address: string
  readonly #layout: Layout
  readonly #options: StoreBackendOptions
  #registry: DownloadClient | undefined
  #downloader: Downloader | undefined
  #hold: MutexHold | undefined
  /** Pulls under way, which use the two above. */
  #pulls = 0
  readonly #claims = new Claims()
  readonly #files = new SmallFiles()

  constructor(options: StoreBackendOptions) {
    this.address = options.folder
    this.#layout = layoutOf(options.folder)
    this.#options = options
  }

  async hold({ signal, onWait }: HoldOptions = {}): Promise<Hold> {
    await this.#prepare()
    const hold = await holdStore(this.#layout, { signal, onWait })
    this.#hold = hold
    return {
      release: async () => {
        this.#hold = undefined
        await hold.release()
      },
    }
  }

  async readState({ signal }: CallOptions = {}): Promise<ActualState> {
    assertKnownLayout(this.#layout)
    const { models, unreadable, stored } = await listModels(this.#layout, { signal, files: this.#files })
    return { serverVersion: null, models, unreadable, stored }
  }

  async show(name: string, { signal }: CallOptions = {}): Promise<ModelDetails> {
    return showStored(this.#layout, await this.#find(name, signal), { signal })
  }

  async *pull(reference: Reference, options: PullOptions): AsyncGenerator<PullProgress, undefined> {
    const { signal, insecure } = options
    const { connections, download, offline = false } = this.#options
    signal?.throwIfAborted()
    assertStorable(reference, process.platform)
    this.#pulls++
    let release = () => {}
    try {
      this.#registry ??= createRegistryClient(this.#options.registry)
      this.#downloader ??= new Downloader({ ...download, connections })
      yield { status: 'pulling manifest' }
      if (offline && options.manifest === undefined) throw notInStore(reference)
      const { text, manifest } = await manifestFor(this.#registry, reference, options)
      const owner = await this.#prepare()
      release = await this.#claims.claim(blobsOf(manifest).map(({ digest }) => digest))
      yield* pullBlobs({
        layout: this.#layout,
        registry: this.#registry,
        downloader: this.#downloader,
        reference,
        manifest,
        insecure,
        owner,
        locked: options.manifest !== undefined,
        offline,
        silenceMs: download?.silenceMs,
        signal,
      })
      yield { status: 'writing manifest' }
      await this.#publish(reference, text, owner, signal)
      yield { status: 'success' }
    } finally {
      release()
      if (--this.#pulls === 0) this.#close()
    }
  }

  async *create(
    name: string,
    request: CreateRequest,
    { signal }: CallOptions = {},
  ): AsyncGenerator<PullProgress, undefined> {
    signal?.throwIfAborted()
    const reference = parseListedName(name)
    assertStorable(reference, process.platform)
    const { from } = request
    if (from === undefined || isForServer(request))
      throw onlyServer(name, 'it is built from files, which a server converts')
    const base = await this.#findBase(name, from, signal)
    const built = await deriveInStore(this.#layout, name, base, request, { signal })
    const owner = await this.#prepare()
    const release = await this.#claims.claim(built.blobs.map(({ digest }) => digest))
    try {
      await assertTakenOver(this.#layout, name, built)
      for (const text of built.texts.values()) await publishBlob(this.#layout, encode(text), { owner, signal })
      yield { status: 'writing manifest' }
      await this.#publish(reference, built.manifestText, owner, signal)
    } finally {
      release()
    }
    yield { status: 'success' }
  }

  async upload({ digest, sizeBytes, bytes }: Upload, { signal }: CallOptions = {}): Promise<void> {
    signal?.throwIfAborted()
    const owner = await this.#prepare()
    await writeStream(this.#layout, { digest, sizeBytes, bytes }, { owner, signal })
  }

  openBlobs(): BlobLookup {
    return {
      has: async (blob, { signal } = {}) => {
        signal?.throwIfAborted()
        return seemsThere(this.#layout, blob)
      },
      close: () => {},
    }
  }

  async copy(source: string, destination: string, { signal }: CallOptions = {}): Promise<void> {
    signal?.throwIfAborted()
    const reference = parseListedName(destination)
    assertStorable(reference, process.platform)
    const model = await this.#find(source, signal)
    const owner = await this.#prepare()
    const { found: replaced } = await this.#findAll(reference, signal)
    await this.#hold?.assertHeld()
    await copyModel(this.#layout, model, reference, { owner, signal })
    await this.#removeUnnamed(replaced, signal)
  }

  async delete(name: string, { signal }: CallOptions = {}): Promise<void> {
    const model = await this.#find(name, signal)
    await this.#prepare()
    await this.#hold?.assertHeld()
    await this.#claims.removing(model, (rest) => removeModel(this.#layout, rest, { signal, files: this.#files }))
  }

  /** Blobs first, manifest last; then what only the version before had goes, as a server does it. */
  async #publish(
    reference: Reference,
    text: string,
    owner: Owner | undefined,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { found: replaced } = await this.#findAll(reference, signal)
    signal?.throwIfAborted()
    await this.#hold?.assertHeld()
    await publishManifest(this.#layout, reference, encode(text), { owner })
    await this.#removeUnnamed(replaced, undefined)
  }

  async #removeUnnamed(replaced: readonly StoredModel[], signal: AbortSignal | undefined): Promise<void> {
    for (const model of replaced)
      await this.#claims.removing(model, (rest) =>
        removeUnnamedBlobs(this.#layout, rest, { signal, files: this.#files }),
      )
  }

  async #prepare(): Promise<Owner | undefined> {
    const owner = await ownerFor(this.#layout, this.#options.owner)
    await prepare(this.#layout, owner)
    return owner
  }

  /** Two are found only where names differ in case, which a server never makes. The one that is spelled so comes first. */
  async #findAll(reference: Reference, signal: AbortSignal | undefined): Promise<Found> {
    assertKnownLayout(this.#layout)
    const { models: found, damaged } = await readManifests(this.#layout, {
      signal,
      only: reference,
      files: this.#files,
    })
    const name = formatReference(reference)
    const [unread] = damaged
    return {
      found: [...found.filter((model) => model.name === name), ...found.filter((model) => model.name !== name)],
      damaged:
        unread === undefined ? undefined : { name: unread, file: manifestFile(this.#layout, parseListedName(unread)) },
    }
  }

  /** @throws {OllamaConfigError} `model-not-found`, `store-unreadable` */
  async #find(name: string, signal: AbortSignal | undefined): Promise<StoredModel> {
    signal?.throwIfAborted()
    const model = present(await this.#findAll(parseListedName(name), signal))
    if (model !== undefined) return model
    throw new OllamaConfigError('model-not-found', `Model ${quoted(name)} is not in ${quotedPath(this.address)}`, {
      hint: 'check the name; "ollama-config plan --all" lists what is there',
    })
  }

  async #findBase(name: string, from: string, signal: AbortSignal | undefined): Promise<StoredModel> {
    const base = present(await this.#findAll(parseListedName(from), signal))
    if (base !== undefined) return base
    throw new OllamaConfigError('stale-plan', `"${name}" was not built: its base "${from}" is gone`, {
      hint: 'plan again',
    })
  }

  #close(): void {
    this.#downloader?.close()
    this.#registry?.close()
    this.#downloader = undefined
    this.#registry = undefined
  }
}

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

interface Found {
  readonly found: readonly StoredModel[]
  /** One that is there and cannot be read. */
  readonly damaged: { readonly name: string; readonly file: string } | undefined
}

/** @throws {OllamaConfigError} `store-unreadable` */
function present({ found: [model], damaged }: Found): StoredModel | undefined {
  if (model !== undefined || damaged === undefined) return model
  throw new OllamaConfigError('store-unreadable', `The manifest of ${quoted(damaged.name)} cannot be read`, {
    hint: `apply again, which fetches the model anew; or remove "${printable(damaged.file, 300)}", when nobody needs it`,
  })
}
