/** How one change ended. */
import { toErrorData } from '../errors.ts'
import type { InstalledModel } from '../plan/state.ts'
import type { ChangeResult, SkipReason } from './events.ts'

export type Outcome = Pick<ChangeResult, 'outcome' | 'digest' | 'sizeBytes'> &
  Partial<Pick<ChangeResult, 'error' | 'skipReason' | 'fetched' | 'made' | 'attempts'>>

/** `undefined`: the model is gone, as it should be. */
export function done(model: InstalledModel | undefined): Outcome {
  const sizeBytes = model === undefined || model.remoteHost !== undefined ? null : model.sizeBytes
  return { outcome: 'done', digest: model?.digest ?? null, sizeBytes }
}

export function notDone(error: unknown, signal: AbortSignal | undefined): Outcome {
  // An error of its own is told, also when it comes while the signal is up.
  if (signal?.aborted && error === signal.reason) return { outcome: 'cancelled', digest: null, sizeBytes: null }
  return { outcome: 'failed', digest: null, sizeBytes: null, error: toErrorData(error) }
}

export function skipped(skipReason: SkipReason): Outcome {
  return { outcome: 'skipped', skipReason, digest: null, sizeBytes: null }
}
