/** A host, or a store, in memory: the smallest thing that fulfils the backend contract, for tests of what stands above it. */
import { createHash } from 'node:crypto'
import { formatReference, parseListedName, type Reference, referenceKey } from '../../src/artifact/reference.ts'
import type {
  Backend,
  BlobId,
  BlobLookup,
  CallOptions,
  CreateRequest,
  Hold,
  HoldOptions,
  ModelDetails,
  PullOptions,
  PullProgress,
  Upload,
} from '../../src/backend/backend.ts'
import { OllamaConfigError } from '../../src/errors.ts'
import type { ActualState, InstalledModel } from '../../src/plan/state.ts'

function sha256(text: string): string {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`
}

export function installedModel(name: string, facts: Partial<InstalledModel> = {}): InstalledModel {
  const digest = sha256(name.toLowerCase())
  return { name, reference: parseListedName(name), digest, sizeBytes: 1000, ...facts }
}

/** What is told of a model, where nothing else is said. */
export function shownModel(facts: Partial<ModelDetails> = {}): ModelDetails {
  return {
    capabilities: ['completion'],
    family: 'llama',
    format: 'gguf',
    parameterSize: '1B',
    quantization: 'Q4_0',
    weightsFile: null,
    weights: [],
    adapters: [],
    templateSection: 'TEMPLATE {{ .Prompt }}',
    renderer: null,
    parser: null,
    requires: null,
    system: null,
    license: null,
    messages: [],
    parameters: {},
    modelInfo: {},
    ...facts,
  }
}

export class MemoryBackend implements Backend {
  readonly kind: 'host' | 'store'
  readonly address: string
  readonly fetchesByDigest: boolean
  /** What was done, in order: `pull x:latest`, `delete x:latest`. */
  readonly done: string[] = []
  /** Called before each step, so that a test can fail it, or change the world at that moment. */
  before: (step: string) => void | Promise<void> = () => {}
  lines: readonly PullProgress[] = [{ status: 'pulling manifest' }, { status: 'success' }]
  /** Names that no registry has. */
  readonly unavailable = new Set<string>()
  /** What a pull brings, where it is not made up from the name. */
  readonly served = new Map<string, string>()
  readonly blobs = new Set<string>()
  /** Manifests of pulls that were to bring exactly one. */
  readonly manifests = new Map<string, string>()
  /** Who has the place when it is to be held; it is free as soon as somebody waited. */
  holder: string | undefined
  held = false
  readonly #models = new Map<string, InstalledModel>()

  constructor(models: readonly (string | InstalledModel)[] = [], kind: 'host' | 'store' = 'host') {
    this.kind = kind
    this.address = kind === 'host' ? 'http://127.0.0.1:11434' : '/srv/models'
    this.fetchesByDigest = kind === 'store'
    for (const model of models) this.install(model)
  }

  install(model: string | InstalledModel): void {
    const entry = typeof model === 'string' ? installedModel(model) : model
    this.#models.set(referenceKey(entry.reference), entry)
  }

  uninstall(name: string): void {
    this.#models.delete(referenceKey(parseListedName(name)))
  }

  async hold({ signal, onWait }: HoldOptions = {}): Promise<Hold> {
    signal?.throwIfAborted()
    if (this.kind === 'store') await this.before('hold')
    if (this.holder !== undefined) onWait?.(this.holder)
    this.held = true
    return {
      release: async () => {
        this.held = false
      },
    }
  }

  async readState({ signal }: CallOptions = {}): Promise<ActualState> {
    signal?.throwIfAborted()
    await this.before('list')
    return { serverVersion: this.kind === 'host' ? '0.33.0' : null, models: [...this.#models.values()], unreadable: [] }
  }

  async show(name: string, { signal }: CallOptions = {}): Promise<ModelDetails> {
    signal?.throwIfAborted()
    await this.before(`show ${name}`)
    this.#find(name)
    return shownModel()
  }

  openBlobs(): BlobLookup {
    const has = async ({ digest }: BlobId, { signal }: CallOptions = {}) => {
      signal?.throwIfAborted()
      await this.before(`blob ${digest}`)
      return this.blobs.has(digest)
    }
    return { has, close: () => {} }
  }

  async copy(source: string, destination: string, { signal }: CallOptions = {}): Promise<void> {
    signal?.throwIfAborted()
    await this.before(`copy ${source} ${destination}`)
    this.done.push(`copy ${source} ${destination}`)
    const { name: _, reference: __, ...facts } = this.#find(source)
    this.install(installedModel(destination, facts))
  }

  async *pull(reference: Reference, { signal, manifest }: PullOptions): AsyncGenerator<PullProgress> {
    const name = formatReference(reference)
    for (const line of this.lines) {
      signal?.throwIfAborted()
      yield line
    }
    signal?.throwIfAborted()
    await this.before(`pull ${name}`)
    signal?.throwIfAborted()
    if (this.unavailable.has(name) && manifest === undefined)
      throw new OllamaConfigError('model-not-found', `No registry has "${name}"`)
    this.done.push(`pull ${name}`)
    if (manifest !== undefined) this.manifests.set(name, manifest)
    const digest = manifest === undefined ? this.served.get(name) : sha256(manifest)
    this.install(digest === undefined ? name : installedModel(name, { digest }))
  }

  async *create(name: string, request: CreateRequest, { signal }: CallOptions = {}): AsyncGenerator<PullProgress> {
    signal?.throwIfAborted()
    await this.before(`create ${name}`)
    if (request.from !== undefined) this.#find(request.from)
    yield { status: 'writing manifest' }
    this.done.push(`create ${name}`)
    const made = JSON.stringify([name, request])
    this.install(installedModel(name, { digest: sha256(made) }))
  }

  async upload({ digest, bytes }: Upload, { signal }: CallOptions = {}): Promise<void> {
    signal?.throwIfAborted()
    await this.before(`upload ${digest}`)
    for await (const _ of bytes) signal?.throwIfAborted()
    this.done.push(`upload ${digest}`)
    this.blobs.add(digest)
  }

  async delete(name: string, { signal }: CallOptions = {}): Promise<void> {
    signal?.throwIfAborted()
    await this.before(`delete ${name}`)
    this.#find(name)
    this.done.push(`delete ${name}`)
    this.uninstall(name)
  }

  #find(name: string): InstalledModel {
    const model = this.#models.get(referenceKey(parseListedName(name)))
    if (model !== undefined) return model
    throw new OllamaConfigError('model-not-found', `Model "${name}" is not installed`)
  }
}
