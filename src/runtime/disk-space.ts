/** How much room a disk has, and a file takes. */
import { existsSync, type Stats } from 'node:fs'
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

/** Of a file: one that is only partly downloaded has its full size from the start, and holes in it. */
export function allocatedBytes({ blocks, size }: Pick<Stats, 'size'> & { readonly blocks: number | null }): number {
  // Deno does not tell on Windows.
  return typeof blocks === 'number' ? blocks * 512 : size
}

function nearestExisting(folder: string): string {
  const parent = path.dirname(folder)
  return existsSync(folder) || parent === folder ? folder : nearestExisting(parent)
}
