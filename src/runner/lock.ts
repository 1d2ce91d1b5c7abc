/** `lockModels`: writes the lock file, which pins what was tested. */
import { blobsOf, shortDigest } from '../artifact/manifest.ts'
import { compareText, formatReference, referenceKey } from '../artifact/reference.ts'
import type { ManifestAnswer, ServedManifest } from '../artifact/served.ts'
import type { Config } from '../config/config.ts'
import { type Diagnostic, OllamaConfigError } from '../errors.ts'
import { hasContent } from '../plan/content.ts'
import type { DesiredModel, InstalledModel } from '../plan/state.ts'
import { isLockedPull, type Lock, type LockedModel } from '../record/lock.ts'
import type { RegistryClient } from '../registry/registry.ts'
import { createFileReader } from '../resolution/inputs.ts'
import { sharedSignal } from '../runtime/abortable.ts'
import { type LoadedConfig, openRegistry, type ReadyOptions } from './connection.ts'
import { keysOf, longRegistryBudgetMs, patientHint } from './plan.ts'
import { lockPathOf, type Survey, survey } from './survey.ts'

export interface LockModelsOptions extends ReadyOptions {
  /** Only these; the others keep their entries. Default: every declared model, and entries of others are dropped. */
  readonly models?: readonly string[] | undefined
  /** `host`: pins what is installed, else what the registry serves. `registry`: pins what the tags name now. Default: `host`. */
  readonly from?: 'host' | 'registry' | undefined
}

export interface LockResult {
  /** Absolute path. */
  readonly file: string
  readonly lock: Lock
  /** What the file says differently now. Sorted. */
  readonly changes: readonly LockChange[]
  /** Errors are models that could not be pinned; they keep the entry they had. */
  readonly diagnostics: readonly Diagnostic[]
}

export interface LockChange {
  readonly reference: string
  readonly kind: 'added' | 'changed' | 'removed'
  /** Digests; `null`: no entry, or one of a model that is built and of which none is known. */
  readonly before: string | null
  readonly after: string | null
}

type Pinned = { readonly entry: LockedModel; readonly note?: Diagnostic } | { readonly problem: Diagnostic }

/**
 * Writes `ollama.lock.json` beside the config.
 *
 * @throws {OllamaConfigError} `usage` for a config that is in no file or a model that is not declared, `lock-invalid`,
 * `file-not-written`, and what the host answers
 */
export async function lockModels(config: LoadedConfig | Config, options: LockModelsOptions = {}): Promise<LockResult> {
  const file = lockPathOf(config)
  if (file === undefined)
    throw new OllamaConfigError('usage', 'A config that is in no file has no lock file', {
      hint: 'load it with loadConfig',
    })
  const found = await survey(config, options)
  const { desired, diagnostics: notes } = found
  const chosen = options.models === undefined ? undefined : keysOf(options.models, desired)
  const models = desired.models.filter(
    ({ reference }) => !reference.cloud && (chosen?.has(referenceKey(reference)) ?? true),
  )
  const pulled = await pinAll(
    models.filter(({ recipe }) => recipe === undefined),
    found,
    options,
  )
  const pinned = new Map([...pulled, ...(await pinBuilds(models, pulled, found, options))])
  const results = [...pinned.values()]
  const diagnostics = results.flatMap((result) => ('problem' in result ? [result.problem] : (result.note ?? [])))
  const { changeLock } = await import('../record/lock-file.ts')
  let lock: Lock = { models: {} }
  const { before = { models: {} } } = await changeLock(file, (now = { models: {} }) => {
    lock = merged(now, pinned, chosen !== undefined)
    return lock
  })
  return { file, lock, changes: changesBetween(before, lock), diagnostics: [...notes, ...diagnostics] }
}

/** What could not be pinned keeps the entry it has; what was not looked at does so only where `others` stay. */
function merged(now: Lock, pinned: ReadonlyMap<string, Pinned>, others: boolean): Lock {
  const spellings = new Map(Object.keys(now.models).map((name) => [name.toLowerCase(), name]))
  const entries = new Map(others ? Object.entries(now.models) : [])
  for (const [name, result] of pinned) {
    const spelling = spellings.get(name.toLowerCase()) ?? name
    const old = now.models[spelling]
    entries.delete(spelling)
    const entry = 'entry' in result ? result.entry : old
    if (entry !== undefined) entries.set(name, entry)
  }
  return { models: Object.fromEntries(entries) }
}

