/** Sizes as people read them. Pure. */

const byteUnits = ['B', 'KB', 'MB', 'GB', 'TB'] as const

/** Decimal units, cut the way `ollama list` cuts them: `4.7 GB`, `274 MB`, `512 B`. `null` is `unknown`, never 0. */
export function formatBytes(bytes: number | null): string {
  if (bytes === null || !Number.isFinite(bytes)) return 'unknown'
  let value = Math.max(0, Math.trunc(bytes))
  let unit = 0
  while (value >= 1000 && unit < byteUnits.length - 1) {
    value /= 1000
    unit += 1
  }
  // Ollama shows one decimal below ten, and whole numbers, rounded down, from ten on.
  const digits = value >= 10 || Number.isInteger(value) ? String(Math.trunc(value)) : value.toFixed(1)
  return `${digits} ${byteUnits[unit]}`
}
