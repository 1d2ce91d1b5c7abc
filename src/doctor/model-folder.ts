/** Where a server on this machine keeps its models, how that is known, and how it stands to this user's own folder. */

import { readdirSync, realpathSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import path from 'node:path'
import { freeBytes } from '../runtime/disk-space.ts'
import { ownId } from '../runtime/own-id.ts'
import { defaultFolder, layoutOf } from '../store/layout.ts'
import type { ServerEnvironment } from './server-environment.ts'
import { userName } from './users.ts'

export interface ModelFolder {
  /** `null` when it is not known. */
  readonly folder: string | null
  /** What tells: a path that the server names, or its environment. */
  readonly source: 'model' | 'environment' | 'unknown'
  /** Whether the folder of this machine with that path has what the server lists; `null` when that cannot be looked at. */
  readonly here: boolean | null
  /** Whose folder it is; `null` when it is not known. */
  readonly owner: string | null
  readonly own: boolean | null
  /** Of the disk that it lies on; `null` when unknown. */
  readonly freeBytes: number | null
  /** Where this user's Ollama would keep models; `null` without a home. */
  readonly mine: string | null
  /** Whether OLLAMA_MODELS says so. */
  readonly mineIsSet: boolean
  /** Whether that one is another folder with models in it. */
  readonly mineHasModels: boolean
}

export interface FolderOptions {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly platform: string
  readonly home: string | undefined
  /** As a model of the server names it. */
  readonly named: string | null
  readonly environment: ServerEnvironment
  /** Whether the folder has what the server lists; `null` when it cannot be read. */
  readonly holds: (folder: string) => Promise<boolean | null>
}

/** Looks at the folder where it is on this machine; what cannot be found out is `null`. */
export async function lookAtFolder(options: FolderOptions): Promise<ModelFolder> {
  const { env, platform, home, named, holds } = options
  const mineIsSet = (env['OLLAMA_MODELS'] ?? '').trim() !== ''
  const mine = home === undefined && !mineIsSet ? null : defaultFolder(env, platform, home ?? '')
  const told = named ?? fromEnvironment(options)
  const source = told === null ? 'unknown' : named === null ? 'environment' : 'model'
  const here = told === null ? null : named === null ? isThere(told) : await holds(told)
  const found = told !== null && here !== false ? await stat(told).catch(() => undefined) : undefined
  const own = ownId()
  return {
    folder: told,
    source,
    here,
    owner: found === undefined || own === undefined ? null : await userName(found.uid),
    own: found === undefined || own === undefined ? null : found.uid === own,
    freeBytes: told === null || here === false ? null : ((await freeBytes(told)) ?? null),
    mine,
    mineIsSet,
    mineHasModels: mine !== null && told !== null && !isSame(mine, told) && hasModels(mine),
  }
}

/** As the server decides it, where its environment is known. */
function fromEnvironment({ environment, platform }: FolderOptions): string | null {
  const { values, complete } = environment
  const { HOME: home } = values
  if ((values['OLLAMA_MODELS'] ?? '').trim() === '' && (!complete || home === undefined)) return null
  return defaultFolder(values, platform, home ?? '')
}

function isThere(folder: string): boolean {
  return realOf(folder) !== undefined
}

function isSame(one: string, other: string): boolean {
  return path.resolve(one) === path.resolve(other) || (isThere(one) && realOf(one) === realOf(other))
}

function realOf(folder: string): string | undefined {
  try {
    return realpathSync(folder)
  } catch {
    return undefined
  }
}

function hasModels(folder: string): boolean {
  try {
    return readdirSync(layoutOf(folder).manifests).length > 0
  } catch {
    return false
  }
}
