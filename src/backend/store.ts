/** A model directory as a backend: no server is needed, and one may run on it. */
import { stat } from 'node:fs/promises'
import { isPredictable, predictDerived } from '../artifact/derived.ts'
import { imageType } from '../artifact/manifest.ts'
import { readConfigFields, readJsonRecord, readWeights } from '../artifact/model-content.ts'
import { parseListedName, type Reference, sameReference } from '../artifact/reference.ts'
import { quoted } from '../artifact/text.ts'
import { OllamaConfigError } from '../errors.ts'
import type { ActualState } from '../plan/state.ts'
import { createRegistryClient, type RegistryClientOptions } from '../registry/client.ts'
import type { DownloadClient } from '../registry/registry.ts'
import { sha256 } from '../runtime/sha256.ts'
import { assertKnownLayout, assertStorable, blobFile, type Layout, layoutOf } from '../store/layout.ts'
import { readManifests, type StoredModel } from '../store/manifests.ts'
import { listModels, readSmallBlob } from '../store/models.ts'
import { holdStore, type StoreHold } from '../store/mutex.ts'
import { type Owner, ownerFor } from '../store/ownership.ts'
import { prepare, publishBlob, publishManifest, writeStream } from '../store/publish.ts'
import { copyModel, removeModel, removeUnnamedBlobs } from '../store/remove.ts'
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
import { manifestFor, pullBlobs } from './store-pull.ts'
import { showStored } from './store-shown.ts'

export interface StoreBackendOptions {
  /** Absolute path of the model directory; need not be there yet. */
  readonly folder: string
  /** Who shall own what is written. Default: of root, who owns the folder; else nobody else. */
  readonly owner?: Owner | undefined
  /** Of all downloads together. Default: 4. */
  readonly connections?: number | undefined
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
  #hold: StoreHold | undefined
  /** Pulls under way, which use the two above. */
  #pulls = 0

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
    const { models, unreadable } = await listModels(this.#layout, { signal })
    return { serverVersion: null, models, unreadable }
  }

