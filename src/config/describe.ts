/** A value in an error message. */
import { quoted } from '../artifact/text.ts'

/** Short, on one line, its kind plain to see. */
export function describe(value: unknown): string {
  if (typeof value === 'string') return quoted(value)
  if (value === null || typeof value === 'number' || typeof value === 'boolean' || value === undefined)
    return String(value)
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list'
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}
