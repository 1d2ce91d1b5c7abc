/** Finds declared models that are listed and of no use: a listing has also those with a part missing, or with weights that are none. */
import { referenceKey } from '../artifact/reference.ts'
import { printable } from '../artifact/text.ts'
import type { Backend } from '../backend/backend.ts'
import { isUnusable } from '../backend/unusable.ts'
import type { OllamaConfigError } from '../errors.ts'
import type { ActualState, DesiredState, InstalledModel } from '../plan/state.ts'
import { Turns } from '../runtime/turns.ts'
import type { Recalled } from './recall.ts'

export interface DamageOptions {
  readonly desired: DesiredState
  readonly recalled: Pick<Recalled, 'recorded'>
  readonly backend: Backend
  readonly signal?: AbortSignal | undefined
}

const showsAtOnce = 8

/**
 * The state, with the damage of pulled models. What an apply left there was looked at by it, and is not asked again: each costs the host
 * the beginning of its weights.
 *
 * @throws `signal.reason` when aborted
 */
export async function withDamage(
  actual: ActualState,
  { desired, recalled, backend, signal }: DamageOptions,
): Promise<ActualState> {
  const pulled = new Set(
    desired.models.filter(({ recipe }) => recipe === undefined).map(({ reference }) => referenceKey(reference)),
  )
  const isOpen = ({ reference, digest, damage, remoteHost }: InstalledModel) => {
    const key = referenceKey(reference)
    return (
      damage === undefined &&
      remoteHost === undefined &&
      pulled.has(key) &&
      recalled.recorded.get(key)?.digest !== digest
    )
  }
  if (!actual.models.some(isOpen)) return actual
  const turns = new Turns(showsAtOnce)
  const looked = async (model: InstalledModel): Promise<InstalledModel> => {
    try {
      await turns.run(() => backend.show(model.name, { signal }))
      return model
    } catch (error) {
      signal?.throwIfAborted()
      return isUnusable(error, backend) ? { ...model, damage: damageOf(error, backend) } : model
    }
  }
  return {
    ...actual,
    models: await Promise.all(actual.models.map((model) => (isOpen(model) ? looked(model) : model))),
  }
}

function damageOf({ code, message }: OllamaConfigError, { kind }: Backend): string {
  if (kind === 'host' && code === 'model-not-found') return 'a part of it is missing'
  return printable(message, 200)
}