  async show(name: string, { signal }: CallOptions = {}): Promise<ModelDetails> {
    return showStored(this.#layout, await this.#find(name, signal), { signal })
  }

  async *pull(reference: Reference, options: PullOptions): AsyncGenerator<PullProgress, undefined> {
    const { signal, insecure } = options
    const { connections, download } = this.#options
    signal?.throwIfAborted()
    assertStorable(reference, process.platform)
    this.#pulls++
    try {
      this.#registry ??= createRegistryClient(this.#options.registry)
      this.#downloader ??= new Downloader({ ...download, connections })
      yield { status: 'pulling manifest' }
      const { text, manifest } = await manifestFor(this.#registry, reference, options)
      const owner = await this.#prepare()
      yield* pullBlobs({
        layout: this.#layout,
        registry: this.#registry,
        downloader: this.#downloader,
        reference,
        manifest,
        insecure,
        owner,
        locked: options.manifest !== undefined,
        silenceMs: download?.silenceMs,
        signal,
      })
      yield { status: 'writing manifest' }
      await this.#publish(reference, text, owner, signal)
      yield { status: 'success' }
    } finally {
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
    if (request.from === undefined || request.quantize !== undefined)
      throw onlyServer(name, 'it is built from files, which a server converts')
    const base = await this.#findBase(name, request.from, signal)
    const owner = await this.#prepare()
    const content = await this.#contentOf(base, signal)
    if (content === undefined || !isPredictable(content))
      throw onlyServer(name, `what a server would make of its base "${request.from}" cannot be foreseen`)
    const adapters = await Promise.all(
      Object.entries(request.adapters ?? {}).map(async ([file, digest]) => ({
        name: file,
        digest,
        sizeBytes: (await stat(blobFile(this.#layout, digest))).size,
      })),
    )
    const { license, messages = [], parameters = {}, system, template, renderer, parser, requires } = request
    const built = predictDerived(
      content,
      base.name,
      {
        system: system ?? null,
        template: template ?? null,
        parameters,
        messages,
        licenses: license ?? [],
        renderer: renderer ?? null,
        parser: parser ?? null,
        requires: requires ?? null,
        adapters,
      },
      sha256,
    )
    for (const text of built.texts.values()) await publishBlob(this.#layout, encode(text), { owner, signal })
    yield { status: 'writing manifest' }
    await this.#publish(reference, built.manifestText, owner, signal)
    yield { status: 'success' }
  }

  async upload({ digest, sizeBytes, bytes }: Upload, { signal }: CallOptions = {}): Promise<void> {
    signal?.throwIfAborted()
    const owner = await this.#prepare()
    await writeStream(this.#layout, { digest, sizeBytes, bytes }, { owner, signal })
  }

  openBlobs(): BlobLookup {
    return {
      has: async (digest, { signal } = {}) => {
        signal?.throwIfAborted()
        const found = await stat(blobFile(this.#layout, digest)).catch(() => undefined)
        return found?.isFile() === true
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
    const replaced = await this.#findAll(reference, signal)
    await this.#hold?.assertHeld()
    await copyModel(this.#layout, model, reference, { owner, signal })
    await this.#removeUnnamed(replaced, signal)
  }

  async delete(name: string, { signal }: CallOptions = {}): Promise<void> {
    const model = await this.#find(name, signal)
    await this.#prepare()
    await this.#hold?.assertHeld()
    await removeModel(this.#layout, model, { signal })
  }

  /** Blobs first, manifest last; then what only the version before had goes, as a server does it. */
  async #publish(
    reference: Reference,
    text: string,
    owner: Owner | undefined,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const replaced = await this.#findAll(reference, signal)
    signal?.throwIfAborted()
    await this.#hold?.assertHeld()
    await publishManifest(this.#layout, reference, encode(text), { owner })
    await this.#removeUnnamed(replaced, undefined)
  }

  async #removeUnnamed(replaced: readonly StoredModel[], signal: AbortSignal | undefined): Promise<void> {
    for (const model of replaced) await removeUnnamedBlobs(this.#layout, model, { signal })
  }

  async #prepare(): Promise<Owner | undefined> {
    const owner = await ownerFor(this.#layout, this.#options.owner)
    await prepare(this.#layout, owner)
    return owner
  }

  async #findAll(reference: Reference, signal: AbortSignal | undefined): Promise<readonly StoredModel[]> {
    const { models } = await readManifests(this.#layout, { signal })
    return models.filter((model) => sameReference(model.reference, reference))
  }

  /** @throws {OllamaConfigError} `model-not-found` */
  async #find(name: string, signal: AbortSignal | undefined): Promise<StoredModel> {
    signal?.throwIfAborted()
    const [model] = await this.#findAll(parseListedName(name), signal)
    if (model !== undefined) return model
    throw new OllamaConfigError('model-not-found', `Model ${quoted(name)} is not in ${quoted(this.address)}`, {
      hint: 'check the name; "ollama-config plan --all" lists what is there',
    })
  }

  async #findBase(name: string, from: string, signal: AbortSignal | undefined): Promise<StoredModel> {
    const [base] = await this.#findAll(parseListedName(from), signal)
    if (base !== undefined) return base
    throw new OllamaConfigError('stale-plan', `"${name}" was not built: its base "${from}" is gone`, {
      hint: 'plan again',
    })
  }

  async #contentOf(base: StoredModel, signal: AbortSignal | undefined) {
    const { config, layers } = base.manifest
    if (config === null) return undefined
    const params = layers.filter(({ mediaType }) => mediaType === imageType('params'))
    const [configText, ...paramTexts] = await Promise.all(
      [config, ...params].map(({ digest }) => readSmallBlob(this.#layout, digest, { signal })),
    )
    const fields = readConfigFields(configText)
    const parameters = paramTexts.map(readJsonRecord)
    if (fields === undefined || parameters.includes(undefined)) return undefined
    const { modelInfo } = await showStored(this.#layout, base, { signal })
    return {
      layers,
      config: fields,
      parameters: params.length === 0 ? null : Object.assign({}, ...parameters.toReversed()),
      weights: readWeights(modelInfo),
    }
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

function onlyServer(name: string, why: string): OllamaConfigError {
  return new OllamaConfigError('build-failed', `"${name}" cannot be built without a server: ${why}`, {
    hint: 'apply it on an Ollama server (without --store)',
  })
}
