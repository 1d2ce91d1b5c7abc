/** Where the files of a place lie, for what works on files: a store says so, a server only where it runs on this machine. */
import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import path from 'node:path'
import { OllamaConfigError } from '../errors.ts'
import type { Survey } from './survey.ts'

/** @throws {OllamaConfigError} `usage` when they cannot be read here */
export async function storeFolderOf(
  { place, backend, actual }: Pick<Survey, 'place' | 'backend' | 'actual'>,
  signal: AbortSignal | undefined,
): Promise<string> {
  if (place.kind === 'store') return place.folder
  const refused = (why: string) =>
    new OllamaConfigError('usage', `The files of the models of ${backend.address} cannot be read here: ${why}`, {
      hint: 'run it on the machine of the server, as a user who may read its models, or name the folder with --store=DIR',
    })
  if (!place.address.loopback) throw refused('it is another machine')
  for (const { name, remoteHost } of actual.models) {
    if (remoteHost !== undefined) continue
    const { weightsFile } = await backend.show(name, { signal }).catch((error: unknown) => {
      signal?.throwIfAborted()
      // Of a damaged model nothing is told; the next one may do.
      if (error instanceof OllamaConfigError) return { weightsFile: null }
      throw error
    })
    if (weightsFile === null) continue
    const isReadable = await access(weightsFile, constants.R_OK).then(
      () => true,
      () => false,
    )
    if (isReadable) return path.dirname(path.dirname(weightsFile))
    throw refused('this user may not read them, or the server runs in a container')
  }
  throw refused('it has no model that tells where they are')
}
