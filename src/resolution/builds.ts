/** Looks at the declared models that are built: what their declarations would make of their bases, and what there is instead. */
import { type Derived, isPredictable, type ModelContent, predictDerived } from '../artifact/derived.ts'
import { formatReference, referenceKey } from '../artifact/reference.ts'
import type { ManifestAnswer } from '../artifact/served.ts'
import type { Backend, BlobId, BlobLookup, ModelDetails } from '../backend/backend.ts'
import { type Judge, judgeModels, sourceOf } from '../plan/declared-models.ts'
import { differencesOf } from '../plan/differences.ts'
import { groupByKey, wholeModels } from '../plan/installed.ts'
import { digestBefore, isAsRecorded, isMoved } from '../plan/made.ts'
import type { Change, PlannedFile } from '../plan/plan.ts'
import type { BuildFindings, Intent, Resolution } from '../plan/resolution.ts'
import { buildsOtherwise } from '../plan/server-version.ts'
import type { ActualState, Build, DesiredModel, DesiredState, InstalledModel, LocalFile } from '../plan/state.ts'
import type { RegistryClient } from '../registry/registry.ts'
import { sharedSignal } from '../runtime/abortable.ts'
import { sha256 } from '../runtime/sha256.ts'
import { Turns } from '../runtime/turns.ts'
import { contentOf, maxBytes } from './content.ts'
import { hashOfBuild } from './declaration-hash.ts'
import type { FileReader } from './inputs.ts'

export interface ResolveBuildsOptions {
  readonly desired: DesiredState
  readonly actual: ActualState
  /** What is known of the models that are pulled. */
  readonly resolution: Resolution
  readonly intent: Intent
  readonly backend: Backend
  /** The server's files are those of this machine. */
  readonly local: boolean
  readonly readFile: FileReader
  /** Called at most once, when there is something to ask. */
  readonly openRegistry: () => Promise<RegistryClient>
  /** Longest time for all registries together, in milliseconds. */
  readonly budgetMs: number
  readonly signal?: AbortSignal | undefined
}

/**
 * By `referenceKey`. A model that is as the last apply left it costs no request.
 *
 * @throws {OllamaConfigError} `config-invalid` for a file that cannot be read, and what the host answers
 */
export async function resolveBuilds(options: ResolveBuildsOptions): Promise<ReadonlyMap<string, BuildFindings>> {
  const survey = new BuildSurvey(options)
  try {
    await Promise.all(options.desired.models.map((model) => survey.settle(model)))
    return survey.builds
  } finally {
    survey.close()
  }
}

/** A server reads files for each. */
const showsAtOnce = 8

class BuildSurvey {
  readonly builds = new Map<string, BuildFindings>()
  readonly #options: ResolveBuildsOptions
  /** Sees `builds` as they come in. */
  readonly #resolution: Resolution
  readonly #judge: Judge
  readonly #declared: ReadonlyMap<string, DesiredModel>
  readonly #installed: ReadonlyMap<string, readonly InstalledModel[]>
  readonly #settled = new Map<string, Promise<Change>>()
  readonly #predicted = new Map<string, Promise<Derived | null>>()
  readonly #contents = new Map<string, Promise<ModelContent | null>>()
  readonly #shown = new Map<string, Promise<ModelDetails | null>>()
  readonly #turns = new Turns(showsAtOnce)
  readonly #over = new AbortController()
  #inTime: AbortSignal | undefined
  #registry: Promise<RegistryClient> | undefined
  #blobs: BlobLookup | undefined

  constructor(options: ResolveBuildsOptions) {
    const { desired, actual, resolution, intent } = options
    this.#options = options
    this.#resolution = { ...resolution, builds: this.builds }
    const { serverVersion, models } = actual
    this.#judge = judgeModels(desired, { serverVersion, installed: groupByKey(models) }, intent)
    this.#declared = new Map(desired.models.map((model) => [referenceKey(model.reference), model]))
    this.#installed = groupByKey(wholeModels(models))
  }

  close(): void {
    this.#over.abort()
    this.#blobs?.close()
    this.#registry?.then((registry) => registry.close()).catch(() => {})
  }

  /** What becomes of a model, once everything is known that this depends on. */
  settle(model: DesiredModel): Promise<Change> {
    const key = referenceKey(model.reference)
    const settling = this.#settled.get(key) ?? this.#settleOnce(key, model)
    this.#settled.set(key, settling)
    return settling
  }

