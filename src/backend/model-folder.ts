/** Where a server keeps its models, by what it tells of them. */
import path from 'node:path'
import { isOllamaConfigError } from '../errors.ts'
import type { ActualState } from '../plan/state.ts'
import type { Backend, CallOptions } from './backend.ts'

/**
 * The folder that holds `blobs` and `manifests`, as a path of the server's own machine; `undefined` when no model tells. Of a damaged model
 * nothing is told, the next one may do.
 *
 * @throws `signal.reason`
 */
export async function modelFolderOf(
  backend: Pick<Backend, 'show'>,
  { models }: Pick<ActualState, 'models'>,
  { signal }: CallOptions,
): Promise<string | undefined> {
  for (const { name, remoteHost } of models) {
    if (remoteHost !== undefined) continue
    const { weightsFile } = await backend.show(name, { signal }).catch((error: unknown) => {
      signal?.throwIfAborted()
      if (isOllamaConfigError(error)) return { weightsFile: null }
      throw error
    })
    if (weightsFile !== null && path.isAbsolute(weightsFile)) return path.dirname(path.dirname(weightsFile))
  }
  return undefined
}
