/** Looking into values of any shape, and what is told of a value that cannot be read. */
import { wellFormed } from '../artifact/text.ts'
import type { Diagnostic, OllamaConfigError } from '../errors.ts'

export function property(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null && key in value ? Reflect.get(value, key) : undefined
}

export function listAt(value: unknown, key: string): readonly unknown[] {
  const list = property(value, key)
  return Array.isArray(list) ? list : []
}

export function problemOf({ code, message, hint }: OllamaConfigError, path: string): Diagnostic {
  return { severity: 'error', code, path, message: `${path}: ${message}`, ...(hint === undefined ? {} : { hint }) }
}

/** Deeper than anything that is declared; what goes round in circles is left to others to tell. */
const maxDepth = 32

/** The same with texts as the server reads them, which is what has to be expected of it. */
export function asRead(value: unknown, depth = maxDepth): unknown {
  if (typeof value === 'string') return wellFormed(value)
  if (depth === 0 || typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map((item) => asRead(item, depth - 1))
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, asRead(item, depth - 1)]))
}
