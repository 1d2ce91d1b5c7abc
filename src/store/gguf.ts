/**
 * Reads what a GGUF file says of itself: its key/values and its tensors, never the numbers in them. The file is read in pieces, lists
 * are passed over without being held, and nothing in it is believed: no count makes this reserve memory. `@huggingface/gguf` is
 * not used: it holds whole vocabularies, and does not find that a file was cut.
 */
import type { FileHandle } from 'node:fs/promises'
import { printable } from '../artifact/text.ts'
import { OllamaConfigError } from '../errors.ts'

export type GgufValue = string | number | boolean | null

export interface GgufTensor {
  readonly name: string
  /** Number of its kind, such as 1 for F16. */
  readonly kind: number
  readonly shape: readonly number[]
}

export interface Gguf {
  /** A list is `null`, as an Ollama server tells it. */
  readonly values: ReadonlyMap<string, GgufValue>
  readonly tensors: readonly GgufTensor[]
  /** Of all tensors. */
  readonly parameterCount: number
}

const windowBytes = 1024 * 1024
/** Chat templates have some hundred kilobytes at most. */
const maxTextBytes = 16 * 1024 * 1024
const maxValues = 100_000
const maxTensors = 1_000_000
const maxDimensions = 8
const maxDepth = 4

/** Numbers that are packed together in a kind of tensor, and the bytes that they take (ggml.h). */
const packing: Readonly<Record<number, readonly [numbers: number, bytes: number]>> = {
  0: [1, 4],
  1: [1, 2],
  2: [32, 18],
  3: [32, 20],
  6: [32, 22],
  7: [32, 24],
  8: [32, 34],
  9: [32, 36],
  10: [256, 84],
  11: [256, 110],
  12: [256, 144],
  13: [256, 176],
  14: [256, 210],
  15: [256, 292],
  24: [1, 1],
  25: [1, 2],
  26: [1, 4],
  27: [1, 8],
  28: [1, 8],
  30: [1, 2],
}

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
const textType = 8
const listType = 9

/** @throws {OllamaConfigError} `invalid-response`, saying what is wrong with the file */
export async function readGguf(handle: FileHandle, sizeBytes: number, signal?: AbortSignal): Promise<Gguf> {
  const reader = new Reader(handle, sizeBytes, signal)
  if (sizeBytes < 24 || (await reader.text4()) !== 'GGUF') throw notGguf('it does not begin with GGUF')
  const version = await reader.uint32()
  if (version === 0x02000000 || version === 0x03000000) throw notGguf('it is big-endian, which no server here can load')
  if (version !== 2 && version !== 3) throw notGguf(`it is of version ${version}, and 2 and 3 are known`)
  const tensorCount = await reader.count(maxTensors, 'tensors')
  const valueCount = await reader.count(maxValues, 'values')
  const values = new Map<string, GgufValue>()
  for (let index = 0; index < valueCount; index++) {
    const key = await reader.text()
    values.set(key, await reader.value(await reader.uint32(), 0))
  }
  const tensors: GgufTensor[] = []
  let end = 0
  for (let index = 0; index < tensorCount; index++) {
    const { tensor, endBytes } = await readTensor(reader)
    tensors.push(tensor)
    end = Math.max(end, endBytes)
  }
  const alignment = Number(values.get('general.alignment') ?? 32)
  if (!Number.isInteger(alignment) || alignment < 1) throw notGguf('its alignment is no number')
  const start = Math.ceil(reader.at / alignment) * alignment
  if (start + end > sizeBytes)
    throw notGguf(`it is cut: its tensors end at byte ${start + end}, and it has ${sizeBytes} bytes`)
  return { values, tensors, parameterCount: tensors.reduce((sum, { shape }) => sum + product(shape), 0) }
}

