/** Numbers as people read them: shares, rates, durations. Pure. */
import { formatBytes } from '../../artifact/bytes.ts'

/** `2.3 / 4.7 GB`, `274 MB / 4.7 GB`; the unit is written once when both share it. */
export function formatByteShare(completedBytes: number, totalBytes: number): string {
  const total = formatBytes(totalBytes)
  const completed = formatBytes(completedBytes)
  const unit = total.slice(total.indexOf(' '))
  return `${completed.endsWith(unit) ? completed.slice(0, -unit.length) : completed} / ${total}`
}

/** `118 MB/s`; an empty text when unknown. */
export function formatRate(bytesPerSecond: number | null): string {
  return bytesPerSecond === null ? '' : `${formatBytes(bytesPerSecond)}/s`
}

/** `0.4s`, `12s`, `1m 20s`, `2h 5m`, `3d 4h`. */
export function formatDuration(ms: number): string {
  const whole = Math.max(0, Math.round(ms / 1000))
  if (ms < 950 && ms > 0) return `${(Math.max(0, ms) / 1000).toFixed(1)}s`
  if (whole < 60) return `${whole}s`
  const minutes = Math.floor(whole / 60)
  if (minutes < 60) return join(minutes, 'm', whole % 60, 's')
  const hours = Math.floor(minutes / 60)
  if (hours < 24) return join(hours, 'h', minutes % 60, 'm')
  return join(Math.floor(hours / 24), 'd', hours % 24, 'h')
}

/** `20s left`; an empty text when unknown. Rounded up to seconds, so that it does not say 0 before the end. */
export function formatRemaining(ms: number | null): string {
  return ms === null ? '' : `${formatDuration(Math.ceil(Math.round(ms) / 1000) * 1000)} left`
}

function join(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large}${largeUnit}` : `${large}${largeUnit} ${small}${smallUnit}`
}

/** `48%`, rounded down: 100% means complete. */
export function formatPercent(fraction: number): string {
  return `${Math.floor(clampFraction(fraction) * 100)}%`
}

/** A bar of `width` columns. */
export function formatBar(fraction: number, width: number, unicode: boolean): string {
  const filled = Math.floor(clampFraction(fraction) * width)
  const [full, empty] = unicode ? ['█', '░'] : ['#', '-']
  return full.repeat(filled) + empty.repeat(width - filled)
}

function clampFraction(fraction: number): number {
  return Number.isFinite(fraction) ? Math.min(1, Math.max(0, fraction)) : 0
}
