/** How much room a disk has. */
import { existsSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import path from 'node:path'

/** Of the disk on which a folder lies, or will be made; `undefined` when the system does not tell. */
export async function freeBytes(folder: string): Promise<number | undefined> {
  try {
    const { bavail, bsize } = await statfs(nearestExisting(folder))
    return bavail * bsize
  } catch {
    return undefined
  }
}

function nearestExisting(folder: string): string {
  const parent = path.dirname(folder)
  return existsSync(folder) || parent === folder ? folder : nearestExisting(parent)
}
