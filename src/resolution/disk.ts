/** Whether the downloads of a plan fit on the disk, where the host or the store is on this machine. */
import { existsSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { formatBytes } from '../artifact/bytes.ts'
import { blobsOf } from '../artifact/manifest.ts'
import { printable } from '../artifact/text.ts'
import type { Backend } from '../backend/backend.ts'
import { modelFolderOf } from '../backend/model-folder.ts'
import type { Diagnostic } from '../errors.ts'
import { type Change, type DeleteChange, isFetch } from '../plan/plan.ts'
import type { ActualState } from '../plan/state.ts'
import { sharedSignal } from '../runtime/abortable.ts'
import { allocatedBytes, freeBytes } from '../runtime/disk-space.ts'
import { holdsModels } from '../store/holds-models.ts'
import { blobFile, layoutOf, partialFile } from '../store/layout.ts'

export interface DiskOptions {
  readonly changes: readonly Change[]
  readonly actual: ActualState
  readonly backend: Backend
  /** The folder of a store, which need not be there yet. */
  readonly folder?: string | undefined
  /** Folders that a server on this machine may use, the likeliest first, for when it does not tell. */
  readonly candidates: readonly string[]
  readonly signal?: AbortSignal | undefined
}

/** It only says where to look. */
const showWithinMs = 5000

interface ModelFolder {
  readonly folder: string
  /** The server named it, and it is there; else a guess. */
  readonly told: boolean
}

/**
 * A problem when the disk is too small, an error where the folder is known for sure. Bytes that a deletion of the same run
 * would free never count: deletions come last.
 */
export async function diskProblem(options: DiskOptions): Promise<Diagnostic | undefined> {
  const { changes } = options
  const needed = changes.reduce((sum, change) => sum + (isFetch(change) ? (change.downloadBytes ?? 0) : 0), 0)
  if (needed === 0) return undefined
  const found = await modelFolder(options)
  if (found === undefined) return undefined
  const { folder, told } = found
  const free = await freeBytes(folder)
  if (free === undefined) return undefined
  const missing = needed - (told ? await partialBytes(options, folder) : 0) - free
  if (missing <= 0) return undefined
  // The path may be one of another machine, behind a tunnel, or of a container, and be here by accident.
  const holds = told ? await holdsWhatIsListed(options, folder) : 'unknown'
  if (holds === 'no') return undefined
  const sure = holds === 'yes'
  return {
    severity: sure ? 'error' : 'warning',
    code: 'disk-space',
    message: `The downloads need ${formatBytes(needed)}, but ${sure ? '' : 'where Ollama seems to keep its models '}only ${formatBytes(free)} are free (${printable(folder, 200)})`,
    hint: roomHint(options, missing),
  }
}

async function modelFolder({
  actual,
  backend,
  folder,
  candidates,
  signal,
}: DiskOptions): Promise<ModelFolder | undefined> {
  if (folder !== undefined) return { folder, told: true }
  const soon = sharedSignal(signal, AbortSignal.timeout(showWithinMs))
  const told = await modelFolderOf(backend, actual, { signal: soon }).catch((error: unknown) => {
    if (signal?.aborted) throw error
    return undefined
  })
  if (told !== undefined) return existsSync(told) ? { folder: told, told: true } : undefined
  const guess = candidates.find((folder) => existsSync(folder))
  return guess === undefined ? undefined : { folder: guess, told: false }
}

async function holdsWhatIsListed(
  { folder: store, actual, signal }: DiskOptions,
  folder: string,
): Promise<'yes' | 'no' | 'unknown'> {
  if (store !== undefined) return 'yes'
  const listed = actual.models.filter(({ remoteHost }) => remoteHost === undefined)
  try {
    return (await holdsModels(layoutOf(folder), listed, { signal })) ? 'yes' : 'no'
  } catch {
    signal?.throwIfAborted()
    return 'unknown'
  }
}

/**
 * What unfinished downloads already take: the server, or our own download into a store, goes on from there. Their size is the full one
 * from the start, so blocks count.
 */
async function partialBytes({ changes, folder: store }: DiskOptions, folder: string): Promise<number> {
  const layout = layoutOf(folder)
  const missing = new Map(
    changes
      .flatMap((change) => (isFetch(change) && change.manifest !== null ? blobsOf(change.manifest) : []))
      .filter(({ onHost }) => onHost === false)
      .map(({ digest, sizeBytes }) => [digest, sizeBytes]),
  )
  let sum = 0
  for (const [digest, sizeBytes] of missing) {
    const blob = blobFile(layout, digest)
    // A server has another name for what it fetches of models in tensor files.
    const files = store === undefined ? [`${blob}-partial`, `${blob}.tmp`] : [partialFile(layout, digest)]
    for (const file of files) sum += Math.min(sizeBytes, await stat(file).then(allocatedBytes, () => 0))
  }
  return sum
}

function roomHint({ changes, folder }: DiskOptions, missingBytes: number): string {
  const deletions = changes.filter(
    (change): change is DeleteChange => change.action === 'delete' && !change.irreplaceable,
  )
  const enough =
    deletions.reduce((sum, { freedBytes, nominalBytes }) => sum + (freedBytes ?? nominalBytes), 0) >= missingBytes
  // Without a server there is no command that only deletes.
  if (!enough || deletions.length === 0 || folder !== undefined)
    return `free ${formatBytes(missingBytes)} there, or declare fewer models`
  // Not "apply --prune": that downloads first.
  return `what is not in the config may free enough when it is deleted first: ollama rm ${deletions.map(({ reference }) => reference).join(' ')}`
}
