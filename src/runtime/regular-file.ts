/** Opens and reads files without trusting what lies there: of a pipe even the opening would wait for ever. */
import { constants, type Stats } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'

export interface OpenFile {
  readonly handle: FileHandle
  readonly found: Stats
}

export interface SmallFile {
  readonly bytes: Uint8Array
  /** As it was before it was read. */
  readonly found: Stats
}

/** For what is there and is not to be read. What the system refuses has its own code, such as `ENOENT`. */
export class NotReadableError extends Error {
  override readonly name = 'NotReadableError'
  readonly isFolder: boolean

  constructor(message: string, isFolder = false) {
    super(message)
    this.isFolder = isFolder
  }
}

// Windows has no such flag, and none is needed there.
const openFlags = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)

/** The caller closes it. @throws {NotReadableError} for what is no file, such as a folder or a pipe */
export async function openRegular(file: string): Promise<OpenFile> {
  const handle = await open(file, openFlags)
  try {
    const found = await handle.stat()
    if (!found.isFile()) throw new NotReadableError('it is no file', found.isDirectory())
    return { handle, found }
  } catch (error) {
    await handle.close()
    throw error
  }
}

/** @throws {NotReadableError} also for a file that is longer */
export async function readSmallFile(file: string, maxBytes: number): Promise<SmallFile> {
  const { handle, found } = await openRegular(file)
  try {
    if (found.size > maxBytes)
      throw new NotReadableError(`it has ${found.size} bytes, and at most ${maxBytes} are read`)
    return { bytes: await handle.readFile(), found }
  } finally {
    await handle.close()
  }
}

/** @throws {NotReadableError} */
export async function readRegular(file: string): Promise<string> {
  const { handle } = await openRegular(file)
  try {
    return await handle.readFile('utf8')
  } finally {
    await handle.close()
  }
}
