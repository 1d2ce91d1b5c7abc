/** One process of ours at a time in a store. */
import path from 'node:path'
import { quotedPath } from '../artifact/text.ts'
import { isOllamaConfigError } from '../errors.ts'
import { holdMutex, type MutexHold, type MutexOptions } from '../runtime/process-mutex.ts'
import { hasCode } from '../runtime/transport-error.ts'
import type { Layout } from './layout.ts'

export const mutexName = '.ollama-config-mutex'

/** @throws {OllamaConfigError} as `holdMutex` */
export async function holdStore({ folder }: Layout, options: MutexOptions = {}): Promise<MutexHold> {
  return holdMutex(path.join(folder, mutexName), quotedPath(folder), options)
}

/**
 * For who makes room: a full disk may have none for a mutex either. It is taken as soon as there is some; before that nobody else can
 * have begun.
 *
 * @throws {OllamaConfigError} as `holdMutex`, but for a full disk
 */
export async function holdFullStore(layout: Layout, options: MutexOptions = {}): Promise<MutexHold> {
  let hold = await unlessFull(holdStore(layout, options))
  return {
    assertHeld: async () => {
      hold ??= await unlessFull(holdStore(layout, options))
      await hold?.assertHeld()
    },
    release: async () => hold?.release(),
  }
}

async function unlessFull(taking: Promise<MutexHold>): Promise<MutexHold | undefined> {
  try {
    return await taking
  } catch (error) {
    const cause = isOllamaConfigError(error) ? error.cause : undefined
    if (hasCode(cause) && /^(ENOSPC|EDQUOT|EFBIG)$/.test(cause.code)) return undefined
    throw error
  }
}
