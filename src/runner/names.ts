/** `findModelNames`: the names of models that somebody may be about to type, without running anything of the folder. */

import { statSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { compareText, formatReference, parseListedName, parseReference, type Reference } from '../artifact/reference.ts'
import type { Mentions } from '../config/mentions.ts'
import { nearestConfig } from '../config/search.ts'
import { lockFileOf } from '../record/lock.ts'
import { anySignal } from '../runtime/abortable.ts'
import { type ConnectOptions, connect } from './connection.ts'
import { selectPlace } from './place.ts'

export interface FindModelNamesOptions
  extends Pick<ConnectOptions, 'host' | 'store' | 'env' | 'signal' | 'registryUrl'> {
  /** Where the search for a config begins. Default: the working directory. */
  readonly cwd?: string | undefined
  readonly configFile?: string | undefined
  /** Longest time that the server has, in milliseconds. Default: 500. */
  readonly limitMs?: number | undefined
}

export interface ModelNames {
  /** What the text of the config names, and the lock file. Sorted. What a config computes is not among them. */
  readonly declared: readonly string[]
  /**
   * What the server lists that flag, environment or Ollama's default name. A config's own `host` is not asked: whoever wrote it, nobody
   * has run it yet. Sorted.
   */
  installed(): Promise<readonly string[]>
}

/** No config that was written by hand is larger. */
const maxConfigBytes = 500_000

/** Never rejects: what cannot be read or asked has no names. Every name is free of what a shell would read as more than a name. */
export async function findModelNames(options: FindModelNamesOptions = {}): Promise<ModelNames> {
  const { cwd = process.cwd(), configFile } = options
  const file = configFile === undefined ? nearestConfig(path.resolve(cwd)) : path.resolve(cwd, configFile)
  const { models, hasHost } = await mentionsOf(file)
  const declared = [...namesOf(models, parseReference), ...(await lockedNames(file))]
  const mayAsk = !hasHost || options.host !== undefined || options.store !== undefined
  return {
    declared: sorted(declared),
    installed: async () => (mayAsk ? sorted(await installedNames(options).catch(() => [])) : []),
  }
}

/** A pipe would be read for as long as somebody holds it open. */
function isFile(file: string): boolean {
  try {
    return statSync(file).isFile()
  } catch {
    return false
  }
}

async function mentionsOf(file: string | undefined): Promise<Mentions> {
  const none: Mentions = { models: [], hasHost: false }
  if (file === undefined || !isFile(file) || statSync(file).size > maxConfigBytes) return none
  const { mentionsIn } = await import('../config/mentions.ts')
  return readFile(file, 'utf8').then(mentionsIn, () => none)
}

async function lockedNames(file: string | undefined): Promise<readonly string[]> {
  const lockFile = file === undefined ? undefined : lockFileOf(file)
  if (lockFile === undefined || !isFile(lockFile)) return []
  try {
    const { readLock } = await import('../record/lock-file.ts')
    return namesOf(Object.keys((await readLock(lockFile))?.models ?? {}), parseListedName)
  } catch {
    return []
  }
}

async function installedNames(options: FindModelNamesOptions): Promise<readonly string[]> {
  const { limitMs = 500, signal: given } = options
  const limit = AbortSignal.timeout(limitMs)
  const signal = anySignal(given, limit)
  const { place } = selectPlace(options, undefined)
  const backend = await connect(place, { models: [] }, { ...options, signal })
  const { models } = await backend.readState({ signal })
  return models.map(({ reference }) => formatReference(reference))
}

/** Only what is a name: letters, digits and a few signs. The rest is none, or somebody's attempt. */
function namesOf(texts: readonly string[], parse: (text: string) => Reference): readonly string[] {
  return texts.flatMap((text) => {
    try {
      return [formatReference(parse(text))]
    } catch {
      return []
    }
  })
}

function sorted(names: readonly string[]): readonly string[] {
  return [...new Set(names)].sort(compareText)
}