async function readTensor(reader: Reader): Promise<{ readonly tensor: GgufTensor; readonly endBytes: number }> {
  const name = await reader.text()
  const dimensions = await reader.uint32()
  if (dimensions > maxDimensions) throw notGguf(`a tensor has ${dimensions} dimensions`)
  const shape: number[] = []
  for (let index = 0; index < dimensions; index++) shape.push(await reader.uint64())
  const kind = await reader.uint32()
  const offset = await reader.uint64()
  // Of a kind that is not known at least the beginning has to be there.
  const [numbers, bytes] = packing[kind] ?? [1, 0]
  return { tensor: { name, kind, shape }, endBytes: offset + Math.ceil(product(shape) / numbers) * bytes }
}

class Reader {
  /** Of the next byte. */
  at = 0
  readonly #handle: FileHandle
  readonly #sizeBytes: number
  readonly #signal: AbortSignal | undefined
  #window = Buffer.alloc(0)
  /** Where the window begins. */
  #start = 0

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

  /** Past 2^53 the nearest number that there is. */
  async uint64(): Promise<number> {
    return Number((await this.#take(8)).readBigUInt64LE())
  }

  async count(most: number, what: string): Promise<number> {
    const count = await this.uint64()
    if (count > most) throw notGguf(`it says that it has ${count} ${what}`)
    return count
  }

  async text(): Promise<string> {
    const length = await this.uint64()
    if (length > maxTextBytes) throw notGguf(`a text in it has ${length} bytes`)
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
        return shortest(bytes.readFloatLE())
      case 7:
        return bytes.readUInt8() !== 0
      case 10:
        return Number(bytes.readBigUInt64LE())
      case 11:
        return Number(bytes.readBigInt64LE())
      default:
        return bytes.readDoubleLE()
    }
  }

  async #skipList(depth: number): Promise<null> {
    if (depth > maxDepth) throw notGguf('its lists are too deep')
    const type = await this.uint32()
    const length = await this.uint64()
    const width = widths[type]
    if (width !== undefined) {
      this.#skip(length * width)
      return null
    }
    if (type !== textType && type !== listType) throw notGguf(`a list in it is of type ${type}, which is not known`)
    // Every item has at least its length, so that the size of the file is the limit.
    for (let index = 0; index < length; index++) {
      if (type === listType) await this.#skipList(depth + 1)
      else this.#skip(this.#buffered(8) ? this.#uint64Here() : await this.uint64())
    }
    return null
  }

  #uint64Here(): number {
    const value = Number(this.#window.readBigUInt64LE(this.at - this.#start))
    this.at += 8
    return value
  }

  #buffered(length: number): boolean {
    return this.at >= this.#start && this.at + length <= this.#start + this.#window.length
  }

  #skip(length: number): void {
    if (this.at + length > this.#sizeBytes) throw notGguf('it is cut')
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
    if (this.at + length > this.#sizeBytes) throw notGguf('it is cut')
    const wanted = Math.min(Math.max(length, windowBytes), this.#sizeBytes - this.at)
    const window = Buffer.alloc(wanted)
    let read = 0
    while (read < length) {
      const { bytesRead } = await this.#handle.read(window, read, wanted - read, this.at + read)
      if (bytesRead === 0) throw notGguf('it is cut')
      read += bytesRead
    }
    this.#window = window.subarray(0, read)
    this.#start = this.at
  }
}

/** As Go prints a number of 32 bits: with no more digits than it takes to tell it from its neighbours. */
function shortest(value: number): number | null {
  // Neither is in JSON.
  if (!Number.isFinite(value)) return null
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits))
    if (Math.fround(short) === value) return short
  }
  return value
}

function product(shape: readonly number[]): number {
  return shape.reduce((result, length) => result * length, 1)
}

function notGguf(problem: string): OllamaConfigError {
  return new OllamaConfigError(
    'invalid-response',
    `The weights are no GGUF file that a server can load: ${printable(problem, 200)}`,
    {
      hint: 'the model may be damaged: "ollama-config verify" tells',
    },
  )
}
