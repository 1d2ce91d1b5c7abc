/** Reads small files, and those that did not change since not again: an apply looks at all of a store after each change. */
import type { Stats } from 'node:fs'
import { stat } from 'node:fs/promises'
import { readSmallFile } from '../runtime/regular-file.ts'

/** Manifests and texts of models have a few kilobytes. */
const maxRememberedBytes = 64 * 1024
const maxBytesTogether = 32 * 1024 * 1024

interface Remembered {
  readonly version: string
  readonly bytes: Uint8Array
}

export class SmallFiles {
  readonly #remembered = new Map<string, Remembered>()
  #bytesTogether = 0

  /** @throws {NotReadableError} and what the system refuses, as {@link readSmallFile} */
  async read(file: string, maxBytes: number): Promise<Uint8Array> {
    const known = this.#remembered.get(file)
    if (known !== undefined && known.version === (await statVersion(file))) return known.bytes
    // What it was before it was read: one that is changed meanwhile is read again the next time.
    const { bytes, found } = await readSmallFile(file, maxBytes)
    this.#forget(file)
    if (isSettled(found)) this.#remember(file, { version: versionOf(found), bytes })
    return bytes
  }

  #forget(file: string): void {
    this.#bytesTogether -= this.#remembered.get(file)?.bytes.byteLength ?? 0
    this.#remembered.delete(file)
  }

  #remember(file: string, remembered: Remembered): void {
    const size = remembered.bytes.byteLength
    if (size > maxRememberedBytes || this.#bytesTogether + size > maxBytesTogether) return
    this.#remembered.set(file, remembered)
    this.#bytesTogether += size
  }
}

async function statVersion(file: string): Promise<string | undefined> {
  return stat(file).then(versionOf, () => undefined)
}

function versionOf({ dev, ino, size, mtimeMs, ctimeMs }: Stats): string {
  return [dev, ino, size, mtimeMs, ctimeMs].join(' ')
}

/**
 * Written twice within a tick of the file system's clock, it may look as if it had been written once. Some count seconds only, and Deno
 * tells no more of the second time.
 */
function isSettled({ mtimeMs, ctimeMs }: Stats): boolean {
  return [mtimeMs, ctimeMs].every((ms) => Math.abs(Date.now() - ms) > (ms % 1000 === 0 ? 2000 : 100))
}
