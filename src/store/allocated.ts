/** What a file takes on the disk: one that is only partly downloaded has its full size from the start, and holes in it. */
import type { Stats } from 'node:fs'

export function allocatedBytes({ blocks, size }: Pick<Stats, 'size'> & { readonly blocks: number | null }): number {
  // Deno does not tell on Windows.
  return typeof blocks === 'number' ? blocks * 512 : size
}
