/** What plugins are told of the host. */
import { totalmem } from 'node:os'
import type { Address } from '../backend/address.ts'
import type { HostFacts } from '../plugin.ts'

export function hostFacts({ origin, loopback }: Address, serverVersion: string | null): HostFacts {
  return { address: origin, loopback, serverVersion, memoryBytes: loopback ? memoryOfThisMachine() : null }
}

/** `null` where Deno was not permitted to tell. */
function memoryOfThisMachine(): number | null {
  try {
    return totalmem()
  } catch {
    return null
  }
}
