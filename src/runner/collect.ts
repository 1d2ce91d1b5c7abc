/** `findLeftovers` and `collectLeftovers`: what lies in the models' folder and is in nobody's use. */
import type { Config } from '../config/config.ts'
import type { Collected, Leftover, Leftovers } from '../store/collect.ts'
import type { KnownConfig, LoadedConfig } from './connection.ts'
import { storeFolderOf } from './store-folder.ts'
import { type SurveyOptions, survey } from './survey.ts'

export interface FoundLeftovers extends Leftovers {
  readonly address: string
  /** Where the files are. */
  readonly folder: string
}

/**
 * Blobs that no manifest names, unfinished downloads and temporary files. Changes nothing.
 *
 * @throws {OllamaConfigError} `usage` where the files of a server cannot be read
 */
export async function findLeftovers(
  config: LoadedConfig | KnownConfig | Config,
  options: SurveyOptions = {},
): Promise<FoundLeftovers> {
  const found = await survey(config, options)
  const folder = await storeFolderOf(found, options.signal)
  const { layoutOf } = await import('../store/layout.ts')
  const { surveyLeftovers } = await import('../store/collect.ts')
  const leftovers = await surveyLeftovers(layoutOf(folder), { signal: options.signal })
  return { address: found.backend.address, folder, ...leftovers }
}

/** Removes them, but for what is younger than an hour or in use by now. Waits for another process of ours that works there. */
export async function collectLeftovers(
  folder: string,
  leftovers: readonly Leftover[],
  { signal, onWait }: { readonly signal?: AbortSignal | undefined; readonly onWait?: (holder: string) => void } = {},
): Promise<Collected> {
  const { layoutOf } = await import('../store/layout.ts')
  const { collect } = await import('../store/collect.ts')
  const { holdStore } = await import('../store/mutex.ts')
  const layout = layoutOf(folder)
  const hold = await holdStore(layout, { signal, onWait })
  try {
    return await collect(layout, leftovers, { signal, assertHeld: () => hold.assertHeld() })
  } finally {
    await hold.release()
  }
}
