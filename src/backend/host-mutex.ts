/** One process of this user on this machine at a time changes a server, which itself takes requests of everybody. */
import path from 'node:path'
import { makePrivateFolder } from '../runtime/atomic-file.ts'
import { holdMutex } from '../runtime/process-mutex.ts'
import type { Hold, HoldOptions } from './backend.ts'

/** Where the file cannot be kept, as in a container whose home is read-only, nobody is kept from anything. */
export async function holdHost(file: string, address: string, options: HoldOptions): Promise<Hold> {
  try {
    await makePrivateFolder(path.dirname(file))
    return await holdMutex(file, address, options)
  } catch {
    options.signal?.throwIfAborted()
    return { release: async () => {} }
  }
}
