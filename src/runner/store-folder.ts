/** Where the files of a place lie, for what works on files: a store says so, a server only where it runs on this machine. */
import { statSync } from 'node:fs'
import { printable, quotedPath } from '../artifact/text.ts'
import { modelFolderOf } from '../backend/model-folder.ts'
import { readStateWhenReady } from '../backend/wait.ts'
import type { Config } from '../config/config.ts'
import { OllamaConfigError } from '../errors.ts'
import type { ActualState } from '../plan/state.ts'
import type { Layout } from '../store/layout.ts'
import { connect, type KnownConfig, type LoadedConfig, type ReadyOptions, selectTarget } from './connection.ts'
import type { HostPlace, Place } from './place.ts'

export interface ModelFiles {
  readonly place: Place
  /** As it is shown. */
  readonly address: string
  readonly layout: Layout
  /** `null` for a store. */
  readonly serverVersion: string | null
}

/** @throws {OllamaConfigError} `usage` when they are not there or cannot be read here, `store-unsupported`, and what the host answers */
export async function locateFiles(
  config: LoadedConfig | KnownConfig | Config,
  options: ReadyOptions,
): Promise<ModelFiles> {
  const { place } = selectTarget(config, options)
  const { assertKnownLayout, layoutOf } = await import('../store/layout.ts')
  if (place.kind === 'store') {
    assertThere(place.folder)
    const layout = layoutOf(place.folder)
    assertKnownLayout(layout)
    return { place, address: place.folder, layout, serverVersion: null }
  }
  if (!place.address.loopback) throw refused(place, 'it is another machine')
  const backend = await connect(place, config, options)
  const actual = await readStateWhenReady(backend, options)
  const folder = await modelFolderOf(backend, actual, options)
  if (folder === undefined)
    throw refused(
      place,
      actual.models.length === 0 ? 'it has no model yet' : 'the server does not say in which folder they are',
    )
  const layout = layoutOf(folder)
  assertKnownLayout(layout)
  await assertOfServer(place, layout, actual, options.signal)
  return { place, address: backend.address, layout, serverVersion: actual.serverVersion }
}

/** One that is not there has no damage and no leftovers, but neither has a name with a slip in it, or a disk that is not mounted. */
function assertThere(folder: string): void {
  if (statSync(folder, { throwIfNoEntry: false }) !== undefined) return
  throw new OllamaConfigError('usage', `There is no model directory ${quotedPath(folder)}`, {
    hint: 'check its path, and whether its disk is mounted; "ollama-config apply" makes it',
  })
}

/** The path of a server in a container may be that of other models here: nothing of those may be removed or replaced. */
async function assertOfServer(
  place: HostPlace,
  layout: Layout,
  actual: ActualState,
  signal: AbortSignal | undefined,
): Promise<void> {
  const folder = quotedPath(layout.folder)
  const { holdsModels } = await import('../store/holds-models.ts')
  const isItsOwn = await holdsModels(layout, actual.models, { signal }).catch((error: unknown) => {
    signal?.throwIfAborted()
    const message = error instanceof Error ? printable(error.message, 200) : 'unknown error'
    throw refused(place, `they lie in ${folder}. ${message}`)
  })
  if (!isItsOwn) throw refused(place, `they lie in ${folder}, and that folder of this machine has other models`)
}

function refused({ address }: HostPlace, why: string): OllamaConfigError {
  return new OllamaConfigError('usage', `The files of the models of ${address.origin} cannot be read here: ${why}`, {
    hint: 'run it on the machine or in the container of the server, as a user who may read them, or name their folder with --store=DIR',
  })
}
