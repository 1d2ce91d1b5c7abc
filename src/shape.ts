/** Checks of what comes from a file or a plugin: each returns the value, or says at which place something else stands. Pure. */
import { isDigest } from './artifact/manifest.ts'
import { formatReference, parseListedName } from './artifact/reference.ts'
import { printable, quoted } from './artifact/text.ts'

export type Fields = Readonly<Record<string, unknown>>

/** Whoever reads it makes an error of this that names the file, or the plugin. */
export class ShapeError extends Error {}

export function wrong(place: string, wanted: string): ShapeError {
  return new ShapeError(`${place} is not ${wanted}`)
}

export function fieldsAt(value: unknown, place: string): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields
  throw wrong(place, 'an object')
}

/** Each item, read. */
export function listAt<T>(value: unknown, place: string, read: (item: unknown, place: string) => T): readonly T[] {
  if (Array.isArray(value)) return value.map((item, index) => read(item, `${place}[${index}]`))
  throw wrong(place, 'a list')
}

/** Each value of an object, read. Keys are anybody's: `__proto__` is one like any other. */
export function entriesAt<T>(
  value: unknown,
  place: string,
  read: (entry: unknown, place: string, key: string) => T,
): Readonly<Record<string, T>> {
  const entries = Object.entries(fieldsAt(value, place)).map(
    ([key, entry]) => [key, read(entry, `${place}[${JSON.stringify(printable(key, 100))}]`, key)] as const,
  )
  return Object.fromEntries(entries)
}

export function textAt(value: unknown, place: string): string {
  if (typeof value === 'string') return value
  throw wrong(place, 'a text')
}

export function flagAt(value: unknown, place: string): boolean {
  if (typeof value === 'boolean') return value
  throw wrong(place, 'true or false')
}

export function bytesAt(value: unknown, place: string): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value
  throw wrong(place, 'a number of bytes')
}

export function digestAt(value: unknown, place: string): string {
  const text = textAt(value, place)
  if (isDigest(text)) return text
  throw wrong(place, 'a digest ("sha256:" and 64 hex digits)')
}

export function hashAt(value: unknown, place: string): string {
  const text = textAt(value, place)
  if (/^[0-9a-f]{64}$/.test(text)) return text
  throw wrong(place, 'a SHA-256 (64 hex digits)')
}

/** ISO 8601 in UTC, which sorts as text. */
export function timeAt(value: unknown, place: string): string {
  const text = textAt(value, place)
  if (/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/.test(text)) return text
  throw wrong(place, 'a time such as "2026-01-31T12:00:00.000Z"')
}

/** A model name in its shortest spelling, which is how all our files write it. */
export function referenceAt(value: unknown, place: string): string {
  const text = textAt(value, place)
  let reference: string
  try {
    reference = formatReference(parseListedName(text))
  } catch {
    throw wrong(place, `a model name: ${quoted(text)} is none`)
  }
  if (reference === text) return text
  throw wrong(place, `in the shortest spelling, which is "${reference}"`)
}

/** The major number of a version such as `1.0`. */
export function majorAt(value: unknown, place: string): number {
  const text = textAt(value, place)
  if (!/^\d{1,4}\.\d{1,4}$/.test(text)) throw wrong(place, 'a version such as "1.0"')
  return Number.parseInt(text, 10)
}
