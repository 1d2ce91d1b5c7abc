/** The host as apply last saw it, and looking models up in that. */
import { parseListedName, referenceKey } from '../artifact/reference.ts'
import type { Backend } from '../backend/backend.ts'
import { OllamaConfigError } from '../errors.ts'
import { groupByKey } from '../plan/installed.ts'
import { wordFor } from '../plan/plan.ts'
import type { ActualState, InstalledModel } from '../plan/state.ts'

/** Looked at anew after each change. */
export interface Host {
  readonly backend: Backend
  state: ActualState
  /** Goes up a moment after an interruption: whoever hangs then is not waited for. */
  readonly lateSignal?: AbortSignal | undefined
}

/** What is listed under this name: more than one entry only where they differ. */
export function findInstalled(state: ActualState, name: string): readonly InstalledModel[] {
  return groupByKey(state.models).get(referenceKey(parseListedName(name))) ?? []
}

/** The one under this name that is of use: what is damaged is brought or made anew. */
export function findWhole(state: ActualState, name: string): InstalledModel | undefined {
  return findInstalled(state, name).find(({ damage }) => damage === undefined)
}

/**
 * A stream that ends in success is a claim; the listing and `show`, which fails when a blob is missing, are the proof.
 *
 * @throws {OllamaConfigError} `verification-failed`, `model-not-found`
 */
export async function verifyInstalled(name: string, host: Host): Promise<InstalledModel> {
  // These take moments, and after an interruption the report shall still tell what is installed.
  const signal = host.lateSignal
  const state = await host.backend.readState({ signal })
  host.state = state
  const [model] = findInstalled(state, name)
  if (model === undefined) {
    throw notAsReported(host, `success for "${name}", but does not list it`)
  }
  if (model.damage !== undefined)
    throw notAsReported(host, `success for "${name}", of which is damaged: ${model.damage}`)
  // A cloud model is asked for elsewhere, and may need an account.
  if (model.remoteHost === undefined) await host.backend.show(model.name, { signal })
  return model
}

/** What was claimed did not happen. */
export function notAsReported({ backend: { kind } }: Host, claim: string): OllamaConfigError {
  const hint = kind === 'host' ? 'look at the log of the server' : 'look whether another program changes the folder'
  return new OllamaConfigError('verification-failed', `The ${wordFor(kind)} reported ${claim}`, { hint })
}

export function stalePlan(message: string): OllamaConfigError {
  return new OllamaConfigError('stale-plan', message, { hint: 'plan again' })
}
