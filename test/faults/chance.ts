/** Numbers that look like chance and are the same for the same seed, on every machine. */
import { createHash } from 'node:crypto'

export interface Chance {
  /** From 0 to 1. */
  number(): number
  /** True this often, from 0 to 1. */
  is(share: number): boolean
  /** From 0 up to below this. */
  below(limit: number): number
  pick<T>(items: readonly [T, ...T[]]): T
}

export function chance(seed: string): Chance {
  let bytes = createHash('sha256').update(seed).digest()
  let at = 0
  const number = () => {
    if (at === bytes.length) {
      bytes = createHash('sha256').update(bytes).digest()
      at = 0
    }
    at += 4
    return bytes.readUInt32LE(at - 4) / 2 ** 32
  }
  const below = (limit: number) => Math.floor(number() * limit)
  return {
    number,
    is: (share) => number() < share,
    below,
    pick: (items) => items[below(items.length)] ?? items[0],
  }
}
