/** `findLeftovers` and `collectLeftovers`: what lies in the folder of the models and is in nobody's use. */
import type { Config } from '../config/config.ts'
import { formatVersion } from '../plan/plan.ts'
import type { Collected, Leftover, Leftovers } from '../store/collect.ts'
import type { ConnectOptions, KnownConfig, LoadedConfig, ReadyOptions } from './connection.ts'
import { assertGiven } from './given.ts'
import { locateFiles } from './store-folder.ts'

export type { Collected, Leftover, Spared } from '../store/collect.ts'
export type { LeftoverKind } from '../store/leftover-names.ts'

export interface FoundLeftovers extends Leftovers {
  readonly formatVersion: string
  /** Of the server, or the folder again. */
  readonly address: string
  /** Where the files are. */
  readonly folder: string
}

export interface CollectLeftoversOptions extends Pick<ConnectOptions, 'signal'> {
  /** Called once when another process of ours works there, with words for it: it is waited for. */
  readonly onBusy?: ((holder: string) => void) | undefined
  readonly now?: Clock | undefined
}

/** Milliseconds since 1970, by which files are an hour old. Default: the clock of this machine. */
type Clock = () => number

export interface FindLeftoversOptions extends ReadyOptions {
  readonly now?: Clock | undefined
}

/**
 * Finds blobs that no manifest names, unfinished downloads and temporary files. Changes nothing. A config is needed for its `host` and
 * `headers` alone: for a store it may be left out.
 *
 * @throws {OllamaConfigError} `usage` where the files of a server cannot be read here, `store-unreadable`, `store-unsupported`, and
 * what the host answers
 */
export async function findLeftovers(
  config: LoadedConfig | KnownConfig | Config | undefined,
  options: FindLeftoversOptions = {},
): Promise<FoundLeftovers> {
  const { address, layout } = await locateFiles(config ?? { models: [] }, options)
  const { surveyLeftovers } = await import('../store/collect.ts')
  const found = await surveyLeftovers(layout, { signal: options.signal, now: options.now })
  return { formatVersion, address, folder: layout.folder, ...found }
}

/**
 * Removes what was found, but for what is in use by now, or may be: see `spared` of the result. Each is looked at again right before.
 *
 * @throws {OllamaConfigError} `file-not-written`, `store-busy`, `store-unreadable`
 */
export async function collectLeftovers(
  found: { readonly folder: string; readonly leftovers: readonly Leftover[] },
  { signal, onBusy, now }: CollectLeftoversOptions = {},
): Promise<Collected> {
  signal?.throwIfAborted()
  assertGiven(found, 'list', 'what findLeftovers() returned', 'leftovers')
  const { folder, leftovers } = found
  if (leftovers.length === 0) return { removed: [], freedBytes: 0, spared: [] }
  const [{ collect }, { assertKnownLayout, layoutOf }, { holdFullStore }] = await Promise.all([
    import('../store/collect.ts'),
    import('../store/layout.ts'),
    import('../store/mutex.ts'),
  ])
  const layout = layoutOf(folder)
  assertKnownLayout(layout)
  const hold = await holdFullStore(layout, { signal, onWait: onBusy, command: 'collect' })
  try {
    return await collect(layout, leftovers, { signal, now, assertHeld: () => hold.assertHeld() })
  } finally {
    await hold.release()
  }
}
