/** Files that are either the old ones or the new ones, never half of one. */
import {
  chmod,
  type FileHandle,
  lstat,
  mkdir,
  open,
  readFile,
  readlink,
  realpath,
  rename,
  rm,
  stat,
} from 'node:fs/promises'
import path from 'node:path'
import { printable, quotedPath } from '../artifact/text.ts'
import { isNotPermitted, OllamaConfigError } from '../errors.ts'
import { hasCode } from './transport-error.ts'

export interface WriteOptions {
  /** Of a new file; an existing one keeps its own. Default: 0o644, less the umask. */
  readonly mode?: number
}

/**
 * Writes a text file by way of a temporary one beside it. A symbolic link stays one: what it leads to is written.
 *
 * @throws {OllamaConfigError} `file-not-written`; the old content is then still there
 */
export async function writeFileAtomically(
  file: string,
  text: string,
  { mode = 0o644 }: WriteOptions = {},
): Promise<void> {
  try {
    const target = await targetOf(file)
    const existing = await stat(target).catch(ifMissing)
    if (existing !== undefined && !existing.isFile()) throw new Error('there is something else than a file')
    const kept = existing === undefined ? undefined : existing.mode & 0o777
    const temporary = await writeTemporary(path.dirname(target), text, kept ?? mode)
    try {
      // The umask may have taken from it.
      if (kept !== undefined) await chmod(temporary, kept)
      await rename(temporary, target)
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => {})
      throw error
    }
    await syncFolder(path.dirname(target))
  } catch (error) {
    throw notWritten(file, error)
  }
}

/**
 * Tries whether a file that is there could be written, by writing as much beside it: what its new content tells of may take hours.
 *
 * @throws {OllamaConfigError} `file-not-written`
 */
export async function assertReplaceable(file: string): Promise<void> {
  try {
    const target = await targetOf(file)
    const temporary = await writeTemporary(path.dirname(target), await readFile(target, 'utf8'), 0o600)
    await rm(temporary)
  } catch (error) {
    throw notWritten(file, error)
  }
}

/** What the path leads to over links, also where the last of them leads to a file that is not there yet. */
async function targetOf(file: string): Promise<string> {
  const target = await realpath(file).catch(ifMissing)
  if (target !== undefined) return target
  const link = await readlink(file).catch(() => undefined)
  // Links that go in a circle have failed above.
  return link === undefined ? file : targetOf(path.resolve(await realpath(path.dirname(file)), link))
}

/** Only what is not there counts as that: a mistake here would replace what cannot be seen. */
export function ifMissing(error: unknown): undefined {
  if (!hasCode(error) || error.code !== 'ENOENT') throw error
}

/** Writes a new file under a name of its own, down to the disk, and returns its path. It is gone again when that fails. */
export async function writeTemporary(folder: string, text: string, mode: number): Promise<string> {
  const file = path.join(folder, `.ollama-config-${crypto.randomUUID()}.tmp`)
  const handle = await open(file, 'wx', mode)
  try {
    await handle.writeFile(text)
    await handle.sync()
  } catch (error) {
    await handle.close().catch(() => {})
    await rm(file, { force: true }).catch(() => {})
    throw error
  }
  await handle.close()
  return file
}

/** Makes a folder that only its owner can look into, and those above it. */
export async function makePrivateFolder(folder: string): Promise<void> {
  await makeFolders(folder, { mode: 0o700 })
}

interface MakeFoldersOptions {
  readonly mode: number
  /** Told of each that was made, the uppermost first. */
  readonly onMade?: ((folder: string) => Promise<void>) | undefined
}

/** Somebody else may take away what was made a moment ago. */
const maxTries = 5

/**
 * Makes a folder and those above it. Not as `mkdir` does it with `recursive`: that never ends where a file system makes no folders and
 * says ENOENT, as /proc does, and it calls a file system that is read-only a folder that is not there.
 */
