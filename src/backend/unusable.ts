/** Whether what `show` fails with says that the model itself is of no use. */
import { isOllamaConfigError, type OllamaConfigError } from '../errors.ts'
import type { Backend } from './backend.ts'

/** A host that is busy, and a proxy before it, say nothing of the model; a store is files, of which each failure does. */
export function isUnusable(error: unknown, { kind }: Backend): error is OllamaConfigError {
  if (!isOllamaConfigError(error)) return false
  if (kind === 'store') return true
  return error.code === 'model-not-found' || (error.code === 'host-error' && error.details?.['status'] === 500)
}
