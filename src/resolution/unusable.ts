/** Finds declared models that are listed and of no use: a listing has also those with a part missing, or with weights that are none. */
import { formatReference, referenceKey } from '../artifact/reference.ts'
import { printable } from '../artifact/text.ts'
import type { Backend } from '../backend/backend.ts'
import { type Diagnostic, isOllamaConfigError } from '../errors.ts'
import type { ActualState, DesiredState, InstalledModel } from '../plan/state.ts'
import { sharedSignal } from '../runtime/abortable.ts'
import { Turns } from '../runtime/turns.ts'
import type { Recalled } from './recall.ts'

export interface UnusableOptions {
  readonly desired: DesiredState
  readonly recalled: Pick<Recalled, 'recorded' | 'applied'>
  readonly backend: Backend
  /** For all together, in milliseconds; the rest counts as usable. */
  readonly budgetMs: number
  readonly signal?: AbortSignal | undefined
}

const showsAtOnce = 8

/**
 * The state, in which pulled models are marked that cannot be shown. What an apply of this config recorded is not asked again, and before
 * the first one nothing is: each costs the host the beginning of its weights, and a plan a good part of its time. So it is what an apply
 * brought and found to be of no use, or what came since.
 *
 * @throws `signal.reason` when aborted
 */
export async function withUnusable(
  actual: ActualState,
  { desired, recalled, backend, budgetMs, signal }: UnusableOptions,
): Promise<{ readonly actual: ActualState; readonly diagnostics: readonly Diagnostic[] }> {
  if (!recalled.applied) return { actual, diagnostics: [] }
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
  if (!actual.models.some(isOpen)) return { actual, diagnostics: [] }
  const turns = new Turns(showsAtOnce)
  const inTime = sharedSignal(signal, AbortSignal.timeout(budgetMs))
  const unasked: string[] = []
  const looked = async (model: InstalledModel): Promise<InstalledModel> => {
    try {
      await turns.run(async () => {
        inTime.throwIfAborted()
        await backend.show(model.name, { signal: inTime })
      })
      return model
    } catch (error) {
      signal?.throwIfAborted()
      if (inTime.aborted) unasked.push(formatReference(model.reference))
      const unusable = problemOf(error, backend)
      return unusable === undefined ? model : { ...model, unusable }
    }
  }
  const models = await Promise.all(actual.models.map((model) => (isOpen(model) ? looked(model) : model)))
  return {
    actual: { ...actual, models },
    diagnostics: unasked.length === 0 ? [] : [notInTime(unasked.sort(), budgetMs)],
  }
}

/**
 * What is wrong with the model itself. A host that is busy, or that cannot be reached, says nothing of it, and neither does a proxy before
 * it, or a file in a store that this user may not read.
 */
function problemOf(error: unknown, { kind }: Backend): string | undefined {
  if (!isOllamaConfigError(error)) return undefined
  const { code, message, details } = error
  if (code === 'model-not-found') return kind === 'host' ? 'a part of it is missing' : printable(message, 200)
  if (kind === 'store') return code === 'invalid-response' ? printable(message, 200) : undefined
  const said = details?.['status'] === 500 ? details['said'] : undefined
  return code === 'host-error' && typeof said === 'string' ? `the server says "${said}"` : undefined
}

function notInTime(names: readonly string[], budgetMs: number): Diagnostic {
  const [first = ''] = names
  const others = names.length === 1 ? '' : ` and ${names.length - 1} more`
  return {
    severity: 'warning',
    code: 'not-checked',
    message: `The server did not tell within ${budgetMs / 1000} s whether "${first}"${others} can be used: it counts as installed`,
    hint: 'look whether the server is busy',
  }
}