export async function makeFolders(folder: string, { mode, onMade }: MakeFoldersOptions): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const missing: string[] = []
    for (let at = folder; !(await isFolder(at)); at = path.dirname(at)) {
      missing.push(at)
      // A drive of Windows that is not there.
      if (path.dirname(at) === at) break
    }
    try {
      for (const at of missing.toReversed()) if (await makeFolder(at, mode)) await onMade?.(at)
      return
    } catch (error) {
      if (attempt < maxTries && hasCode(error) && error.code === 'ENOENT') continue
      const parent = path.dirname(missing.at(-1) ?? folder)
      if (!hasCode(error) || error.code !== 'ENOENT') throw error
      throw unmakeable(folder, `no folder can be made in ${quotedPath(parent)}`, 'choose another place', error)
    }
  }
}

/** False where somebody else was quicker. */
async function makeFolder(folder: string, mode: number): Promise<boolean> {
  try {
    await mkdir(folder, { mode })
    return true
  } catch (error) {
    if (hasCode(error) && error.code === 'EEXIST' && (await isFolder(folder))) return false
    throw error
  }
}

async function isFolder(folder: string): Promise<boolean> {
  const found = await stat(folder).catch(ifMissing)
  if (found !== undefined) {
    if (found.isDirectory()) return true
    throw unmakeable(folder, `${quotedPath(folder)} is no folder`, 'check the path')
  }
  const isLink = await lstat(folder).then(
    (link) => link.isSymbolicLink(),
    () => false,
  )
  if (!isLink) return false
  const problem = `the symbolic link ${quotedPath(folder)} leads to nothing that is there`
  throw unmakeable(folder, problem, 'make the folder that it leads to, or check where it leads')
}

function unmakeable(folder: string, problem: string, hint: string, cause?: unknown): OllamaConfigError {
  return new OllamaConfigError('file-not-written', `${quotedPath(folder)} cannot be made: ${problem}`, { hint, cause })
}

/** A rename is on the disk when its folder is; where a folder cannot be opened, as on Windows, there is nothing to do. */
export async function syncFolder(folder: string): Promise<void> {
  let handle: FileHandle | undefined
  try {
    handle = await open(folder, 'r')
    await handle.sync()
  } catch {
    // The file itself is whole either way.
  } finally {
    await handle?.close().catch(() => {})
  }
}

const reasons: Readonly<Record<string, readonly [problem: string, hint: string]>> = {
  EACCES: ['permission denied', 'check the owner and the mode of the folder'],
  EPERM: ['permission denied', 'check the owner and the mode of the folder'],
  EROFS: ['the file system is read-only', 'choose a folder that can be written'],
  ENOSPC: ['the disk is full', 'free some space'],
  EFBIG: ['its file system, or a limit, allows no file of that size', 'choose a folder on another file system'],
  EDQUOT: ['the disk quota is used up', 'remove files of yours there, or have the quota raised'],
  ENOENT: ['there is no such folder', 'make the folder first'],
  ENOTDIR: ['what should be its folder is a file', 'check the path'],
  ENAMETOOLONG: ['its name is too long', 'choose a shorter one'],
  ELOOP: ['its symbolic links go in a circle', 'check where they lead'],
}

/** Of what the system refused, such as `permission denied`. */
export function reasonOf(error: unknown): string {
  const [problem] = (hasCode(error) && Object.hasOwn(reasons, error.code) ? reasons[error.code] : undefined) ?? []
  return problem ?? (error instanceof Error ? printable(error.message, 200) : 'unknown error')
}

/** What to throw for a file that could not be written. What Deno did not permit passes untouched: its own error says how to. */
export function notWritten(file: string, error: unknown): unknown {
  if (isNotPermitted(error)) return error
  if (error instanceof OllamaConfigError) return error
  const code = hasCode(error) ? error.code : ''
  const [, hint] = (Object.hasOwn(reasons, code) ? reasons[code] : undefined) ?? ['', 'check the path']
  return new OllamaConfigError('file-not-written', `${quotedPath(file)} cannot be written: ${reasonOf(error)}`, {
    hint,
    cause: error,
  })
}
