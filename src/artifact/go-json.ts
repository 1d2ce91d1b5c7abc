/** JSON as Go's encoding/json prints it, which is how an Ollama server stores what it builds: one way per value, escaped for HTML. */
import { wellFormed } from './text.ts'

const escapes: Readonly<Record<string, string>> = {
  '<': '\\u003c',
  '>': '\\u003e',
  '&': '\\u0026',
  '\u2028': '\\u2028',
  '\u2029': '\\u2029',
}

/** Compact, keys in the order given, absent values left out. Numbers and everything else `JSON.stringify` prints as Go does. */
export function goJson(value: unknown): string {
  return escaped(JSON.stringify(value, asRead))
}

/** The same with sorted keys at every depth, as Go prints a map. */
export function goMapJson(value: unknown): string {
  return escaped(sortedJson(value))
}

function sortedJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(sortedJson).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value, asRead)
  // Not an object with sorted keys: those that look like numbers would come first all the same.
  const members = Object.entries(value)
    .filter(([, item]) => item !== undefined)
    .sort(([a], [b]) => compareCodePoints(a, b))
    .map(([key, item]) => `${JSON.stringify(wellFormed(key))}:${sortedJson(item)}`)
  return `{${members.join(',')}}`
}

function asRead(_key: string, value: unknown): unknown {
  return typeof value === 'string' ? wellFormed(value) : value
}

/** The order of UTF-8 bytes. */
function compareCodePoints(a: string, b: string): number {
  const [left, right] = [[...a], [...b]]
  const at = left.findIndex((character, index) => character !== right[index])
  if (at < 0) return left.length - right.length
  return (left[at]?.codePointAt(0) ?? 0) - (right[at]?.codePointAt(0) ?? -1)
}

function escaped(json: string): string {
  return json.replace(/[<>&\u2028\u2029]/g, (character) => escapes[character] ?? character)
}
