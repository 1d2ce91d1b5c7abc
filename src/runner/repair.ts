/**
 * Brings damaged blobs of a store back: each from the declaration that it was made of, or from the registry of a model that names it.
 * Imported only when one is damaged.
 */
import { blobsOf, type Layer, shortDigest } from '../artifact/manifest.ts'
import { parseListedName, type Reference, referenceKey } from '../artifact/reference.ts'
import { quotedPath } from '../artifact/text.ts'
import { bringBlob } from '../backend/store-blob.ts'
import { type ErrorData, OllamaConfigError, toErrorData } from '../errors.ts'
import type { DesiredModel, DesiredState } from '../plan/state.ts'
import { createRegistryClient } from '../registry/client.ts'
import { sharedSignal } from '../runtime/abortable.ts'
import { Turns } from '../runtime/turns.ts'
import type { StoredModel } from '../store/manifests.ts'
import { ownerFor } from '../store/ownership.ts'
import { prepare } from '../store/publish.ts'
import { blobKey } from '../store/verify.ts'
import { Downloader } from '../transfer/downloader.ts'
import { BlobGoneError } from '../transfer/problems.ts'
import { type ConnectOptions, registryOptions } from './connection.ts'
import { type Place, readOwner } from './place.ts'
import { remakeBlobs } from './remake.ts'
import type { ModelFiles } from './store-folder.ts'

export interface RepairOptions extends ConnectOptions {
  readonly onFetch?: ((completedBytes: number, totalBytes: number) => void) | undefined
}

/** Small ones wait for their registry more than they transfer. */
const blobsAtOnce = 4

/**
 * The caller has the mutex.
 *
 * @param stored Every model in the store: any of them may tell where a blob comes from
 * @returns By `blobKey`, why it could not be brought
 */
export async function repairBlobs(
  blobs: readonly Layer[],
  stored: readonly StoredModel[],
  desired: DesiredState,
  { layout, place, serverVersion }: ModelFiles,
  options: RepairOptions,
): Promise<ReadonlyMap<string, ErrorData>> {
  const owner = await ownerFor(layout, readOwner(options.owner))
  await prepare(layout, owner)
  const signal = sharedSignal(options.signal)
  const remake = (parts: readonly Layer[]) => remakeBlobs(parts, { stored, desired, layout, owner, signal })
  // What can be built here needs no network.
  const built = await remake(blobs)
  const wanted = blobs.filter(({ digest }) => !built.has(digest))
  const registry = createRegistryClient(registryOptions(place, serverVersion, options))
  const downloader = new Downloader({ connections: options.connections })
  const turns = new Turns(blobsAtOnce)
  const totalBytes = wanted.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  const fetched = new Map<string, number>()
  const failures = new Map<string, ErrorData>()
  const repair = async (blob: Layer) => {
    const onProgress = (bytes: number) => {
      fetched.set(blobKey(blob), bytes)
      options.onFetch?.(
        [...fetched.values()].reduce((sum, one) => sum + one, 0),
        totalBytes,
      )
    }
    const origins = originsOf(blob, stored, desired)
    let failure: unknown
    for (const reference of origins) {
      const insecure = declaredAs(reference, desired)?.insecure === true
      try {
        await bringBlob(blob, { layout, registry, downloader, reference, insecure, owner, signal, onProgress })
        return
      } catch (error) {
        signal.throwIfAborted()
        // That it is elsewhere than here says more than that it is not there.
        if (failure === undefined || !(error instanceof BlobGoneError)) failure = error
      }
    }
    const isGone = failure === undefined || failure instanceof BlobGoneError
    failures.set(blobKey(blob), toErrorData(isGone ? onlyHere(blob, stored, desired, place) : failure))
  }
  try {
    const ended = await Promise.allSettled(wanted.map((blob) => turns.run(() => repair(blob))))
    const failed = ended.find((result) => result.status === 'rejected')
    if (failed !== undefined) throw failed.reason
    const left = wanted.filter((blob) => failures.has(blobKey(blob)))
    // Again, now that its base may be there.
    const remade = left.length === 0 ? new Set() : await remake(left)
    for (const blob of left) if (remade.has(blob.digest)) failures.delete(blobKey(blob))
    return failures
  } finally {
    downloader.close()
    registry.close()
  }
}

/** The registries that may have it: of what was pulled its own one, of what was made here that of its base. */
function originsOf(blob: Layer, stored: readonly StoredModel[], desired: DesiredState): readonly Reference[] {
  const origins = new Map<string, Reference>()
  const seen = new Set<string>()
  const add = (reference: Reference): void => {
    const key = referenceKey(reference)
    if (seen.has(key) || reference.cloud) return
    seen.add(key)
    const base = baseOf(reference, stored, desired)
    if (base === undefined) origins.set(key, reference)
    else if (base !== null) add(base)
  }
  for (const { reference } of namersOf(blob, stored)) add(reference)
  return [...origins.values()]
}

/** `null`: made here, and not from another model; `undefined`: as far as is known it was pulled. */
function baseOf(
  reference: Reference,
  stored: readonly StoredModel[],
  desired: DesiredState,
): Reference | null | undefined {
  const recipe = declaredAs(reference, desired)?.recipe
  if (recipe !== undefined) return recipe.kind === 'alias' ? recipe.of : recipe.from
  const key = referenceKey(reference)
  const parent = stored.find((model) => referenceKey(model.reference) === key)?.parentModel ?? null
  if (parent === null) return undefined
  try {
    return parseListedName(parent)
  } catch {
    // Anything may be written there.
    return null
  }
}

function declaredAs(reference: Reference, { models }: DesiredState): DesiredModel | undefined {
  const key = referenceKey(reference)
  return models.find((model) => referenceKey(model.reference) === key)
}

function namersOf({ digest }: Layer, stored: readonly StoredModel[]): readonly StoredModel[] {
  return stored.filter(({ manifest }) => blobsOf(manifest).some((blob) => blob.digest === digest))
}

function onlyHere(blob: Layer, stored: readonly StoredModel[], desired: DesiredState, place: Place): OllamaConfigError {
  const part = shortDigest(blob.digest)
  const namers = namersOf(blob, stored)
  const pulled = namers.filter(({ reference }) => baseOf(reference, stored, desired) === undefined)
  const [made] = namers
  if (made !== undefined && pulled.length === 0) {
    const remove = place.kind === 'host' ? `"ollama rm ${made.name}"` : `remove ${quotedPath(made.file)}`
    const isDeclared = namers.some(({ reference }) => declaredAs(reference, desired) !== undefined)
    const then = isDeclared
      ? 'then "ollama-config apply" builds it again'
      : 'since no config here tells how it was built'
    return new OllamaConfigError(
      'model-not-found',
      `"${made.name}" was built here, so that no registry has its part ${part}`,
      { hint: `${remove}, ${then}` },
    )
  }
  const names = pulled.map(({ name }) => name)
  const declared = names.filter((name) => declaredAs(parseListedName(name), desired) !== undefined)
  // Of what no config declares "update" knows nothing.
  const next =
    declared.length > 0
      ? `"ollama-config update ${declared.join(' ')}"`
      : place.kind === 'host'
        ? `"ollama pull ${names[0] ?? ''}"`
        : 'declare it, and apply'
  return new OllamaConfigError(
    'registry-error',
    `The part ${part} of ${names.join(', ')} is not in its registry any more`,
    {
      hint: `copy the file from a machine that has it, or take what the tag names now: ${next}`,
    },
  )
}