/** Models that are built: what is pinned is how, and of which base. An alias is what it is a name of. */
async function pinBuilds(
  models: readonly DesiredModel[],
  pulled: ReadonlyMap<string, Pinned>,
  { desired, actual, lock, recalled }: Survey,
  { from, signal }: LockModelsOptions,
): Promise<ReadonlyMap<string, Pinned>> {
  if (models.every(({ recipe }) => recipe?.kind !== 'build')) return new Map()
  const { declarationHashes } = await import('../resolution/declaration-hash.ts')
  const declarations = await declarationHashes(desired, createFileReader(recalled.inputs, signal))
  const installed = new Map(actual.models.map((model) => [referenceKey(model.reference), model.digest]))
  const entries = entriesOf(lock)
  return new Map(
    models.flatMap(({ reference, recipe, path }): readonly (readonly [string, Pinned])[] => {
      if (recipe?.kind !== 'build') return []
      const name = formatReference(reference)
      const declaration = declarations.get(referenceKey(reference)) ?? ''
      const old = entries.get(name.toLowerCase())
      const digest = digestOfDeclaration(installed.get(referenceKey(reference)) ?? null, declaration, old)
      if (recipe.from === null) return [[name, { entry: { digest, declaration, base: null } }]]
      const base = formatReference(recipe.from)
      const pin = pulled.get(base)
      const installedBase = installed.get(referenceKey(recipe.from))
      const pinnedBase = (pin !== undefined && 'entry' in pin ? pin.entry : entries.get(base.toLowerCase()))?.digest
      const baseDigest = from === 'registry' ? (pinnedBase ?? installedBase) : (installedBase ?? pinnedBase)
      if (baseDigest != null) {
        // What is installed was built of the base that is installed.
        const built = installedBase === undefined || installedBase === baseDigest ? digest : null
        return [[name, { entry: { digest: built, declaration, base: { reference: base, digest: baseDigest } } }]]
      }
      const problem: Diagnostic = {
        severity: 'error',
        code: 'not-locked',
        reference: name,
        path,
        message: `"${name}" cannot be locked: the version of its base "${base}" is not known`,
        hint: 'run "ollama-config apply" first',
      }
      return [[name, { problem }]]
    }),
  )
}

async function pinAll(
  models: readonly DesiredModel[],
  found: Survey,
  options: LockModelsOptions,
): Promise<ReadonlyMap<string, Pinned>> {
  const { place, actual } = found
  const installed = new Map(actual.models.map((model) => [referenceKey(model.reference), model]))
  const over = AbortSignal.timeout(longRegistryBudgetMs)
  const signal = sharedSignal(options.signal, over)
  const entries = entriesOf(found.lock)
  const registry = await openRegistry(place, actual.serverVersion, options)
  try {
    const pinned = models.map(async (model): Promise<readonly [string, Pinned]> => {
      const present = options.from === 'registry' ? undefined : installed.get(referenceKey(model.reference))
      const pinning = new Pinning(model, registry, found, entries, signal)
      const name = formatReference(model.reference)
      try {
        return [name, present === undefined ? await pinning.served() : await pinning.installed(present)]
      } catch (error) {
        if (!over.aborted || options.signal?.aborted) throw error
        const problem = `${model.reference.host} was not asked within ${longRegistryBudgetMs / 1000} s`
        return [name, { problem: cannotPin(model, { kind: 'unknown', problem, hint: patientHint }, found) }]
      }
    })
    return new Map(await Promise.all(pinned))
  } finally {
    registry.close()
  }
}

/** Pins one model. */
class Pinning {
  readonly #model: DesiredModel
  readonly #registry: RegistryClient
  readonly #survey: Survey
  readonly #entries: Entries
  readonly #signal: AbortSignal

  constructor(model: DesiredModel, registry: RegistryClient, found: Survey, entries: Entries, signal: AbortSignal) {
    this.#model = model
    this.#registry = registry
    this.#survey = found
    this.#entries = entries
    this.#signal = signal
  }

