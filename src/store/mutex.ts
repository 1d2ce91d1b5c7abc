/** One process of ours at a time in a store. */
import path from 'node:path'
import { quoted } from '../artifact/text.ts'
import { holdMutex, type MutexHold, type MutexOptions } from '../runtime/process-mutex.ts'
import type { Layout } from './layout.ts'

export const mutexName = '.ollama-config-mutex'

/** @throws {OllamaConfigError} as `holdMutex` */
export async function holdStore({ folder }: Layout, options: MutexOptions = {}): Promise<MutexHold> {
  return holdMutex(path.join(folder, mutexName), quoted(folder), options)
}
