/** Carries out `verifyModels`. Imported only by it: what reads files and hashes them is not for other commands. */
import { blobsOf, type Layer, layerWord } from '../artifact/manifest.ts'
import {
  compareText,
  formatReference,
  parseListedName,
  parseReference,
  type Reference,
  referenceKey,
} from '../artifact/reference.ts'
import { quoted, quotedPath } from '../artifact/text.ts'
import { showStored } from '../backend/store-shown.ts'
import { type ErrorData, OllamaConfigError, toErrorData } from '../errors.ts'
import { formatVersion } from '../plan/plan.ts'
import type { DesiredState } from '../plan/state.ts'
import { surveyLeftovers } from '../store/collect.ts'
import { type Layout, manifestFile } from '../store/layout.ts'
import { readManifests, type StoredManifests, type StoredModel } from '../store/manifests.ts'
import { holdStore } from '../store/mutex.ts'
import { blobKey, type CheckedBlob, verifyBlobs } from '../store/verify.ts'
import { suggest } from '../suggest.ts'
import type { KnownConfig } from './connection.ts'
import { keysOf } from './plan.ts'
import { locateFiles } from './store-folder.ts'
import type { DamagedPart, Verification, VerifiedModel, VerifyModelsOptions } from './verify.ts'

/** One that is not there, or of which nobody knows what it is made of, has a problem instead of a manifest. */
type Wanted = StoredModel | { readonly name: string; readonly problem: 'missing' | 'unreadable' }

/** As `verifyModels` says. */
export async function verifyFiles(known: KnownConfig, options: VerifyModelsOptions): Promise<Verification> {
  const { signal, onProgress, onBusy, repair = false } = options
  const { desired } = known
  if (options.models !== undefined && !options.all) keysOf(options.models, desired)
  const files = await locateFiles(known, options)
  const { address, layout } = files
  const read = (models: readonly Pick<StoredModel, 'manifest'>[]) =>
    verifyBlobs(layout, models, {
      signal,
      onProgress: (completedBytes, totalBytes) => onProgress?.({ phase: 'reading', completedBytes, totalBytes }),
    })
  let wanted = choose(await readManifests(layout, { signal }), desired, options)
  const checked = new Map((await read(wanted.filter(isStored))).map((blob) => [blobKey(blob), blob]))
  const failures = new Map<string, ErrorData>()
  const repaired = new Set<string>()
  if (damagedBlobs(wanted, checked).length > 0) {
    const hold = repair ? await holdStore(layout, { signal, onWait: onBusy, command: 'verify --repair' }) : undefined
    try {
      // Models may have been replaced and removed while they were read.
      const stored = await readManifests(layout, { signal })
      const before = new Set(wanted.filter(isStored).map(identityOf))
      wanted = choose(stored, desired, options)
      const changed = wanted.filter(isStored).filter((model) => !before.has(identityOf(model)))
      for (const blob of await read(changed)) checked.set(blobKey(blob), blob)
      const damaged = damagedBlobs(wanted, checked)
      if (hold !== undefined && damaged.length > 0) {
        const { repairBlobs } = await import('./repair.ts')
        const onFetch = (completedBytes: number, totalBytes: number) =>
          onProgress?.({ phase: 'fetching', completedBytes, totalBytes })
        const failed = await repairBlobs(damaged, stored.models, desired, files, { ...options, onFetch })
        for (const [key, error] of failed) failures.set(key, error)
        // What was fetched is read once more, from the disk.
        for (const blob of await read([{ manifest: { config: null, layers: damaged } }]))
          if (blob.state === 'sound') repaired.add(blobKey(blob))
      }
    } finally {
      await hold?.release()
    }
  }
  const declared = new Set(desired.models.map(({ reference }) => referenceKey(reference)))
  const results = wanted.map((model) => resultOf(model, { layout, declared, checked, repaired, failures }))
  const models: VerifiedModel[] = []
  // One after the other: each is a few reads, after all of its bytes.
  for (const [index, result] of results.entries()) {
    const problem = result.status === 'damaged' ? undefined : await loadProblem(wanted[index], layout, signal)
    models.push(problem === undefined ? result : { ...result, status: 'damaged', damage: [...result.damage, problem] })
  }
  const { leftovers } = await surveyLeftovers(layout, { signal })
  return { formatVersion, address, folder: layout.folder, models, leftovers }
}

