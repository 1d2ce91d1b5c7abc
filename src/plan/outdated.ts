/** Which declared models have moved on at their registry, and what changed in them. Pure. */
import { blobsOf, type Layer, layerWord } from '../artifact/manifest.ts'
import { compareText, formatReference, referenceKey } from '../artifact/reference.ts'
import type { ServedManifest } from '../artifact/served.ts'
import { hasContent } from './content.ts'
import { groupByKey, wholeModels } from './installed.ts'
import type { Resolution } from './resolution.ts'
import { rewritesManifests } from './server-version.ts'
import type { ActualState, DesiredModel, DesiredState, InstalledModel } from './state.ts'

export interface OutdatedModel {
  readonly reference: string
  /** Digests; `null`: not installed, not locked, not known. */
  readonly installed: string | null
  readonly locked: string | null
  /** What the tag names at its registry now. */
  readonly served: string | null
  readonly status: OutdatedStatus
  /** What the tag names differs from what is installed in these; `null` when not known. */
  readonly differences: readonly LayerDifference[] | null
  /** Bytes an update would download; `null` when not known. */
  readonly downloadBytes: number | null
  /** ISO 8601; `null` where the registry does not tell. */
  readonly pushedAt: string | null
}

export type OutdatedStatus =
  | 'current'
  | 'outdated'
  /** Only the manifest was printed otherwise: an update downloads nothing and mends it. */
  | 'same-content'
  | 'not-installed'
  | 'not-in-registry'
  /** This version of Ollama cannot have what the tag names. */
  | 'server-too-old'
  | 'unknown'

export interface LayerDifference {
  /** Such as `weights` or `template`. */
  readonly what: string
  /** Size of these layers at the registry; 0 for those that it no longer has. */
  readonly bytes: number
}

/** One entry per declared model that is pulled, cloud models left out, sorted by reference. */
export function outdatedModels(
  desired: DesiredState,
  actual: ActualState,
  resolution: Resolution,
): readonly OutdatedModel[] {
  const installed = groupByKey(wholeModels(actual.models))
  return desired.models
    .filter(
      ({ reference, recipe }) =>
        recipe === undefined &&
        !reference.cloud &&
        installed.get(referenceKey(reference))?.[0]?.remoteHost === undefined,
    )
    .map((model) => describe(model, installed.get(referenceKey(model.reference))?.[0], actual, resolution))
    .sort((a, b) => compareText(a.reference, b.reference))
}

function describe(
  { reference }: DesiredModel,
  installed: InstalledModel | undefined,
  { serverVersion }: ActualState,
  resolution: Resolution,
): OutdatedModel {
  const key = referenceKey(reference)
  const answer = resolution.answers.get(key)
  const served = answer?.kind === 'found' ? answer.served : undefined
  const base = {
    reference: formatReference(reference),
    installed: installed?.digest ?? null,
    locked: resolution.pins.get(key)?.digest ?? null,
    served: served?.digest ?? null,
    pushedAt: served?.pushedAt ?? null,
  }
  if (served === undefined) {
    const status =
      answer?.kind === 'missing' ? 'not-in-registry' : answer?.kind === 'too-new' ? 'server-too-old' : 'unknown'
    return { ...base, status, differences: null, downloadBytes: null }
  }
  if (served.digest === installed?.digest) return { ...base, status: 'current', differences: [], downloadBytes: 0 }
  const downloadBytes = bytesMissing(served, resolution)
  if (installed === undefined) return { ...base, status: 'not-installed', differences: null, downloadBytes }
  if (!hasContent(installed, served.manifest, resolution)) {
    return {
      ...base,
      status: 'outdated',
      differences: differencesFrom(installed.digest, served, resolution),
      downloadBytes,
    }
  }
  // A server that prints every manifest anew cannot be mended by pulling.
  return {
    ...base,
    status: rewritesManifests(serverVersion) ? 'current' : 'same-content',
    differences: [],
    downloadBytes,
  }
}

function bytesMissing({ manifest }: ServedManifest, { blobs }: Resolution): number | null {
  return blobsOf(manifest).reduce<number | null>((sum, { digest, sizeBytes }) => {
    const has = blobs.get(digest)
    if (sum === null || has === undefined) return null
    return has ? sum : sum + sizeBytes
  }, 0)
}

/** By the layers of both where the record or the lock knows those of the installed one, else by what the host lacks. */
function differencesFrom(
  installed: string,
  { manifest }: ServedManifest,
  { blobs, contents }: Resolution,
): readonly LayerDifference[] | null {
  const next = blobsOf(manifest)
  const known = contents.get(installed)
  if (known === undefined) {
    if (next.some(({ digest }) => !blobs.has(digest))) return null
    const missing = next.filter(({ digest }) => blobs.get(digest) === false)
    // All of it is there, but for other models.
    return missing.length === 0 ? null : grouped(missing)
  }
  const before = new Set(known.map(({ digest }) => digest))
  const after = new Set(next.map(({ digest }) => digest))
  const gone = known.filter(({ digest }) => !after.has(digest)).map((layer) => ({ ...layer, sizeBytes: 0 }))
  return grouped([...next.filter(({ digest }) => !before.has(digest)), ...gone])
}

function grouped(layers: readonly Layer[]): readonly LayerDifference[] {
  const sums = new Map<string, number>()
  for (const layer of layers) {
    const word = layerWord(layer)
    sums.set(word, (sums.get(word) ?? 0) + layer.sizeBytes)
  }
  // The config changes whenever anything does: it is news only by itself.
  if (sums.size > 1) sums.delete('config')
  return [...sums]
    .map(([what, bytes]) => ({ what, bytes }))
    .sort((a, b) => b.bytes - a.bytes || compareText(a.what, b.what))
}
