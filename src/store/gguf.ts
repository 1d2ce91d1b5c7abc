/**
 * Reads what a GGUF file says of itself: its key/values and its tensors, never the numbers in them. The file is read in pieces, lists
 * are passed over without being held, and nothing in it is believed: no count makes this reserve memory. `@huggingface/gguf` is
 * not used: it holds whole vocabularies, and does not find that a file was cut.
 */
import type { FileHandle } from 'node:fs/promises'
import { GgufReader, type GgufValue, notGguf } from './gguf-reader.ts'

export interface GgufTensor {
  readonly name: string
  /** Number of its kind, such as 1 for F16. */
  readonly kind: number
  readonly shape: readonly number[]
}

export interface Gguf {
  readonly values: ReadonlyMap<string, GgufValue>
  readonly tensors: readonly GgufTensor[]
  /** Of all tensors. */
  readonly parameterCount: number
}

const maxValues = 100_000
const maxTensors = 100_000
const maxDimensions = 4

/** Numbers that are packed together in a kind of tensor, and the bytes that they take (ggml.h, fs/ggml/ggml.go in v0.33). */
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
  16: [256, 66],
  17: [256, 74],
  18: [256, 98],
  19: [256, 50],
  20: [32, 18],
  21: [256, 110],
  22: [256, 82],
  23: [256, 136],
  24: [1, 1],
  25: [1, 2],
  26: [1, 4],
  27: [1, 8],
  28: [1, 8],
  29: [256, 56],
  30: [1, 2],
  34: [256, 54],
  35: [256, 66],
  39: [32, 17],
  40: [64, 36],
  41: [128, 18],
}

/** @throws {OllamaConfigError} `invalid-response`, saying what is wrong with the file */
export async function readGguf(handle: FileHandle, sizeBytes: number, signal?: AbortSignal): Promise<Gguf> {
  const reader = new GgufReader(handle, sizeBytes, signal)
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
  const given = values.get('general.alignment')
  const alignment = typeof given === 'number' ? given : 32
  if (!Number.isSafeInteger(alignment) || alignment < 1) throw notGguf(`its alignment is ${alignment}`)
  const start = Math.ceil(reader.at / alignment) * alignment
  if (tensors.length > 0 && start + end > sizeBytes)
    throw notGguf(`it is cut: its tensors end at byte ${start + end}, and it has ${sizeBytes} bytes`)
  const parameterCount = tensors.reduce((sum, { shape }) => sum + product(shape), 0)
  if (!Number.isSafeInteger(parameterCount)) throw notGguf('its tensors are larger than any can be')
  return { values, tensors, parameterCount }
}

async function readTensor(reader: GgufReader): Promise<{ readonly tensor: GgufTensor; readonly endBytes: number }> {
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

function product(shape: readonly number[]): number {
  return shape.reduce((result, length) => result * length, 1)
}
