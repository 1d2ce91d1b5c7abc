/** What a host has, by name. */
import { compareText, referenceKey } from '../artifact/reference.ts'
import type { InstalledModel } from './state.ts'

/** By `referenceKey`. Hand-made files can make a server list two names that differ only in case. */
export function groupByKey(models: readonly InstalledModel[]): ReadonlyMap<string, readonly InstalledModel[]> {
  const groups = new Map<string, InstalledModel[]>()
  for (const model of models) {
    const key = referenceKey(model.reference)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [model])
    else if (group.every(({ name, digest }) => name !== model.name || digest !== model.digest)) group.push(model)
  }
  for (const group of groups.values()) group.sort((a, b) => compareText(a.name, b.name))
  return groups
}
