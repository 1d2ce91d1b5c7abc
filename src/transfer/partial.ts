/** The file of an unfinished download, with its journal: what it has, writing to it, and going on after a crash. */
import { constants } from 'node:fs'
import { type FileHandle, rm } from 'node:fs/promises'
import { allocatedBytes } from '../runtime/disk-space.ts'
import { Journal, type JournalEntry } from './journal.ts'
import { openOwn } from './own-file.ts'
import { assertRoom } from './problems.ts'
import { type ByteRange, bytesIn, frontierOf, type Ranges, withRange } from './ranges.ts'

const readBytes = 1024 * 1024

export class Partial {
  readonly file: string
  readonly sizeBytes: number
  readonly #handle: FileHandle
  readonly #journal: Journal
  #ranges: Ranges = []

  private constructor(file: string, sizeBytes: number, handle: FileHandle, journal: Journal) {
    this.file = file
    this.sizeBytes = sizeBytes
    this.#handle = handle
    this.#journal = journal
  }

  /**
   * Opens or makes the file in its full size. Nobody else may have it open.
   *
   * @throws {OllamaConfigError} `disk-full`, and what the system says
   */
  static async open(file: string, sizeBytes: number, signal?: AbortSignal): Promise<Partial> {
    const { journal, entries } = await Journal.open(journalOf(file), sizeBytes)
    let handle: FileHandle | undefined
    try {
      // What a crash left is in it.
      handle = await openOwn(file, entries.length === 0 ? constants.O_TRUNC : 0)
      const partial = new Partial(file, sizeBytes, handle, journal)
      partial.#ranges = await partial.#believed(entries, signal)
      const found = await handle.stat()
      // Before it gets its full size: some file systems take all the room for it at once.
      await assertRoom(file, sizeBytes - Math.max(bytesIn(partial.#ranges), allocatedBytes(found)))
      if (found.size !== sizeBytes) await handle.truncate(sizeBytes)
      return partial
    } catch (error) {
      await handle?.close().catch(() => {})
      await journal.close().catch(() => {})
      // Nothing in it is of use.
      if (handle !== undefined && entries.length === 0) await removeFiles(file).catch(() => {})
      throw error
    }
  }

  get ranges(): Ranges {
    return this.#ranges
  }

  /** There without a gap. */
  get frontierBytes(): number {
    return frontierOf(this.#ranges)
  }

  async write(pieces: readonly Uint8Array[], at: number): Promise<void> {
    const size = pieces.reduce((sum, { byteLength }) => sum + byteLength, 0)
    let { bytesWritten } = await this.#handle.writev(pieces, at)
    // A disk that is nearly full takes a part; the next write then says that it is full.
    for (let rest = piecesFrom(pieces, bytesWritten); bytesWritten < size; rest = piecesFrom(pieces, bytesWritten)) {
      const more = await this.#handle.writev(rest, at + bytesWritten)
      bytesWritten += more.bytesWritten
    }
    this.#ranges = withRange(this.#ranges, { from: at, to: at + size })
  }

  /** Remembers a range that was written, for after a crash. */
  async remember(range: ByteRange, crc: number): Promise<void> {
    await this.#journal.add({ ...range, crc })
  }

  /** Begins anew. */
  async reset(): Promise<void> {
    this.#ranges = []
    await this.#journal.reset(this.sizeBytes)
  }

  /** Keeps what it has, for the next time. */
  async close(): Promise<void> {
    await this.#handle.close()
    await this.#journal.close()
  }

  async discard(): Promise<void> {
    await this.close().catch(() => {})
    await removeFiles(this.file)
  }

  /** Nobody has to look at more bytes than there are twice over, or for every range at all others, whatever a journal says. */
  async #believed(entries: readonly JournalEntry[], signal: AbortSignal | undefined): Promise<Ranges> {
    const ranges: ByteRange[] = []
    let leftBytes = 2 * this.sizeBytes
    for (const entry of entries.toSorted((a, b) => a.from - b.from || b.to - a.to)) {
      const last = ranges.at(-1)
      const { from, to } = entry
      if (last !== undefined && to <= last.to) continue
      signal?.throwIfAborted()
      leftBytes -= to - from
      if (leftBytes < 0) break
      if (!(await this.#has(entry))) continue
      if (last === undefined || from > last.to) ranges.push({ from, to })
      else ranges[ranges.length - 1] = { from: last.from, to }
    }
    return ranges
  }

  async #has({ from, to, crc }: ByteRange & { readonly crc: number }): Promise<boolean> {
    const { crc32 } = process.getBuiltinModule('node:zlib')
    const buffer = new Uint8Array(Math.min(readBytes, to - from))
    let found = 0
    for (let at = from; at < to; ) {
      const { bytesRead } = await this.#handle.read(buffer, 0, Math.min(buffer.length, to - at), at)
      if (bytesRead === 0) return false
      found = crc32(buffer.subarray(0, bytesRead), found)
      at += bytesRead
    }
    return found === crc
  }
}

async function removeFiles(file: string): Promise<void> {
  await rm(file, { force: true })
  await removeJournal(file)
}

export function journalOf(partialFile: string): string {
  return `${partialFile}-parts`
}

/** Once the file is in its place: until then a crash would cost all of it. */
export async function removeJournal(partialFile: string): Promise<void> {
  await rm(journalOf(partialFile), { force: true })
}

function piecesFrom(pieces: readonly Uint8Array[], skip: number): readonly Uint8Array[] {
  let left = skip
  return pieces.flatMap((piece) => {
    const cut = Math.min(left, piece.byteLength)
    left -= cut
    return cut === piece.byteLength ? [] : [piece.subarray(cut)]
  })
}
