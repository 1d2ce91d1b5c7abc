/** Whether the downloads of a plan fit on the disk, where the host or the store is on this machine. */
import { existsSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import path from 'node:path'
import { formatBytes } from '../artifact/bytes.ts'
import { blobsOf } from '../artifact/manifest.ts'
import { printable } from '../artifact/text.ts'
import type { Backend } from '../backend/backend.ts'
import type { Diagnostic } from '../errors.ts'
import { type Change, type DeleteChange, isFetch } from '../plan/plan.ts'
import type { ActualState } from '../plan/state.ts'
import { sharedSignal } from '../runtime/abortable.ts'
import { freeBytes } from '../runtime/disk-space.ts'
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
  /** The server itself named a file in it that is there; else a guess. */
  readonly sure: boolean
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
  const { folder, sure } = found
  const free = await freeBytes(folder)
  if (free === undefined) return undefined
  const missing = needed - (sure ? await partialBytes(options, folder) : 0) - free
  if (missing <= 0) return undefined
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
  if (folder !== undefined) return { folder, sure: true }
  const local = actual.models.find(({ remoteHost, sizeBytes }) => remoteHost === undefined && sizeBytes > 0)
  if (local !== undefined) {
    const soon = sharedSignal(signal, AbortSignal.timeout(showWithinMs))
    const { weightsFile } = await backend.show(local.name, { signal: soon }).catch((error: unknown) => {
      if (signal?.aborted) throw error
      return { weightsFile: null }
    })
    // A server in a container names a path that is not here, though its address is.
    if (weightsFile !== null)
      return existsSync(weightsFile) ? { folder: path.dirname(path.dirname(weightsFile)), sure: true } : undefined
  }
  const guess = candidates.find((folder) => existsSync(folder))
  return guess === undefined ? undefined : { folder: guess, sure: false }
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
    const file = store === undefined ? `${blobFile(layout, digest)}-partial` : partialFile(layout, digest)
    const blocks = await stat(file).then(
      (found) => found.blocks,
      () => 0,
    )
    sum += Math.min(sizeBytes, blocks * 512)
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
