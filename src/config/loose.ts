/** Looking into values of any shape, and what is told of a value that cannot be read. */
import { wellFormed } from '../artifact/text.ts'
import type { Diagnostic, OllamaConfigError } from '../errors.ts'

export function property(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null && key in value ? Reflect.get(value, key) : undefined
}

export function itemsAt(value: unknown, key: string): readonly unknown[] {
  const list = property(value, key)
  // Copied: a hole in it, as of two commas in a row, is passed over by what goes through a list, and is `undefined` then.
  return Array.isArray(list) ? [...list] : []
}

export function problemOf({ code, message, hint }: OllamaConfigError, path: string): Diagnostic {
  return { severity: 'error', code, path, message: `${path}: ${message}`, ...(hint === undefined ? {} : { hint }) }
}

/** Deeper than anything that is declared. */
const maxDepth = 32

/**
 * The same with texts as the server reads them, which is what has to be expected of it. What is there several times is looked at
 * once, and what goes round in circles ends.
 */
export function asRead(value: unknown, depth = maxDepth, seen = new Map<object, unknown>()): unknown {
  if (typeof value === 'string') return wellFormed(value)
  if (typeof value !== 'object' || value === null || depth === 0) return value
  if (seen.has(value)) return seen.get(value)
  const given = forJson(value)
  if (given !== value) return asRead(given, depth - 1, seen)
  seen.set(value, value)
  const inner = (item: unknown) => asRead(item, depth - 1, seen)
  const read = Array.isArray(value)
    ? [...value].map(inner)
    : Object.fromEntries(Object.entries(value).map(([key, item]) => [key, inner(item)]))
  seen.set(value, read)
  return read
}

/** What JSON takes in its place, such as a text for a date. Where that fails it fits no JSON, which the schema tells. */
function forJson(value: object): unknown {
  try {
    return 'toJSON' in value && typeof value.toJSON === 'function' ? value.toJSON() : value
  } catch {
    return value
  }
}
