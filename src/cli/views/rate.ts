/** A smoothed rate of bytes, for a download that stalls, resumes and reports in bursts. Pure. */

/** Bytes and time, both fading with age, so that the recent past counts most. */
export interface Rate {
  readonly bytes: number
  readonly elapsedMs: number
  readonly atMs: number
}

/** After this long a sample counts for about a third. */
const memoryMs = 5000
/** A pause as short as this is the gap between two reports, not a stall. */
const graceMs = 1000
/** Less than this tells nothing. */
const minElapsedMs = 500
/** What is left of a second, as old samples fade. */
const minSettledMs = 800
const minSettledBytes = 1024

export function startRate(nowMs: number): Rate {
  return { bytes: 0, elapsedMs: 0, atMs: nowMs }
}

/** Adds the bytes that came since the last sample; less than none counts as none. */
export function addSample(rate: Rate, bytes: number, nowMs: number): Rate {
  const faded = fade(rate, nowMs)
  return { ...faded, bytes: faded.bytes + Math.max(0, bytes) }
}

/** Falls while nothing comes; `null` while too little is known. */
export function bytesPerSecond(rate: Rate, nowMs: number): number | null {
  const { bytes, elapsedMs } = fade(rate, nowMs - graceMs)
  return elapsedMs < minElapsedMs ? null : (bytes / elapsedMs) * 1000
}

/** From less nobody can tell how long the rest takes: the first bytes are few, and connections are only being made. */
export function isSettled(rate: Rate, nowMs: number): boolean {
  const { bytes, elapsedMs } = fade(rate, nowMs - graceMs)
  return elapsedMs >= minSettledMs && bytes >= minSettledBytes
}

function fade(rate: Rate, nowMs: number): Rate {
  // A clock that was set back must not make time negative.
  const passedMs = Math.max(0, nowMs - rate.atMs)
  const factor = Math.exp(-passedMs / memoryMs)
  return { bytes: rate.bytes * factor, elapsedMs: rate.elapsedMs * factor + passedMs, atMs: nowMs }
}