  async #settleOnce(key: string, model: DesiredModel): Promise<Change> {
    const source = this.#source(model)
    const change = source === undefined ? undefined : await this.settle(source)
    if (model.recipe?.kind === 'build') this.builds.set(key, await this.#find(key, model, model.recipe, change))
    return this.#judge(model, this.#resolution)
  }

  #source(model: DesiredModel): DesiredModel | undefined {
    const reference = sourceOf(model)
    return reference === undefined ? undefined : this.#declared.get(referenceKey(reference))
  }

  #installedSource(model: DesiredModel): InstalledModel | undefined {
    const source = this.#source(model)
    return source === undefined ? undefined : this.#installed.get(referenceKey(source.reference))?.[0]
  }

  async #find(key: string, model: DesiredModel, build: Build, source: Change | undefined): Promise<BuildFindings> {
    const [readFiles, readAdapters] = await Promise.all([this.#readAll(build.files), this.#readAll(build.adapters)])
    const declaration = hashOfBuild(build, readFiles, readAdapters)
    const installed = this.#installed.get(key)?.[0]
    const moved = source !== undefined && isMoved(source, this.#resolution)
    const isKnown =
      installed !== undefined && isAsRecorded(installed, source, this.#resolution.recorded.get(key), declaration)
    const unasked = { files: readFiles, adapters: readAdapters }
    const none = { declaration, ...unasked, predicted: null, differences: null, hidden: false, inherited: [] }
    if (isKnown && build.cleared.length === 0) return none
    const inherited = await this.#inherited(model, build)
    if (isKnown) return { ...none, inherited }
    const [files, adapters] = await Promise.all([this.#locateAll(readFiles), this.#locateAll(readAdapters)])
    // Nobody waits for a registry only to foresee what a first build gives.
    const predicted = await this.#predict(model, build, adapters, installed !== undefined)
    const isDone = installed === undefined || predicted?.digest === installed.digest
    const differences = isDone ? null : await this.#compare(installed, model, build, { files, adapters }, moved)
    return { declaration, files, adapters, predicted, differences, hidden: hasHidden(build), inherited }
  }

  #readAll(files: readonly LocalFile[]): Promise<readonly PlannedFile[]> {
    return Promise.all(files.map(async (file) => ({ ...file, ...(await this.#options.readFile(file)), onHost: null })))
  }

  #locateAll(files: readonly PlannedFile[]): Promise<readonly PlannedFile[]> {
    return Promise.all(files.map(async (file) => ({ ...file, onHost: await this.#onHost(file) })))
  }

  async #onHost(blob: BlobId): Promise<boolean | null> {
    const { backend, signal } = this.#options
    this.#blobs ??= backend.openBlobs()
    return this.#blobs.has(blob, { signal }).catch(() => {
      signal?.throwIfAborted()
      return null
    })
  }

  /** @param mayAsk A registry, for what nobody else tells of the base */
  #predict(
    model: DesiredModel,
    build: Build,
    adapters: readonly PlannedFile[],
    mayAsk: boolean,
  ): Promise<Derived | null> {
    const key = `${referenceKey(model.reference)} ${mayAsk}`
    const predicting = this.#predicted.get(key) ?? this.#predictOnce(model, build, adapters, mayAsk)
    this.#predicted.set(key, predicting)
    return predicting
  }

  async #predictOnce(
    model: DesiredModel,
    build: Build,
    adapters: readonly PlannedFile[],
    mayAsk: boolean,
  ): Promise<Derived | null> {
    const source = this.#source(model)
    if (source === undefined || build.quantize !== null || buildsOtherwise(this.#options.actual.serverVersion))
      return null
    const content = await this.#contentAfter(source, mayAsk)
    if (content === null || !isPredictable(content)) return null
    // The spelling in which it is installed, as it will be sent.
    const baseName = this.#installed.get(referenceKey(source.reference))?.[0]?.name ?? formatReference(source.reference)
    return predictDerived(content, baseName, { ...build, adapters }, sha256)
  }

  /** What a model is made of after this plan. */
  #contentAfter(model: DesiredModel, mayAsk: boolean): Promise<ModelContent | null> {
    const key = referenceKey(model.reference)
    const memo = `${key} ${mayAsk}`
    const looking = this.#contents.get(memo) ?? this.#lookInto(key, model, mayAsk)
    this.#contents.set(memo, looking)
    return looking
  }

  async #lookInto(key: string, model: DesiredModel, mayAsk: boolean): Promise<ModelContent | null> {
    const change = await this.settle(model)
    const { recipe } = model
    const source = this.#source(model)
    if (recipe?.kind === 'alias') return source === undefined ? null : this.#contentAfter(source, mayAsk)
    const installed = this.#installed.get(key)?.[0]
    const staying = digestBefore(change) !== null && installed !== undefined ? installed : undefined
    if (recipe?.kind === 'build') {
      const predicted = await this.#predict(model, recipe, this.builds.get(key)?.adapters ?? [], mayAsk)
      if (predicted !== null && (staying === undefined || staying.digest === predicted.digest)) return predicted.content
    }
    return staying === undefined ? null : this.#read(staying, model, mayAsk)
  }

  async #read(
    model: InstalledModel,
    { reference, insecure }: DesiredModel,
    mayAsk: boolean,
  ): Promise<ModelContent | null> {
    const shown = await this.#show(model)
    if (shown === null) return null
    const asked = <T>(ask: (registry: RegistryClient, signal: AbortSignal) => Promise<T | null>): Promise<T | null> =>
      mayAsk ? this.#askRegistry(ask) : Promise.resolve(null)
    return contentOf({
      model,
      shown,
      known: this.#resolution.contents.get(model.digest),
      local: this.#options.local,
      ask: {
        manifest: (digest) =>
          asked(async (registry, signal) => {
            const answer: ManifestAnswer = await registry.manifest({ reference, insecure, signal })
            return answer.kind === 'found' && answer.served.digest === digest ? answer.served.manifest : null
          }),
        blob: (digest) => asked((registry, signal) => registry.blob({ reference, insecure, digest, maxBytes, signal })),
      },
    })
  }

  /** `null` when offline, and when the time is over. */
  async #askRegistry<T>(ask: (registry: RegistryClient, signal: AbortSignal) => Promise<T | null>): Promise<T | null> {
    const { openRegistry, signal, budgetMs } = this.#options
    if (this.#resolution.offline) return null
    this.#registry ??= openRegistry()
    // From the first question on: before it, weights may have been read for a minute.
    this.#inTime ??= sharedSignal(signal, this.#over.signal, AbortSignal.timeout(budgetMs))
    const inTime = this.#inTime
    try {
      return await ask(await this.#registry, inTime)
    } catch (error) {
      if (inTime.aborted && !signal?.aborted) return null
      throw error
    }
  }

  async #compare(
    installed: InstalledModel,
    model: DesiredModel,
    build: Build,
    files: Parameters<typeof differencesOf>[3],
    moved: boolean,
  ): Promise<BuildFindings['differences']> {
    const base = this.#installedSource(model)
    const [shown, shownBase] = await Promise.all([
      this.#show(installed),
      // What it will be is not there yet.
      base === undefined || moved ? null : this.#show(base),
    ])
    if (shown === null) return null
    // Without its base only a part can be compared, which is no proof that the rest is equal.
    const differences = differencesOf(shown, shownBase, build, files)
    return shownBase === null && build.from !== null && differences.length === 0 ? null : differences
  }

  async #inherited(model: DesiredModel, build: Build): Promise<readonly string[]> {
    const base = this.#installedSource(model)
    const shown = build.cleared.length === 0 || base === undefined ? null : await this.#show(base)
    if (shown === null) return []
    const has: Readonly<Record<string, boolean>> = {
      system: shown.system !== null,
      template: shown.templateSection !== '' && shown.templateSection !== 'TEMPLATE {{ .Prompt }}',
      messages: shown.messages.length > 0,
      license: shown.license !== null,
    }
    return build.cleared.filter((field) => has[field] === true)
  }

  /** `null` when the server does not tell, as of a model with a missing part. */
  #show({ name }: InstalledModel): Promise<ModelDetails | null> {
    const { backend, signal } = this.#options
    const showing =
      this.#shown.get(name) ??
      this.#turns
        .run(() => backend.show(name, { signal }))
        .catch(() => {
          signal?.throwIfAborted()
          return null
        })
    this.#shown.set(name, showing)
    return showing
  }
}

/** What a server does not tell of messages. */
function hasHidden({ messages }: Build): boolean {
  return messages.some(({ thinking, images, tool_calls: calls, tool_name: tool, tool_call_id: id }) =>
    [thinking, images, calls, tool, id].some((part) => part !== undefined),
  )
}
