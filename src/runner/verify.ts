/** `verifyModels`: reads every byte of the models, and fetches again what is damaged. */
import { blobsOf, type Layer, layerWord } from '../artifact/manifest.ts'
import { formatReference, parseReference, type Reference, sameReference } from '../artifact/reference.ts'
import { quoted } from '../artifact/text.ts'
import type { Config } from '../config/config.ts'
import { type ErrorData, OllamaConfigError, toErrorData } from '../errors.ts'
import { formatVersion } from '../plan/plan.ts'
import type { Layout } from '../store/layout.ts'
import type { StoredModel } from '../store/manifests.ts'
import type { BlobProblem } from '../store/verify.ts'
import { type KnownConfig, type LoadedConfig, openRegistry } from './connection.ts'
import { readOwner } from './place.ts'
import { storeFolderOf } from './store-folder.ts'
import { type Survey, type SurveyOptions, survey } from './survey.ts'

export interface VerifyOptions extends SurveyOptions {
  /** Only these. Default: the declared ones. */
  readonly models?: readonly string[] | undefined
  /** Also models that are not declared. Default: false. */
  readonly all?: boolean | undefined
  /** Fetch again what is damaged. Default: false. */
  readonly repair?: boolean | undefined
  readonly onProgress?: ((checkedBytes: number, totalBytes: number) => void) | undefined
}

export interface Verification {
  readonly formatVersion: string
  readonly address: string
  /** Where the files are. */
  readonly folder: string
  /** Sorted by reference. */
  readonly models: readonly VerifiedModel[]
  /** Manifests that cannot be read. */
  readonly damagedManifests: readonly string[]
}

export interface VerifiedModel {
  readonly reference: string
  /** False for one that is declared, and not there. */
  readonly installed: boolean
  readonly sizeBytes: number
  readonly problems: readonly DamagedBlob[]
}

export interface DamagedBlob {
  readonly digest: string
  /** What it is: `weights`, `template`. */
  readonly part: string
  readonly problem: Exclude<BlobProblem, null>
  readonly repaired: boolean
  /** Why it was not repaired. */
  readonly error?: ErrorData
}

/** Whether nothing is wrong, or not any more. */
export function isSound({ models, damagedManifests }: Verification): boolean {
  const problems = models.flatMap((model) => model.problems)
  return (
    damagedManifests.length === 0 && models.every(({ installed }) => installed) && problems.every((one) => one.repaired)
  )
}

/**
 * Reads the files of the models, on a server's machine or in a store.
 *
 * @throws {OllamaConfigError} `usage` for a model that is not there, and where the files of a server cannot be read
 */
export async function verifyModels(
  config: LoadedConfig | KnownConfig | Config,
  options: VerifyOptions = {},
): Promise<Verification> {
  const { signal, onProgress, repair = false } = options
  const found = await survey(config, options)
  const folder = await storeFolderOf(found, signal)
  const [{ layoutOf }, { readManifests }, { verifyBlobs }] = await Promise.all([
    import('../store/layout.ts'),
    import('../store/manifests.ts'),
    import('../store/verify.ts'),
  ])
  const layout = layoutOf(folder)
  const { models, damaged } = await readManifests(layout, { signal })
  const wanted = wantedModels(found, models, options)
  const present = wanted.filter((one) => typeof one !== 'string')
  const problems = await verifyBlobs(layout, present, { signal, onProgress })
  const bad = [...problems].flatMap(([digest, problem]) => (problem === null ? [] : [digest]))
  const repairs = repair && bad.length > 0 ? await repairBlobs(new Set(bad), layout, models, found, options) : new Map()
  const damagedIn = (model: StoredModel): readonly DamagedBlob[] =>
    blobsOf(model.manifest).flatMap((layer) => {
      const problem = problems.get(layer.digest) ?? null
      if (problem === null) return []
      const error: ErrorData | undefined = repairs.get(layer.digest)
      const repaired = repairs.has(layer.digest) && error === undefined
      const told = { digest: layer.digest, part: layerWord(layer), problem, repaired }
      return [error === undefined ? told : { ...told, error }]
    })
  return {
    formatVersion,
    address: found.backend.address,
    folder,
    models: wanted.map((one) =>
      typeof one === 'string'
        ? { reference: one, installed: false, sizeBytes: 0, problems: [] }
        : { reference: one.name, installed: true, sizeBytes: one.sizeBytes, problems: damagedIn(one) },
    ),
    damagedManifests: damaged,
  }
}

