/** Small facts about models that every part of the plan needs. */
import { formatReference, type Reference } from '../artifact/reference.ts'
import type { ModelFacts, NoOpChange, Reason } from './plan.ts'
import type { InstalledModel } from './state.ts'

export function factsOf(model: InstalledModel): ModelFacts {
  return { digest: model.digest, sizeBytes: model.remoteHost === undefined ? model.sizeBytes : null }
}

/** Why a model that is there is brought or made anew. */
export function damaged(damage: string): Reason {
  return { code: 'damaged', text: `damaged: ${damage}` }
}

/** The entry of a model that is to stay as it is. */
export function noOp(reference: Reference, model: InstalledModel, reason: Reason): NoOpChange {
  const name = formatReference(reference)
  const facts = factsOf(model)
  return {
    id: `no-op:${name}`,
    action: 'no-op',
    reference: name,
    cloud: model.remoteHost !== undefined,
    before: facts,
    after: facts,
    dependsOn: [],
    precondition: { digest: model.digest },
    downloadBytes: 0,
    freedBytes: 0,
    reason,
  }
}
