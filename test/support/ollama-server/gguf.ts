/** As much of GGUF as the server tells of a file: its key/values, its tensors, and whether all of it is there. */

export type GgufValue = string | number | boolean | null

interface GgufTensor {
  name: string
  type: string
  shape: number[]
}

export interface Gguf {
  /** Arrays are null, as in `/api/show`. */
  values: Record<string, GgufValue>
  tensors: GgufTensor[]
}

/** The text is that of the server's error. */
export class GgufError extends Error {}

interface TensorKind {
  name: string
  /** Numbers that are packed together, and the bytes that they take. */
  block: number
  bytes: number
}

const tensorKinds = new Map<number, TensorKind>([
  [0, { name: 'F32', block: 1, bytes: 4 }],
  [1, { name: 'F16', block: 1, bytes: 2 }],
  [2, { name: 'Q4_0', block: 32, bytes: 18 }],
  [8, { name: 'Q8_0', block: 32, bytes: 34 }],
  [12, { name: 'Q4_K', block: 256, bytes: 144 }],
  [14, { name: 'Q6_K', block: 256, bytes: 210 }],
  [30, { name: 'BF16', block: 1, bytes: 2 }],
])

export function isGguf(bytes: Uint8Array): boolean {
  return Buffer.from(bytes.subarray(0, 4)).toString('latin1') === 'GGUF'
}

/** @throws GgufError */
export function readGguf(bytes: Uint8Array): Gguf {
  const reader = new Reader(bytes)
  reader.skip(8)
  const tensorCount = reader.long()
  const valueCount = reader.long()
  const values: Record<string, GgufValue> = {}
  for (let count = 0; count < valueCount; count++) {
    const key = reader.text()
    values[key] = reader.value(reader.int())
  }
  const tensors: GgufTensor[] = []
  const ends: { name: string; end: number }[] = []
  for (let count = 0; count < tensorCount; count++) {
    const name = reader.text('failed to read tensor name: ')
    const dimensions = reader.int()
    if (dimensions > 4) throw new GgufError(`tensor "${name}" dimensions ${dimensions} exceeds maximum 4`)
    const shape = Array.from({ length: dimensions }, () => reader.long())
    const kind = tensorKinds.get(reader.int())
    const offset = reader.long()
    const elements = product(shape)
    tensors.push({ name, type: kind?.name ?? 'unknown', shape })
    if (kind !== undefined) ends.push({ name, end: offset + (elements / kind.block) * kind.bytes })
  }
  const alignment = Number(values['general.alignment'] ?? 32)
  const start = Math.ceil(reader.at / alignment) * alignment
  const cut = ends.find(({ end }) => start + end > bytes.length)
  if (cut !== undefined) {
    throw new GgufError(`tensor "${cut.name}" offset+size (${start + cut.end}) exceeds file size (${bytes.length})`)
  }
  return { values: withCount(values, tensors), tensors }
}

/** The real server always counts; here a file may state another count, so that a small one can stand for a large model. */
function withCount(values: Record<string, GgufValue>, tensors: GgufTensor[]): Record<string, GgufValue> {
  const counted = tensors.reduce((sum, { shape }) => sum + product(shape), 0)
  return { 'general.parameter_count': counted, ...values }
}

function product(shape: number[]): number {
  return shape.reduce((result, length) => result * length, 1)
}

class Reader {
  at = 0
  readonly #bytes: Buffer

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  skip(length: number, where = ''): number {
    const left = this.#bytes.length - this.at
    if (length > left) throw new GgufError(`${where}${left === 0 ? 'EOF' : 'unexpected EOF'}`)
    this.at += length
    return this.at - length
  }

  int(): number {
    return this.#bytes.readUInt32LE(this.skip(4))
  }

  long(where = ''): number {
    return Number(this.#bytes.readBigUInt64LE(this.skip(8, where)))
  }

  text(where = ''): string {
    const length = this.long(where)
    const from = this.skip(length, where)
    return this.#bytes.toString('utf8', from, from + length)
  }

  value(type: number): GgufValue {
    const bytes = this.#bytes
    const readers: (() => GgufValue)[] = [
      () => bytes.readUInt8(this.skip(1)),
      () => bytes.readInt8(this.skip(1)),
      () => bytes.readUInt16LE(this.skip(2)),
      () => bytes.readInt16LE(this.skip(2)),
      () => this.int(),
      () => bytes.readInt32LE(this.skip(4)),
      () => bytes.readFloatLE(this.skip(4)),
      () => bytes.readUInt8(this.skip(1)) !== 0,
      () => this.text(),
      () => this.#array(),
      () => this.long(),
      () => Number(bytes.readBigInt64LE(this.skip(8))),
      () => bytes.readDoubleLE(this.skip(8)),
    ]
    const read = readers[type]
    if (read === undefined) throw new GgufError(`invalid type: ${type}`)
    return read()
  }

  #array(): null {
    const type = this.int()
    const length = this.long()
    for (let count = 0; count < length; count++) this.value(type)
    return null
  }
}
