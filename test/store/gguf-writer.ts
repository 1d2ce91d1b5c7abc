/** Writes GGUF files with any values in them, also wrong ones. */

export type Value =
  | { readonly type: 0 | 1 | 2 | 3 | 4 | 5 | 6 | 12; readonly value: number }
  | { readonly type: 7; readonly value: boolean }
  | { readonly type: 8; readonly value: string }
  | { readonly type: 10 | 11; readonly value: bigint }
  | { readonly type: 9; readonly of: number; readonly items: readonly Value[] }

export interface Tensor {
  readonly name: string
  readonly shape: readonly bigint[]
  readonly kind: number
  readonly offset: bigint
}

export interface GgufFile {
  readonly version?: number
  readonly values?: readonly (readonly [key: string, value: Value])[]
  readonly tensors?: readonly Tensor[]
  readonly valueCount?: bigint
  readonly tensorCount?: bigint
  readonly alignment?: number
  /** What comes behind the aligned end of the header. */
  readonly dataBytes?: number
}

export function writeGguf(file: GgufFile): Buffer {
  const { version = 3, values = [], tensors = [], alignment = 32, dataBytes = 0 } = file
  const head = Buffer.concat([
    Buffer.from('GGUF'),
    int(version),
    long(file.tensorCount ?? BigInt(tensors.length)),
    long(file.valueCount ?? BigInt(values.length)),
    ...values.flatMap(([key, value]) => [text(key), int(value.type), bytesOf(value)]),
    ...tensors.flatMap(({ name, shape, kind, offset }) => [
      text(name),
      int(shape.length),
      ...shape.map(long),
      int(kind),
      long(offset),
    ]),
  ])
  if (tensors.length === 0 && dataBytes === 0) return head
  const start = Math.ceil(head.length / alignment) * alignment
  return Buffer.concat([head, Buffer.alloc(start - head.length + dataBytes)])
}

export function bytesOf(value: Value): Buffer {
  switch (value.type) {
    case 0:
    case 7:
      return write(1, (bytes) => bytes.writeUInt8(Number(value.value)))
    case 1:
      return write(1, (bytes) => bytes.writeInt8(value.value))
    case 2:
      return write(2, (bytes) => bytes.writeUInt16LE(value.value))
    case 3:
      return write(2, (bytes) => bytes.writeInt16LE(value.value))
    case 4:
      return int(value.value)
    case 5:
      return write(4, (bytes) => bytes.writeInt32LE(value.value))
    case 6:
      return write(4, (bytes) => bytes.writeFloatLE(value.value))
    case 8:
      return text(value.value)
    case 9:
      return Buffer.concat([int(value.of), long(BigInt(value.items.length)), ...value.items.map(bytesOf)])
    case 10:
      return long(value.value)
    case 11:
      return write(8, (bytes) => bytes.writeBigInt64LE(value.value))
    default:
      return write(8, (bytes) => bytes.writeDoubleLE(value.value))
  }
}

export function int(value: number): Buffer {
  return write(4, (bytes) => bytes.writeUInt32LE(value))
}

export function long(value: bigint): Buffer {
  return write(8, (bytes) => bytes.writeBigUInt64LE(value))
}

export function text(value: string): Buffer {
  const bytes = Buffer.from(value)
  return Buffer.concat([long(BigInt(bytes.length)), bytes])
}

function write(length: number, fill: (bytes: Buffer) => void): Buffer {
  const bytes = Buffer.alloc(length)
  fill(bytes)
  return bytes
}
