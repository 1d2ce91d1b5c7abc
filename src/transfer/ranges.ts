/** Byte ranges of a file: which are there, and which are missing. Pure. */

export interface ByteRange {
  readonly from: number
  /** The first that does not belong to it. */
  readonly to: number
}

/** Ranges in order, joined where they touch. */
export type Ranges = readonly ByteRange[]

export function withRange(ranges: Ranges, { from, to }: ByteRange): Ranges {
  if (from >= to) return ranges
  const touching = ranges.filter((range) => range.from <= to && range.to >= from)
  const joined = {
    from: Math.min(from, ...touching.map((range) => range.from)),
    to: Math.max(to, ...touching.map((range) => range.to)),
  }
  const before = ranges.filter((range) => range.to < from)
  return [...before, joined, ...ranges.filter((range) => range.from > to)]
}

/** What of a file of that size is not in them. */
export function missingRanges(ranges: Ranges, sizeBytes: number): Ranges {
  const missing: ByteRange[] = []
  let at = 0
  for (const { from, to } of ranges) {
    if (from > at) missing.push({ from: at, to: from })
    at = Math.max(at, to)
  }
  return at < sizeBytes ? [...missing, { from: at, to: sizeBytes }] : missing
}

/** How much is there without a gap, from the beginning. */
export function frontierOf([first]: Ranges): number {
  return first !== undefined && first.from === 0 ? first.to : 0
}

export function bytesIn(ranges: Ranges): number {
  return ranges.reduce((sum, { from, to }) => sum + to - from, 0)
}
