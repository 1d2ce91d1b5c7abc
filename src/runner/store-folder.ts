/** Where the files of a place lie, for what works on files: a store says so, a server only where it runs on this machine. */
import path from 'node:path'
import { printable, quoted } from '../artifact/text.ts'
import type { Backend } from '../backend/backend.ts'
import { readStateWhenReady } from '../backend/wait.ts'
import type { Config } from '../config/config.ts'
import { isOllamaConfigError, OllamaConfigError } from '../errors.ts'
import type { ActualState } from '../plan/state.ts'
import type { Layout } from '../store/layout.ts'
import { connect, type KnownConfig, type LoadedConfig, selectTarget } from './connection.ts'
import type { HostPlace, Place } from './place.ts'
import type { SurveyOptions } from './survey.ts'

export interface ModelFiles {
  readonly place: Place
  /** As it is shown. */
  readonly address: string
  readonly layout: Layout
  /** `null` for a store. */
  readonly serverVersion: string | null
}

/** @throws {OllamaConfigError} `usage` when they cannot be read here, `store-unsupported`, and what the host answers */
export async function locateFiles(
  config: LoadedConfig | KnownConfig | Config,
  options: SurveyOptions,
): Promise<ModelFiles> {
  const { place } = selectTarget(config, options)
  const { assertKnownLayout, layoutOf } = await import('../store/layout.ts')
  if (place.kind === 'store') {
    const layout = layoutOf(place.folder)
    assertKnownLayout(layout)
    return { place, address: place.folder, layout, serverVersion: null }
  }
  if (!place.address.loopback) throw refused(place, 'it is another machine')
  const backend = await connect(place, config, options)
  const actual = await readStateWhenReady(backend, options)
  const layout = layoutOf(await folderOf(place, backend, actual, options.signal))
  assertKnownLayout(layout)
  await assertOfServer(place, layout, actual, options.signal)
  return { place, address: backend.address, layout, serverVersion: actual.serverVersion }
}

async function folderOf(
  place: HostPlace,
  backend: Backend,
  { models }: ActualState,
  signal: AbortSignal | undefined,
): Promise<string> {
  for (const { name, remoteHost } of models) {
    if (remoteHost !== undefined) continue
    const { weightsFile } = await backend.show(name, { signal }).catch((error: unknown) => {
      signal?.throwIfAborted()
      // Of a damaged model nothing is told; the next one may do.
      if (isOllamaConfigError(error)) return { weightsFile: null }
      throw error
    })
    if (weightsFile !== null && path.isAbsolute(weightsFile)) return path.dirname(path.dirname(weightsFile))
  }
  throw refused(place, 'it has no model that tells where they lie')
}

/** The path of a server in a container may be that of other models here: nothing of those may be removed or replaced. */
async function assertOfServer(
  place: HostPlace,
  layout: Layout,
  actual: ActualState,
  signal: AbortSignal | undefined,
): Promise<void> {
  const folder = quoted(layout.folder)
  const isItsOwn = await holdsModels(layout, actual.models, signal).catch((error: unknown) => {
    signal?.throwIfAborted()
    const message = error instanceof Error ? printable(error.message, 200) : 'unknown error'
    throw refused(place, `they lie in ${folder}. ${message}`)
  })
  if (!isItsOwn) throw refused(place, `they lie in ${folder}, and that folder of this machine has other models`)
}

/** Whether a folder has all that a server lists, and not by accident nothing. @throws {OllamaConfigError} `store-unreadable` */
export async function holdsModels(
  layout: Layout,
  listed: ActualState['models'],
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const { readManifests } = await import('../store/manifests.ts')
  const { models, damaged } = await readManifests(layout, { signal })
  const here = new Set(models.map(({ name, digest }) => `${name} ${digest}`))
  const isHere = ({ name, digest }: { readonly name: string; readonly digest: string }) =>
    here.has(`${name} ${digest}`) || damaged.includes(name)
  return listed.some(isHere) && listed.every(isHere)
}

function refused({ address }: HostPlace, why: string): OllamaConfigError {
  return new OllamaConfigError('usage', `The files of the models of ${address.origin} cannot be read here: ${why}`, {
    hint: 'run it on the machine or in the container of the server, as a user who may read them, or name their folder with --store=DIR',
  })
}
