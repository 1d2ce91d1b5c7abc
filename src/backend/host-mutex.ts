/** One process of this user on this machine at a time changes a server, which itself takes requests of everybody. */
import { existsSync } from 'node:fs'
import path from 'node:path'
import { isOllamaConfigError } from '../errors.ts'
import { makePrivateFolder } from '../runtime/atomic-file.ts'
import { holdMutex } from '../runtime/process-mutex.ts'
import type { Hold, HoldOptions } from './backend.ts'

/**
 * Where the file cannot be kept, as in a container whose home is read-only, nobody is kept from anything; also where it cannot be kept
 * any longer.
 */
export async function holdHost(file: string, address: string, options: HoldOptions): Promise<Hold> {
  try {
    await makePrivateFolder(path.dirname(file))
    const hold = await holdMutex(file, address, options)
    return {
      ...hold,
      assertHeld: () =>
        hold.assertHeld().catch((error: unknown) => {
          // Without a file nobody else has it: it was removed, as with the folder of the state.
          if (isOllamaConfigError(error) && error.code === 'store-busy' && existsSync(file)) throw error
        }),
    }
  } catch {
    options.signal?.throwIfAborted()
    return { release: async () => {} }
  }
}
