/** Slips of programs that no compiler reads, told where they come in. What else may be wrong is told where it is read. */
import { quoted } from '../artifact/text.ts'
import { describe } from '../config/describe.ts'
import { OllamaConfigError } from '../errors.ts'

/**
 * Tells what is no object, such as nothing or a path, and a promise that nobody awaited.
 *
 * @param what In a word, such as `config`
 * @param wanted What to give instead, for the hint
 * @param list The field that one has to have, a list
 * @throws {OllamaConfigError} `usage`
 */
export function assertGiven(value: unknown, what: string, wanted: string, list?: string): asserts value is object {
  const isObject = typeof value === 'object' && value !== null
  if (value instanceof Promise)
    throw new OllamaConfigError('usage', `The ${what} is a promise`, { hint: 'wait for it with await' })
  if (isObject && (list === undefined || Array.isArray(Reflect.get(value, list)))) return
  // A text may be a whole file, with all that is secret in it.
  const found = typeof value === 'string' ? 'a text' : describe(value)
  throw new OllamaConfigError('usage', `No ${what} was given, but ${found}`, { hint: `give ${wanted}` })
}

/** @throws {OllamaConfigError} `usage` for what is no list of texts, such as a single name */
export function assertNames(value: unknown): asserts value is readonly string[] {
  if (Array.isArray(value) && value.every((name) => typeof name === 'string')) return
  throw new OllamaConfigError('usage', `No list of names of models was given, but ${describe(value)}`, {
    hint: `write ${typeof value === 'string' ? `[${quoted(value)}]` : `["qwen3:8b"]`}`,
  })
}
