/** What plugins are told of the host. */
import { totalmem } from 'node:os'
import type { HostFacts } from '../plugin.ts'
import { addressOf, isLocal, type Place } from './place.ts'

/** @param serverVersion `null` for a store, or when it is not known */
export function hostFacts(place: Place, serverVersion: string | null): HostFacts {
  const loopback = isLocal(place)
  return { address: addressOf(place), loopback, serverVersion, memoryBytes: loopback ? memoryOfThisMachine() : null }
}

/** `null` where Deno was not permitted to tell. */
export function memoryOfThisMachine(): number | null {
  try {
    return totalmem()
  } catch {
    return null
  }
}
