/** Reads the values of a GGUF file in pieces, and believes nothing in it: no count makes this reserve memory, or go on for long. */
import type { FileHandle } from 'node:fs/promises'
import { printable } from '../artifact/text.ts'
import { OllamaConfigError } from '../errors.ts'
import { damageHint } from './read-blob.ts'

/** A list with something in it is `null`, as an Ollama server tells it; an empty one of bytes is an empty text there. */
export type GgufValue = string | number | boolean | null | readonly never[]

const windowBytes = 1024 * 1024
/** Chat templates have some hundred kilobytes at most. A server reads no longer ones either. */
const maxTextBytes = 16 * 1024 * 1024
/** Of everything that is held. */
const maxHeldBytes = 64 * 1024 * 1024
/** Vocabularies have some hundred thousand. */
const maxItems = 16 * 1024 * 1024
const maxDepth = 4

/** By number of the type; text and lists are not here. */
const widths: Readonly<Record<number, number>> = {
  0: 1,
  1: 1,
  2: 2,
  3: 2,
  4: 4,
  5: 4,
  6: 4,
  7: 1,
  10: 8,
  11: 8,
  12: 8,
}
const byteType = 0
const textType = 8
const listType = 9

export class GgufReader {
  /** Of the next byte. */
  at = 0
  readonly #handle: FileHandle
  readonly #sizeBytes: number
  readonly #signal: AbortSignal | undefined
  #window = Buffer.alloc(0)
  /** Where the window begins. */
  #start = 0
  #heldBytes = 0
  #items = 0

  constructor(handle: FileHandle, sizeBytes: number, signal: AbortSignal | undefined) {
    this.#handle = handle
    this.#sizeBytes = sizeBytes
    this.#signal = signal
  }

  async text4(): Promise<string> {
    return (await this.#take(4)).toString('latin1')
  }

  async uint32(): Promise<number> {
    return (await this.#take(4)).readUInt32LE()
  }

  async uint64(): Promise<number> {
    return unsigned(await this.#take(8))
  }

  async count(most: number, what: string): Promise<number> {
    const count = await this.uint64()
    if (count > most) throw notGguf(`it says that it has ${count} ${what}`)
    return count
  }

  async text(): Promise<string> {
    const length = await this.uint64()
    if (length > maxTextBytes) throw notGguf(`a text in it has ${length} bytes`)
    this.#heldBytes += length
    if (this.#heldBytes > maxHeldBytes) throw notGguf(`its texts have more than ${maxHeldBytes} bytes`)
    return (await this.#take(length)).toString('utf8')
  }

  async value(type: number, depth: number): Promise<GgufValue> {
    if (type === textType) return this.text()
    if (type === listType) return this.#skipList(depth)
    const width = widths[type]
    if (width === undefined) throw notGguf(`a value in it is of type ${type}, which is not known`)
    const bytes = await this.#take(width)
    switch (type) {
      case 0:
        return bytes.readUInt8()
      case 1:
        return bytes.readInt8()
      case 2:
        return bytes.readUInt16LE()
      case 3:
        return bytes.readInt16LE()
      case 4:
        return bytes.readUInt32LE()
      case 5:
        return bytes.readInt32LE()
      case 6:
        return finite(shortest(bytes.readFloatLE()))
      case 7:
        return bytes.readUInt8() !== 0
      case 10:
        return unsigned(bytes)
      case 11:
        return bytes.readInt32LE(4) * 2 ** 32 + bytes.readUInt32LE()
      default:
        return finite(bytes.readDoubleLE())
    }
  }

  async #skipList(depth: number): Promise<GgufValue> {
    if (depth > maxDepth) throw notGguf('its lists are too deep')
    const type = await this.uint32()
    const length = await this.uint64()
    const width = widths[type]
    if (width !== undefined) this.#skip(length * width)
    else if (type === textType || type === listType) await this.#skipItems(type, length, depth)
    else throw notGguf(`a list in it is of type ${type}, which is not known`)
    if (length > 0) return null
    return type === byteType ? '' : []
  }

  /** Each begins with a length of its own. */
  async #skipItems(type: number, length: number, depth: number): Promise<void> {
    this.#items += length
    if (this.#items > maxItems) throw notGguf(`its lists have more than ${maxItems} items`)
    if (length * 8 > this.#sizeBytes - this.at) throw isCut()
    for (let index = 0; index < length; index++) {
      if (type === listType) {
        await this.#skipList(depth + 1)
        continue
      }
      if (!this.#buffered(8)) await this.#load(8)
      const bytes = unsigned(this.#window, this.at - this.#start)
      this.at += 8
      this.#skip(bytes)
    }
  }

  #buffered(length: number): boolean {
    return this.at >= this.#start && this.at + length <= this.#start + this.#window.length
  }

  #skip(length: number): void {
    if (this.at + length > this.#sizeBytes) throw isCut()
    this.at += length
  }

  async #take(length: number): Promise<Buffer> {
    if (!this.#buffered(length)) await this.#load(length)
    const from = this.at - this.#start
    this.at += length
    return this.#window.subarray(from, from + length)
  }

  async #load(length: number): Promise<void> {
    this.#signal?.throwIfAborted()
    if (this.at + length > this.#sizeBytes) throw isCut()
    const wanted = Math.min(Math.max(length, windowBytes), this.#sizeBytes - this.at)
    const window = Buffer.alloc(wanted)
    let read = 0
    while (read < length) {
      const { bytesRead } = await this.#handle.read(window, read, wanted - read, this.at + read)
      if (bytesRead === 0) throw isCut()
      read += bytesRead
    }
    this.#window = window.subarray(0, read)
    this.#start = this.at
  }
}

/** Past 2^53 the nearest number that there is, as whoever reads the server's JSON gets it. */
function unsigned(bytes: Buffer, at = 0): number {
  return bytes.readUInt32LE(at + 4) * 2 ** 32 + bytes.readUInt32LE(at)
}

/** JSON has no infinity, and nothing that is no number. */
function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null
}

/** As Go prints a number of 32 bits: with no more digits than it takes to tell it from its neighbours. */
function shortest(value: number): number {
  if (!Number.isFinite(value)) return value
  // Of which there are two.
  if (value === 0) return value
  // Nine digits tell any two apart.
  for (let digits = 1; digits < 9; digits++) {
    const [mantissa = '', exponent] = value.toExponential(digits - 1).split('e')
    const near = Number(mantissa.replace('.', ''))
    const step = Math.sign(near)
    // In the middle of two JavaScript takes the larger, Go the even one; and a power of two has more room above it than below.
    const isMiddle =
      near % 2 !== 0 && /5e/.test(value.toExponential(digits)) && Number(value.toExponential(digits)) === value
    for (const candidate of isMiddle ? [near - step, near] : [near, near + step]) {
      const short = Number(`${candidate}e${Number(exponent) - digits + 1}`)
      if (Math.fround(short) === value) return short
    }
  }
  return Number(value.toPrecision(9))
}

function isCut(): OllamaConfigError {
  return notGguf('it is cut')
}

/** @param problem Ends a sentence about the file: `it is cut` */
export function notGguf(problem: string): OllamaConfigError {
  return new OllamaConfigError(
    'invalid-response',
    `The weights are no GGUF file that a server can load: ${printable(problem, 200)}`,
    { hint: damageHint },
  )
}
