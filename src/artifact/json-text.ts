/** JSON of anybody's: how deep it may be before it is walked, and how it is printed where a terminal may show it. */
import { escapedInvisible } from './text.ts'

/** Far deeper than anything that is real, and less than whoever calls itself for each level has stack for. Go's own limit is 10,000. */
const maxDepth = 1000

/** The value; `undefined` for what is no JSON, or deeper than can be walked. */
export function readJsonText(text: string): unknown {
  try {
    return isTooDeep(text) ? undefined : JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Whether JSON can hold it, and can be walked afterwards: not what goes round in circles. */
export function fitsJson(value: unknown): boolean {
  try {
    const text: unknown = JSON.stringify(value)
    return typeof text === 'string' && !isTooDeep(text)
  } catch {
    return false
  }
}

/**
 * As `JSON.stringify`, which leaves C1 controls, bidi overrides and zero-width characters as they are: here each is an escape
 * sequence of JSON, since what is written may be looked at in a terminal.
 */
export function jsonText(value: unknown, indent?: number): string {
  return escapedInvisible(JSON.stringify(value, null, indent))
}

/** Takes texts that are no JSON too. */
function isTooDeep(text: string): boolean {
  let depth = 0
  const mark = /["{}[\]]/g
  for (let match = mark.exec(text); match !== null; match = mark.exec(text)) {
    if (match[0] === '"') mark.lastIndex = endOfText(text, match.index + 1)
    else if (match[0] === '{' || match[0] === '[') depth++
    else depth--
    if (depth > maxDepth) return true
  }
  return false
}

/** After the closing quote of a text that begins behind its opening one. A loop, since it may have megabytes. */
export function endOfText(text: string, start: number): number {
  for (let at = start; at < text.length; at++) {
    if (text[at] === '\\') at++
    else if (text[at] === '"') return at + 1
  }
  return text.length
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
