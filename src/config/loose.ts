/** Looking into values of any shape, and what is told of a value that cannot be read. */
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