/** The name of one that is declared and not there. */
function wantedModels(
  { desired }: Survey,
  models: readonly StoredModel[],
  { models: names, all = false }: VerifyOptions,
): readonly (StoredModel | string)[] {
  const find = (reference: Reference) => models.filter((model) => sameReference(model.reference, reference))
  const sorted = (list: readonly (StoredModel | string)[]) => {
    const nameOf = (one: StoredModel | string) => (typeof one === 'string' ? one : one.name)
    return list.toSorted((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1))
  }
  if (names !== undefined) {
    return sorted(
      names.flatMap((name) => {
        const found = find(parseReference(name))
        if (found.length > 0) return found
        throw new OllamaConfigError('usage', `${quoted(name)} is not installed`, {
          hint: '"ollama-config plan --all" lists what is',
        })
      }),
    )
  }
  if (all) return sorted(models)
  return sorted(
    desired.models.flatMap(({ reference }): readonly (StoredModel | string)[] => {
      const found = find(reference)
      return found.length > 0 || reference.cloud ? found : [formatReference(reference)]
    }),
  )
}

/** By digest: why it could not be repaired; `undefined` for what was. */
async function repairBlobs(
  bad: ReadonlySet<string>,
  layout: Layout,
  models: readonly StoredModel[],
  { desired, place, backend }: Survey,
  options: VerifyOptions,
): Promise<ReadonlyMap<string, ErrorData | undefined>> {
  const { signal, connections } = options
  const [{ bringBlob }, { Downloader }, { holdStore }, { ownerFor }] = await Promise.all([
    import('../backend/store-blob.ts'),
    import('../transfer/downloader.ts'),
    import('../store/mutex.ts'),
    import('../store/ownership.ts'),
  ])
  const owner = await ownerFor(layout, readOwner(options.owner))
  const hold = await holdStore(layout, { signal })
  const registry = await openRegistry(place, null, options)
  const downloader = new Downloader({ connections })
  const plainHosts = new Set(desired.models.filter(({ insecure }) => insecure).map(({ reference }) => reference.host))
  const repair = async (blob: Layer): Promise<ErrorData | undefined> => {
    // What is built here is in no registry; of those that were pulled, any has it.
    const sources = models.filter(
      ({ manifest, parentModel }) =>
        parentModel === null && blobsOf(manifest).some(({ digest }) => digest === blob.digest),
    )
    let problem: ErrorData = {
      code: 'registry-error',
      message: 'it belongs to a model that was built here, so that no registry has it',
      hint: `delete the model and run apply, which builds it again (${backend.address})`,
    }
    for (const { reference } of sources) {
      const insecure = plainHosts.has(reference.host)
      try {
        await bringBlob(blob, { layout, registry, downloader, reference, insecure, owner, signal })
        return undefined
      } catch (error) {
        signal?.throwIfAborted()
        problem = toErrorData(error)
      }
    }
    return problem
  }
  try {
    const blobs = new Map(models.flatMap(({ manifest }) => blobsOf(manifest).map((blob) => [blob.digest, blob])))
    const repairs = new Map<string, ErrorData | undefined>()
    for (const digest of bad) {
      const blob = blobs.get(digest)
      if (blob !== undefined) repairs.set(digest, await repair(blob))
    }
    return repairs
  } finally {
    downloader.close()
    registry.close()
    await hold.release()
  }
}