  /** What the tag names now. */
  async served(): Promise<Pinned> {
    const answer = await this.#ask()
    return answer.kind === 'found'
      ? { entry: await this.#entry(answer.served) }
      : { problem: cannotPin(this.#model, answer, this.#survey) }
  }

  /** The version that is installed, with its layers where they can be had: from the lock, the tag, or by its digest. */
  async installed(model: InstalledModel): Promise<Pinned> {
    const { digest } = model
    const old = this.#entries.get(formatReference(this.#model.reference).toLowerCase())
    if (old !== undefined && !('base' in old) && old.digest === digest && old.layers !== null) return { entry: old }
    const answer = await this.#ask()
    if (answer.kind === 'found') {
      if (answer.served.digest === digest) return { entry: await this.#entry(answer.served) }
      if (await this.#isSameContent(model, answer.served)) return this.#rewritten(answer.served, digest)
    }
    const byDigest = await this.#ask(digest)
    if (byDigest.kind === 'found') return { entry: await this.#entry(byDigest.served) }
    return { entry: { digest, registry: this.#model.reference.host, config: null, layers: null } }
  }

  /** Nobody else could pull the digest that is listed here. */
  async #rewritten(served: ServedManifest, digest: string): Promise<Pinned> {
    const name = formatReference(this.#model.reference)
    return {
      entry: await this.#entry(served),
      note: {
        severity: 'warning',
        code: 'manifest-rewritten',
        message: `"${name}" is installed as ${shortDigest(digest)}, which is the content that the registry serves as ${shortDigest(served.digest)}: that is locked`,
        hint: `"ollama-config apply" pulls it once more, which downloads nothing and makes the two equal`,
      },
    }
  }

  async #isSameContent(installed: InstalledModel, { manifest }: ServedManifest): Promise<boolean> {
    const { backend, recalled } = this.#survey
    const blobs = new Map<string, boolean>()
    const lookup = backend.openBlobs()
    try {
      for (const blob of recalled.contents.has(installed.digest) ? [] : blobsOf(manifest)) {
        const has = await lookup.has(blob, { signal: this.#signal })
        if (!has) return false
        blobs.set(blob.digest, has)
      }
    } finally {
      lookup.close()
    }
    return hasContent(installed, manifest, { blobs, contents: recalled.contents })
  }

  #ask(digest?: string): Promise<ManifestAnswer> {
    const { reference, insecure } = this.#model
    return this.#registry.manifest({ reference, insecure, digest, signal: this.#signal })
  }

  async #entry({ digest, manifest, text }: ServedManifest): Promise<LockedModel> {
    const { lockedPull } = await import('../record/lock-file.ts')
    return lockedPull({ registry: this.#model.reference.host, digest, manifest, text })
  }
}

function cannotPin({ reference, path }: DesiredModel, answer: ManifestAnswer, { place }: Survey): Diagnostic {
  const why =
    'problem' in answer
      ? answer.problem
      : answer.kind === 'too-new'
        ? `it needs a newer Ollama${place.kind === 'host' ? ' than the server has' : ''}`
        : 'the registry has no such model or tag'
  const hint = 'hint' in answer ? answer.hint : 'check the name and the tag'
  return {
    severity: 'error',
    code: 'not-locked',
    reference: formatReference(reference),
    path,
    message: `"${formatReference(reference)}" cannot be locked: ${why}`,
    hint,
  }
}

/** Its digest informs of one declaration only: that of what is installed may be of an earlier one, until an apply says otherwise. */
function digestOfDeclaration(digest: string | null, declaration: string, old: LockedModel | undefined): string | null {
  if (old === undefined || isLockedPull(old)) return digest
  const isEarlier = old.declaration === declaration ? old.digest === null : old.digest === digest
  return isEarlier ? null : digest
}

/** By name, whatever its case: names in a lock file and in a config may differ in it. */
type Entries = ReadonlyMap<string, LockedModel>

function entriesOf(lock: Lock | undefined): Entries {
  return new Map(Object.entries(lock?.models ?? {}).map(([name, entry]) => [name.toLowerCase(), entry]))
}

function changesBetween(before: Lock, after: Lock): readonly LockChange[] {
  const names = [...new Set([...Object.keys(before.models), ...Object.keys(after.models)])].sort(compareText)
  const said = (entry: LockedModel | undefined) =>
    // Of a model that is built declaration and base bind, more than its digest.
    entry === undefined || isLockedPull(entry) ? entry?.digest : JSON.stringify(entry)
  return names
    .filter((reference) => said(before.models[reference]) !== said(after.models[reference]))
    .map((reference) => ({
      reference,
      kind:
        before.models[reference] === undefined
          ? 'added'
          : after.models[reference] === undefined
            ? 'removed'
            : 'changed',
      before: before.models[reference]?.digest ?? null,
      after: after.models[reference]?.digest ?? null,
    }))
}
