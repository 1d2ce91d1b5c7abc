/** SHA-256 of a file that grows, on this thread: for small ones. */
import { type FileHandle, open } from 'node:fs/promises'
import type { GrowingHash } from './hash-thread.ts'

const bufferBytes = 256 * 1024
const tellEveryBytes = 16 * 1024 * 1024

export function hashHere(file: string, onProgress?: (hashedBytes: number) => void): GrowingHash {
  const hash = process.getBuiltinModule('node:crypto').createHash('sha256')
  let readyBytes = 0
  let cancelled = false
  let wake = () => {}
  let endBytes = Number.POSITIVE_INFINITY
  const read = async (handle: FileHandle) => {
    const buffer = new Uint8Array(bufferBytes)
    for (let at = 0; at < endBytes; ) {
      if (cancelled) throw new Error('cancelled')
      if (at === readyBytes) {
        await new Promise<void>((resolve) => {
          wake = resolve
        })
        continue
      }
      const { bytesRead } = await handle.read(buffer, 0, Math.min(bufferBytes, readyBytes - at), at)
      if (bytesRead === 0) throw new Error('the file is shorter than it was')
      hash.update(buffer.subarray(0, bytesRead))
      const before = at
      at += bytesRead
      if (Math.floor(at / tellEveryBytes) > Math.floor(before / tellEveryBytes)) onProgress?.(at)
    }
    if (cancelled) throw new Error('cancelled')
    return hash.digest('hex')
  }
  const work = async () => {
    const handle = await open(file, 'r')
    try {
      return await read(handle)
    } finally {
      await handle.close()
    }
  }
  const digest = work()
  // It may fail before anybody waits for it.
  digest.catch(() => {})
  const advance = (bytes: number) => {
    readyBytes = bytes
    wake()
  }
  return {
    advance,
    finish: (sizeBytes) => {
      endBytes = sizeBytes
      advance(sizeBytes)
      return digest
    },
    cancel: () => {
      cancelled = true
      wake()
    },
  }
}
