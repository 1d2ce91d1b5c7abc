/** Models and what they start from: undeclared bases come in, aliases of aliases are followed, cycles are refused. */
import { formatReference, referenceKey } from '../artifact/reference.ts'
import type { Diagnostic } from '../errors.ts'
import type { DesiredModel } from '../plan/state.ts'
import type { Source } from './origin.ts'

/** A model as it is written, before it is connected with what it starts from. */
export interface WrittenModel extends DesiredModel {
  readonly key: string
  readonly written: string
  readonly source?: Source
}

/** The models in the order in which they were written, then the bases that nobody declared. */
export function connectModels(
  written: readonly WrittenModel[],
  report: (problem: Diagnostic) => void,
): readonly DesiredModel[] {
  const models = new Map(written.map((model) => [model.key, model]))
  for (const { reference, source } of written) {
    if (source === undefined) continue
    const key = referenceKey(source.reference)
    if (models.has(key)) continue
    const neededBy = formatReference(reference)
    models.set(key, { ...source, key, written: '', neededBy })
  }
  if (reportCycles(models, report)) return []
  return [...models.values()].map(({ reference, path, insecure, recipe, neededBy }) => ({
    reference,
    path,
    insecure,
    ...(recipe === undefined
      ? {}
      : { recipe: recipe.kind === 'alias' ? { ...recipe, of: endOf(recipe.of, models) } : recipe }),
    ...(neededBy === undefined ? {} : { neededBy }),
  }))
}

type Models = ReadonlyMap<string, WrittenModel>

/** What an alias of an alias is a name of. */
function endOf(reference: DesiredModel['reference'], models: Models): DesiredModel['reference'] {
  const recipe = models.get(referenceKey(reference))?.recipe
  return recipe?.kind === 'alias' ? endOf(recipe.of, models) : reference
}

/** Each cycle once. Every model starts from one other at most, so that following it is enough. */
function reportCycles(models: Models, report: (problem: Diagnostic) => void): boolean {
  const seen = new Set<string>()
  let found = false
  for (const start of models.values()) {
    const way: WrittenModel[] = []
    let model: WrittenModel | undefined = start
    while (model !== undefined && !seen.has(model.key)) {
      seen.add(model.key)
      way.push(model)
      model = model.source === undefined ? undefined : models.get(referenceKey(model.source.reference))
    }
    const first = model === undefined ? -1 : way.indexOf(model)
    if (first < 0) continue
    found = true
    const names = way.slice(first).map(({ reference }) => formatReference(reference))
    report({
      severity: 'error',
      code: 'cycle',
      path: way[first]?.source?.path ?? start.path,
      message: `A model would be made from itself: ${[...names, names[0]].join(' → ')}`,
      hint: 'start one of them from a model that is pulled',
    })
  }
  return found
}
