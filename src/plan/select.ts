/** Which models a plugin's config means, by the names and patterns that its user wrote. Pure. */
import { matchesPattern, parsePattern } from '../artifact/pattern.ts'
import { parseListedName, parseReference, sameReference } from '../artifact/reference.ts'
import { quotedName } from '../artifact/text.ts'
import type { Diagnostic } from '../errors.ts'
import { type Change, isFine, type Plan } from './plan.ts'

export interface Selection {
  /** The changes of the models that are meant, each once, in the order of the plan. */
  readonly changes: readonly Change[]
  /** One warning per name or pattern that means none. */
  readonly diagnostics: readonly Diagnostic[]
}

/**
 * Whether what a user wrote means the model: a name, compared as Ollama compares names and in which no tag is `:latest`, or,
 * where a `*` is in it, a pattern as in `keep`. False where either is no valid name.
 *
 * @example matchesModel('qwen3:*', 'qwen3:8b') // true
 */
export function matchesModel(wanted: string, reference: string): boolean {
  try {
    const found = parseListedName(reference)
    if (wanted.includes('*')) return matchesPattern(parsePattern(wanted), found)
    return sameReference(parseReference(wanted), found)
  } catch {
    return false
  }
}

/**
 * The declared models of a plan that are meant, by their changes, no-op or not. A name that means none is a warning: what is
 * misspelled would never be looked at.
 *
 * @param wanted as for {@link matchesModel}; left out, every declared model is meant
 */
export function selectDeclared(plan: Plan, wanted?: readonly string[]): Selection {
  const all = plan.targets.flatMap(({ changes }) => changes)
  const declared = all.filter((change) => (change.action === 'no-op' ? isFine(change) : change.action !== 'delete'))
  if (wanted === undefined) return { changes: declared, diagnostics: [] }
  const changes = declared.filter(({ reference }) => wanted.some((text) => matchesModel(text, reference)))
  // A plan that restores a version holds that model alone.
  if (declared.some(({ action }) => action === 'restore')) return { changes, diagnostics: [] }
  const idle = wanted.filter((text) => !declared.some(({ reference }) => matchesModel(text, reference)))
  const names = declared.slice(0, 5).map(({ reference }) => quotedName(reference))
  const hint = names.length === 0 ? 'no model is declared' : `declared are ${names.join(', ')}`
  return {
    changes,
    diagnostics: idle.map((text) => ({
      severity: 'warning',
      code: 'model-not-declared',
      message: `${quotedName(text)} means no declared model`,
      hint: names.length < declared.length ? `${hint}, …` : hint,
    })),
  }
}
