/** Opens the files of an unfinished download, and only those: others may put anything under their names. */
import { constants } from 'node:fs'
import { type FileHandle, lstat, open, rm } from 'node:fs/promises'
import { ifMissing } from '../runtime/atomic-file.ts'
import { hasCode } from '../runtime/transport-error.ts'

// Windows has no such flag.
const noFollow = constants.O_NOFOLLOW ?? 0

/**
 * For reading and writing; made when it is not there. A link leads elsewhere, and to read a pipe takes for ever: they are replaced, as is
 * what has a second name, which may be a backup.
 *
 * @param flags Others, of `constants`
 */
export async function openOwn(file: string, flags: number): Promise<FileHandle> {
  const found = await lstat(file).catch(ifMissing)
  if (found?.isDirectory()) throw new Error('there is a folder in its place')
  if (found !== undefined && (!found.isFile() || found.nlink > 1)) await rm(file)
  const openIt = () => open(file, flags | constants.O_RDWR | constants.O_CREAT | noFollow, 0o644)
  try {
    return await openIt()
  } catch (error) {
    if (!hasCode(error) || error.code !== 'EACCES') throw error
    // Root, or another user, was interrupted: it is begun anew.
    await rm(file, { force: true })
    return openIt()
  }
}
