/** What becomes of every declared model: those that are pulled by themselves, those that are made after what they start from. */
import { type Reference, referenceKey } from '../artifact/reference.ts'
import { declaredChange } from './declared.ts'
import { aliasChange, buildChange } from './made.ts'
import type { Change } from './plan.ts'
import type { Intent, Resolution } from './resolution.ts'
import type { DesiredModel, DesiredState, InstalledModel } from './state.ts'

/** The model that this one starts from; `undefined` for one that is pulled or built from files. */
export function sourceOf({ recipe }: DesiredModel): Reference | undefined {
  if (recipe === undefined) return undefined
  return recipe.kind === 'alias' ? recipe.of : (recipe.from ?? undefined)
}

/** By `referenceKey`. */
export function declaredChanges(
  desired: DesiredState,
  host: Host,
  resolution: Resolution,
  intent: Intent,
): ReadonlyMap<string, Change> {
  const judge = judgeModels(desired, host, intent)
  for (const model of desired.models) judge(model, resolution)
  return judge.changes
}

/** Judges models one by one, each after its source. What it says of a model is final. */
export interface Judge {
  (model: DesiredModel, resolution: Resolution): Change
  readonly changes: ReadonlyMap<string, Change>
}

/** What is judged against. */
export interface Host {
  readonly serverVersion: string | null
  /** As `groupByKey` gives it. */
  readonly installed: ReadonlyMap<string, readonly InstalledModel[]>
}

export function judgeModels({ models }: DesiredState, { installed, serverVersion }: Host, intent: Intent): Judge {
  const declared = new Map(models.map((model) => [referenceKey(model.reference), model]))
  const changes = new Map<string, Change>()
  const judge = (model: DesiredModel, resolution: Resolution): Change => {
    const key = referenceKey(model.reference)
    const known = changes.get(key)
    if (known !== undefined) return known
    const listed = installed.get(key)?.[0]
    // What is damaged is as good as not there.
    const present = listed?.damage === undefined ? listed : undefined
    const damage = listed?.damage
    const { recipe } = model
    let change: Change
    if (recipe === undefined) {
      change = declaredChange(key, model, present, { resolution, intent, serverVersion, damage })
    } else {
      const start = sourceOf(model)
      const source = start === undefined ? undefined : declared.get(referenceKey(start))
      const situation = {
        model,
        installed: present,
        damage,
        source: source === undefined ? undefined : judge(source, resolution),
        resolution,
        intent,
      }
      change = recipe.kind === 'alias' ? aliasChange(recipe, situation) : buildChange(recipe, situation)
    }
    changes.set(key, change)
    return change
  }
  return Object.assign(judge, { changes })
}
