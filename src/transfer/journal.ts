/**
 * What an unfinished download has: one line per range with its checksum, appended when the bytes are written. What a crash leaves
 * is believed only where the bytes still have that checksum.
 */
import { constants } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { openOwn } from './own-file.ts'
import type { ByteRange } from './ranges.ts'

export interface JournalEntry extends ByteRange {
  /** CRC-32 of the bytes. It finds what a crash lost; what was forged is found by the digest at the end. */
  readonly crc: number
}

const header = 'ollama-config parts 1'
/** A journal has a line per 8 MiB or so: this one is not of ours. */
const maxBytes = 64 * 1024 * 1024

export class Journal {
  readonly #handle: FileHandle
  /** One after the other, so that no line begins within another. */
  #writing: Promise<unknown> = Promise.resolve()

  private constructor(handle: FileHandle) {
    this.#handle = handle
  }

  /** Opens or makes it, and tells what it has. Entries of another size of the file are none. */
  static async open(file: string, sizeBytes: number): Promise<{ journal: Journal; entries: readonly JournalEntry[] }> {
    const handle = await openOwn(file, constants.O_APPEND)
    try {
      const journal = new Journal(handle)
      const { size } = await handle.stat()
      const text = size > maxBytes ? '' : await handle.readFile('utf8')
      const entries = parseJournal(text, sizeBytes)
      if (entries === undefined) await journal.reset(sizeBytes)
      // A line that was cut would swallow the next one.
      else if (!text.endsWith('\n')) await journal.#append('\n')
      return { journal, entries: entries ?? [] }
    } catch (error) {
      await handle.close().catch(() => {})
      throw error
    }
  }

  async add({ from, to, crc }: JournalEntry): Promise<void> {
    await this.#append(`${from} ${to} ${crc.toString(16)}\n`)
  }

  /** Forgets all of it. */
  async reset(sizeBytes: number): Promise<void> {
    this.#writing = this.#writing.then(() => this.#handle.truncate(0))
    await this.#append(`${header} ${sizeBytes}\n`)
  }

  async close(): Promise<void> {
    await this.#writing.catch(() => {})
    await this.#handle.close()
  }

  #append(text: string): Promise<unknown> {
    this.#writing = this.#writing.then(() => this.#handle.appendFile(text))
    return this.#writing
  }
}

/** `undefined` for what is no journal of a file of this size. Lines that are none are left out. */
export function parseJournal(text: string, sizeBytes: number): readonly JournalEntry[] | undefined {
  const [first, ...lines] = text.split('\n')
  if (first !== `${header} ${sizeBytes}`) return undefined
  return lines.flatMap((line) => {
    const found = /^(\d{1,15}) (\d{1,15}) ([0-9a-f]{1,8})$/.exec(line)
    if (found === null) return []
    const [from, to] = [Number(found[1]), Number(found[2])]
    return from < to && to <= sizeBytes ? [{ from, to, crc: Number.parseInt(found[3] ?? '', 16) }] : []
  })
}
