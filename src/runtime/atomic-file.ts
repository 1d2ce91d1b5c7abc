/** Files that are either the old ones or the new ones, never half of one. */
import { chmod, type FileHandle, mkdir, open, readlink, realpath, rename, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import { printable, quoted } from '../artifact/text.ts'
import { OllamaConfigError } from '../errors.ts'
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

/** What the path leads to over links, also where the last of them leads to a file that is not there yet. */
async function targetOf(file: string): Promise<string> {
  const target = await realpath(file).catch(ifMissing)
  if (target !== undefined) return target
  const link = await readlink(file).catch(() => undefined)
  // Links that go in a circle have failed above.
  return link === undefined ? file : targetOf(path.resolve(await realpath(path.dirname(file)), link))
}

/** Only what is not there counts as that: a mistake here would replace what cannot be seen. */
function ifMissing(error: unknown): undefined {
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
  await mkdir(folder, { recursive: true, mode: 0o700 })
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
  EDQUOT: ['the disk quota is used up', 'free some space'],
  ENOENT: ['there is no such folder', 'make the folder first'],
  ENOTDIR: ['what should be its folder is a file', 'check the path'],
  ENAMETOOLONG: ['its name is too long', 'choose a shorter one'],
  ELOOP: ['its symbolic links go in a circle', 'check where they lead'],
}

/** What to throw for a file that could not be written. What Deno did not permit passes untouched: its own error says how to. */
export function notWritten(file: string, error: unknown): unknown {
  if (error instanceof Error && error.name === 'NotCapable') return error
  if (error instanceof OllamaConfigError) return error
  const code = hasCode(error) ? error.code : ''
  const message = error instanceof Error ? printable(error.message, 200) : 'unknown error'
  const [problem, hint] = (Object.hasOwn(reasons, code) ? reasons[code] : undefined) ?? [message, 'check the path']
  return new OllamaConfigError('file-not-written', `${quoted(file)} cannot be written: ${problem}`, {
    hint,
    cause: error,
  })
}