/** @throws {OllamaConfigError} `usage` for a name that is meant by nothing */
function choose(
  { models, damaged }: StoredManifests,
  desired: DesiredState,
  options: VerifyModelsOptions,
): readonly Wanted[] {
  const there = new Map<string, Wanted>(models.map((model) => [referenceKey(model.reference), model]))
  for (const name of damaged) there.set(referenceKey(parseListedName(name)), { name, problem: 'unreadable' })
  const find = (reference: Reference): Wanted =>
    there.get(referenceKey(reference)) ?? { name: formatReference(reference), problem: 'missing' }
  const declared = desired.models.map(({ reference }) => reference)
  const all = new Map(declared.map((reference) => [referenceKey(reference), find(reference)]))
  if (options.all) for (const [key, model] of there) all.set(key, model)
  const chosen = options.models?.map((name) => {
    const model = all.get(referenceKey(parseReference(name)))
    if (model !== undefined) return model
    // Whoever leaves out the tag has no letter of it wrong.
    const known = [...all.values()].flatMap((one) => [one.name, one.name.replace(/:latest$/, '')])
    const near = suggest(name, known)
    throw new OllamaConfigError('usage', `${quoted(name)} is neither declared nor installed`, {
      hint: near === undefined ? '"ollama-config plan --all" lists what is' : `did you mean ${quoted(near)}?`,
    })
  })
  return [...new Set(chosen ?? all.values())].sort((a, b) => compareText(a.name, b.name))
}

function isStored(model: Wanted): model is StoredModel {
  return !('problem' in model)
}

function identityOf({ name, digest }: StoredModel): string {
  return `${name} ${digest}`
}

function damagedBlobs(wanted: readonly Wanted[], checked: ReadonlyMap<string, CheckedBlob>): readonly Layer[] {
  const blobs = wanted.filter(isStored).flatMap(({ manifest }) => blobsOf(manifest))
  const damaged = blobs.filter((blob) => checked.get(blobKey(blob))?.state !== 'sound')
  return [...new Map(damaged.map((blob) => [blobKey(blob), blob])).values()]
}

interface Results {
  readonly layout: Layout
  /** By `referenceKey`. */
  readonly declared: ReadonlySet<string>
  readonly checked: ReadonlyMap<string, CheckedBlob>
  readonly repaired: ReadonlySet<string>
  readonly failures: ReadonlyMap<string, ErrorData>
}

function resultOf(model: Wanted, { layout, declared, checked, repaired, failures }: Results): VerifiedModel {
  const reference = parseListedName(model.name)
  const isDeclared = declared.has(referenceKey(reference))
  if (!isStored(model)) {
    const { name, problem } = model
    const nothing = { reference: name, declared: isDeclared, digest: null, sizeBytes: null }
    if (problem === 'missing') return { ...nothing, status: 'missing', damage: [] }
    const error = lostManifest(name, manifestFile(layout, reference), isDeclared)
    const part = { what: 'manifest', digest: null, found: '', repaired: false, error }
    return { ...nothing, status: 'damaged', damage: [{ ...part, problem }] }
  }
  const damage = blobsOf(model.manifest).flatMap((layer): readonly DamagedPart[] => {
    const key = blobKey(layer)
    const blob = checked.get(key)
    if (blob === undefined || blob.state === 'sound') return []
    const { state: problem, digest, found } = blob
    const isRepaired = repaired.has(key)
    const error = isRepaired ? null : (failures.get(key) ?? null)
    return [{ what: layerWord(layer), digest, problem, found, repaired: isRepaired, error }]
  })
  const status = damage.length === 0 ? 'sound' : damage.every((part) => part.repaired) ? 'repaired' : 'damaged'
  const { name, digest, sizeBytes } = model
  return { reference: name, status, declared: isDeclared, digest, sizeBytes, damage }
}

/** Of what is sound byte for byte: a registry may serve anything. What was removed meanwhile, or cannot be read now, was sound. */
async function loadProblem(
  model: Wanted | undefined,
  layout: Layout,
  signal: AbortSignal | undefined,
): Promise<DamagedPart | undefined> {
  if (model === undefined || !isStored(model)) return undefined
  try {
    await showStored(layout, model, { signal })
    return undefined
  } catch (error) {
    signal?.throwIfAborted()
    const { code, message } = toErrorData(error)
    if (code !== 'invalid-response' && code !== 'model-not-found') return undefined
    const { models } = await readManifests(layout, { only: model.reference, signal })
    if (!models.some((stored) => identityOf(stored) === identityOf(model))) return undefined
    const hint = 'its bytes are those of its registry: declare another tag, or tell whoever published it'
    return {
      what: 'model',
      digest: null,
      problem: 'no-model',
      found: '',
      repaired: false,
      error: { code, message, hint },
    }
  }
}

/** Without it nobody knows which version it was: apply decides anew. */
function lostManifest(name: string, file: string, isDeclared: boolean): ErrorData {
  return {
    code: 'store-unreadable',
    message: `The manifest of "${name}" cannot be read, so that nothing is known of its parts`,
    hint: isDeclared
      ? '"ollama-config apply" writes it again'
      : `declare the model and apply, or remove ${quotedPath(file)}`,
  }
}
