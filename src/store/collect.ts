/**
 * Removes what nobody needs from a store: blobs that no manifest names, and what broken downloads and builds left. Only what has a
 * known name, is an hour old, and is in use by nothing that can be seen right before it goes.
 */
import type { Stats } from 'node:fs'
import { lstat, readdir, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import { compareText } from '../artifact/reference.ts'
import { allocatedBytes } from '../runtime/disk-space.ts'
import { fileSystemNow } from '../runtime/process-mutex.ts'
import { hasCode } from '../runtime/transport-error.ts'
import type { Layout } from './layout.ts'
import { digestOf, isOurs, kindOf, type LeftoverKind } from './leftover-names.ts'
import { mutexName } from './mutex.ts'
import { type NamedBlobs, readNamedBlobs } from './named-blobs.ts'
import { notReadable } from './unreadable.ts'

export interface Leftover {
  readonly kind: LeftoverKind
  /** Absolute path. */
  readonly file: string
  /** On the disk: partial files are sparse. */
  readonly allocatedBytes: number
  /** Since its content or its name last changed, in whole milliseconds; never negative. */
  readonly ageMs: number
  /** Why `collect` would leave it, as far as is known now. */
  readonly spared: Spared | null
}

type Looked = Omit<Leftover, 'spared'>

export interface Leftovers {
  /** Sorted by path. */
  readonly leftovers: readonly Leftover[]
  /** Manifests that cannot be read, for people: while there are any, nothing is collected. */
  readonly damaged: readonly string[]
}

interface SurveyOptions {
  /** Milliseconds since 1970. Default: the clock of this machine. */
  readonly now?: (() => number) | undefined
  readonly signal?: AbortSignal | undefined
}

export interface CollectOptions extends SurveyOptions {
  /** Called before each removal; what it throws ends the work. */
  readonly assertHeld?: (() => Promise<void>) | undefined
}

/** Why it is still there. `pulling`: of a server that pulls or builds, the blobs that are complete are named by no manifest yet. */
export type Spared = 'damaged-manifest' | 'named' | 'young' | 'pulling' | 'unknown' | 'in-use'

export interface Collected {
  readonly removed: readonly Leftover[]
  readonly freedBytes: number
  readonly spared: readonly { readonly leftover: Leftover; readonly reason: Spared }[]
}

/** A server spares what is younger too: it may belong to a pull or a build under way. */
const youngMs = 3_600_000

/** @throws {OllamaConfigError} `store-unreadable` */
export async function surveyLeftovers(
  layout: Layout,
  { now = Date.now, signal }: SurveyOptions = {},
): Promise<Leftovers> {
  signal?.throwIfAborted()
  // Before the manifests are read: what is published meanwhile is then no leftover.
  const found: Looked[] = []
  for (const folder of [layout.folder, layout.blobs, layout.manifests]) {
    for (const name of await namesIn(folder)) {
      signal?.throwIfAborted()
      const file = path.join(folder, name)
      const looked = await look(layout, file, now())
      if (looked !== undefined) found.push(looked)
    }
  }
  const named = await readNamed(layout, signal)
  const isPulling = found.some((one) => isWorkOfServer(one, named.digests))
  const leftovers = found
    .filter(({ kind, file }) => kind !== 'blob' || !named.digests.has(digestOf(file)))
    .map(
      (one) => ({ ...one, spared: named.damaged.length > 0 ? 'damaged-manifest' : sparedFor(one, isPulling) }) as const,
    )
  return { leftovers: leftovers.sort((a, b) => compareText(a.file, b.file)), damaged: named.damaged }
}

/**
 * Nobody else of ours may work in the store meanwhile: the caller holds the mutex. A server may run: whatever a manifest of its names,
 * or it touched in the last hour, stays.
 */
export async function collect(
  layout: Layout,
  leftovers: readonly Leftover[],
  { now = Date.now, signal, assertHeld }: CollectOptions = {},
): Promise<Collected> {
  signal?.throwIfAborted()
  // A file server whose clock is slow gives new files an old time.
  const slowMs = Math.max(0, Date.now() - (await fileSystemNow(path.join(layout.folder, mutexName))))
  const removed: Leftover[] = []
  const spared: { leftover: Leftover; reason: Spared }[] = []
  for (const leftover of leftovers) {
    await assertHeld?.()
    signal?.throwIfAborted()
    const found = await look(layout, leftover.file, now() - slowMs)
    if (found === undefined) {
      // Unless somebody else was quicker.
      if (await isThere(leftover.file)) spared.push({ leftover, reason: 'unknown' })
      continue
    }
    const reason = await reasonToSpare(layout, found, now() - slowMs, signal)
    if (reason !== null) {
      spared.push({ leftover, reason })
      continue
    }
    try {
      // Of a link, the link; in a folder, too.
      await rm(found.file, { recursive: found.kind === 'folder' })
      removed.push({ ...found, spared: null })
    } catch (error) {
      if (!hasCode(error) || error.code !== 'ENOENT') spared.push({ leftover, reason: 'in-use' })
    }
  }
  return { removed, freedBytes: removed.reduce((sum, leftover) => sum + leftover.allocatedBytes, 0), spared }
}

/** Asked right before: what nobody named a moment ago may be named by now. */
async function reasonToSpare(
  layout: Layout,
  found: Looked,
  nowMs: number,
  signal: AbortSignal | undefined,
): Promise<Spared | null> {
  const { digests, damaged } = await readNamed(layout, signal)
  const reason = sparedFor(found, found.kind === 'blob' && (await isServerAtWork(layout, nowMs, digests)))
  if (reason !== null) return reason
  if (damaged.length > 0) return 'damaged-manifest'
  return found.kind === 'blob' && digests.has(digestOf(found.file)) ? 'named' : null
}

function sparedFor(found: Looked, isPulling: boolean): 'young' | 'pulling' | null {
  if (isYoung(found)) return 'young'
  return found.kind === 'blob' && isPulling ? 'pulling' : null
}

function isYoung({ ageMs }: Looked): boolean {
  return ageMs < youngMs
}

/**
 * Its pull may take hours, and writes its manifest last: what it has fetched by then is old, and named by nobody. Between two blobs, and
 * while it verifies them, it has nothing unfinished: the last one that it fetched is the sign.
 *
 * @param named Digests of the blobs that manifests name
 */
function isWorkOfServer(found: Looked, named: ReadonlySet<string>): boolean {
  if (!isYoung(found)) return false
  return found.kind === 'blob' ? !named.has(digestOf(found.file)) : !isOurs(found.file)
}

async function isServerAtWork(layout: Layout, nowMs: number, named: ReadonlySet<string>): Promise<boolean> {
  for (const folder of [layout.blobs, layout.folder]) {
    for (const name of await namesIn(folder)) {
      const found = await look(layout, path.join(folder, name), nowMs)
      if (found !== undefined && isWorkOfServer(found, named)) return true
    }
  }
  return false
}

async function readNamed(layout: Layout, signal: AbortSignal | undefined): Promise<NamedBlobs> {
  const named = await readNamedBlobs(layout, { signal })
  const folder = await stat(layout.manifests).catch(() => undefined)
  // Without it every blob would seem to be in nobody's use: rather it is on a disk that is not there now.
  const isLost = folder === undefined && (await hasBlobs(layout))
  return isLost ? { ...named, damaged: ['manifests', ...named.damaged] } : named
}

async function hasBlobs(layout: Layout): Promise<boolean> {
  return (await namesIn(layout.blobs)).some((name) => kindOf(layout, path.join(layout.blobs, name)) === 'blob')
}

/** What is known of it now; `undefined` for what is not there or not ours to judge. */
async function look(layout: Layout, file: string, nowMs: number): Promise<Looked | undefined> {
  const kind = kindOf(layout, file)
  const found = kind === undefined ? undefined : await lstat(file).catch(() => undefined)
  if (kind === undefined || found === undefined) return undefined
  if (kind === 'folder' ? !found.isDirectory() : !found.isFile() && !found.isSymbolicLink()) return undefined
  const own = kind === 'folder' ? [found, ...(await statsBelow(file))] : [found]
  const all = kind === 'partial' ? [found, ...(await statsOfParts(file))] : own
  const changedMs = all.reduce((latest, { mtimeMs, ctimeMs }) => Math.max(latest, mtimeMs, ctimeMs), 0)
  return {
    kind,
    file,
    allocatedBytes: own.reduce((sum, stats) => sum + allocatedBytes(stats), 0),
    ageMs: Math.max(0, Math.floor(nowMs - changedMs)),
  }
}

/**
 * Of the other files of the same download: a server writes those of its parts only now and then, and the download fails when one
 * of them is gone at its end.
 */
async function statsOfParts(file: string): Promise<readonly Stats[]> {
  const folder = path.dirname(file)
  const blob = path.basename(file).slice(0, 'sha256-'.length + 64)
  const names = (await namesIn(folder)).filter((name) => name.startsWith(blob) && name !== blob)
  const stats = await Promise.all(names.map((name) => lstat(path.join(folder, name)).catch(() => undefined)))
  return stats.filter((found) => found !== undefined)
}

async function isThere(file: string): Promise<boolean> {
  return lstat(file).then(
    () => true,
    () => false,
  )
}

/** Of everything in a folder; links are not followed. */
async function statsBelow(folder: string): Promise<readonly Stats[]> {
  const stats: Stats[] = []
  for (const name of await readdir(folder).catch(() => [])) {
    const file = path.join(folder, name)
    const found = await lstat(file).catch(() => undefined)
    if (found !== undefined) stats.push(found, ...(found.isDirectory() ? await statsBelow(file) : []))
  }
  return stats
}

async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (hasCode(error) && error.code === 'ENOENT') return []
    throw notReadable(folder, error)
  }
}
