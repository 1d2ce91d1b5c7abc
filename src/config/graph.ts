/** Models and what they start from: undeclared bases come in, aliases of aliases are followed, cycles are refused. */
import { formatReference, referenceKey } from '../artifact/reference.ts'
import type { Diagnostic } from '../errors.ts'
import type { DesiredModel } from '../plan/state.ts'
import type { Source } from './origin.ts'

/** A model as it is written, and what it starts from. */
export interface WrittenModel {
  /** Its `referenceKey`. */
  readonly key: string
  readonly written: string
  readonly model: DesiredModel
  readonly source?: Source | undefined
}

/** The models in the order in which they were written, then the bases that nobody declared. */
export function connectModels(
  written: ReadonlyMap<string, WrittenModel>,
  report: (problem: Diagnostic) => void,
): readonly DesiredModel[] {
  const making = [...written.values()].filter(({ model }) => model.recipe !== undefined)
  if (making.length === 0) return [...written.values()].map(({ model }) => model)
  const models = new Map(written)
  for (const { model, source } of making) {
    if (source === undefined) continue
    const key = referenceKey(source.reference)
    const base = models.get(key)
    if (base === undefined) {
      models.set(key, { key, written: '', model: { ...source, neededBy: formatReference(model.reference) } })
    } else if (source.insecure && !base.model.insecure && base.model.recipe === undefined) {
      if (base.model.neededBy === undefined) report(plainAndNot(source, base.model))
      else models.set(key, { ...base, model: { ...base.model, insecure: true } })
    }
  }
  if (reportCycles(models, report)) return []
  return [...models.values()].map(({ model }) =>
    model.recipe?.kind === 'alias'
      ? { ...model, recipe: { ...model.recipe, of: endOf(model.recipe.of, models) } }
      : model,
  )
}

function plainAndNot({ path }: Source, { reference, path: declared }: DesiredModel): Diagnostic {
  const name = formatReference(reference)
  return {
    severity: 'error',
    code: 'contradiction',
    path,
    message: `${path} names "${name}" with http://, and ${declared} declares it without`,
    hint: `declare it as { name: '${name}', insecure: true }`,
  }
}

type Models = ReadonlyMap<string, WrittenModel>

/** What an alias of an alias is a name of. There are no cycles. */
function endOf(reference: DesiredModel['reference'], models: Models): DesiredModel['reference'] {
  let end = reference
  for (;;) {
    const recipe = models.get(referenceKey(end))?.model.recipe
    if (recipe?.kind !== 'alias') return end
    end = recipe.of
  }
}

/** Each cycle once. Every model starts from one other at most, so that following it is enough. */
function reportCycles(models: Models, report: (problem: Diagnostic) => void): boolean {
  const seen = new Set<string>()
  let found = false
  for (const start of models.values()) {
    const way: WrittenModel[] = []
    let at: WrittenModel | undefined = start
    while (at !== undefined && !seen.has(at.key)) {
      seen.add(at.key)
      way.push(at)
      at = at.source === undefined ? undefined : models.get(referenceKey(at.source.reference))
    }
    const first = at === undefined ? -1 : way.indexOf(at)
    if (first < 0) continue
    found = true
    const names = way.slice(first).map(({ model }) => formatReference(model.reference))
    report({
      severity: 'error',
      code: 'cycle',
      path: way[first]?.source?.path ?? start.model.path,
      message: `A model would be made from itself: ${[...names, names[0]].join(' → ')}`,
      hint: 'start one of them from a model that is pulled',
    })
  }
  return found
}
