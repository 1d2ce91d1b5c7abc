/** What a host has, by name, and what of it is of use. */
import { compareText, referenceKey } from '../artifact/reference.ts'
import type { InstalledModel } from './state.ts'

const grouped = new WeakMap<readonly InstalledModel[], ReadonlyMap<string, readonly InstalledModel[]>>()

/** Without what is damaged, which is to be brought or made anew as if it were not there. */
export function wholeModels(models: readonly InstalledModel[]): readonly InstalledModel[] {
  const isWhole = ({ damage }: InstalledModel) => damage === undefined
  return models.every(isWhole) ? models : models.filter(isWhole)
}

/**
 * By `referenceKey`. A listing is grouped once, however often something is looked up in it: both may be thousands. Hand-made files can
 * make a server list two names that differ only in case.
 */
export function groupByKey(models: readonly InstalledModel[]): ReadonlyMap<string, readonly InstalledModel[]> {
  const known = grouped.get(models)
  if (known !== undefined) return known
  const groups = new Map<string, InstalledModel[]>()
  for (const model of models) {
    const key = referenceKey(model.reference)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [model])
    else if (group.every(({ name, digest }) => name !== model.name || digest !== model.digest)) group.push(model)
  }
  for (const group of groups.values()) group.sort((a, b) => compareText(a.name, b.name))
  grouped.set(models, groups)
  return groups
}
