/** Tiny files in GGUF, the same bytes on every run: weights, adapters and projectors for tests that need real ones. */

export interface GgufParts {
  /** By default `llama`. */
  architecture?: string
  /** `general.type`, which tells adapters (`adapter`) and projectors (`mmproj`) from weights. */
  type?: string
  name?: string
  /** The number of the file type; 1, which is F16, by default. An adapter has none. */
  fileType?: number
  /** Stated instead of counted from the tensors: only the test server believes it. */
  parameterCount?: number
  chatTemplate?: string
  /** Further keys, instead of block count, context length and embedding length. */
  values?: Record<string, string | number | boolean>
  /** Each of 32-bit floats; by default one of 64 of them. */
  tensors?: { name: string; shape: number[] }[]
  /** The float in all tensors: another one makes other bytes of the same model. */
  fill?: number
}

const alignment = 32

export function makeGguf(parts: GgufParts = {}): Uint8Array {
  const { architecture = 'llama', type, name, parameterCount, chatTemplate, fill = 0.5 } = parts
  const { tensors = [{ name: 'token_embd.weight', shape: [64] }] } = parts
  const fileType = parts.fileType ?? (type === undefined ? 1 : undefined)
  const { values = type === undefined ? sizesOf(architecture) : {} } = parts
  const entries = Object.entries({
    'general.architecture': architecture,
    'general.type': type,
    'general.name': name,
    'general.file_type': fileType,
    'general.parameter_count': parameterCount,
    ...values,
    'tokenizer.chat_template': chatTemplate,
  }).filter(([, value]) => value !== undefined) as [string, string | number | boolean][]
  let end = 0
  const placed = tensors.map((tensor) => {
    const offset = end
    const count = tensor.shape.reduce((product, length) => product * length, 1)
    end = aligned(offset + 4 * count)
    return { ...tensor, offset, count }
  })
  const head = Buffer.concat([
    Buffer.from('GGUF'),
    int(3),
    long(placed.length),
    long(entries.length),
    ...entries.flatMap(([key, value]) => [text(key), ...typed(value)]),
    ...placed.flatMap((tensor) => [
      text(tensor.name),
      int(tensor.shape.length),
      ...tensor.shape.map(long),
      int(0),
      long(tensor.offset),
    ]),
  ])
  const start = aligned(head.length)
  const last = placed.at(-1)
  const bytes = Buffer.alloc(last === undefined ? head.length : start + last.offset + 4 * last.count)
  head.copy(bytes)
  for (const { offset, count } of placed) {
    for (let index = 0; index < count; index++) bytes.writeFloatLE(fill, start + offset + 4 * index)
  }
  return bytes
}

function sizesOf(architecture: string): Record<string, number> {
  return {
    [`${architecture}.block_count`]: 1,
    [`${architecture}.context_length`]: 2048,
    [`${architecture}.embedding_length`]: 64,
  }
}

function aligned(length: number): number {
  return Math.ceil(length / alignment) * alignment
}

function typed(value: string | number | boolean): Buffer[] {
  if (typeof value === 'string') return [int(8), text(value)]
  if (typeof value === 'boolean') return [int(7), Buffer.from([value ? 1 : 0])]
  if (!Number.isInteger(value)) return [int(12), double(value)]
  return value < 2 ** 32 ? [int(4), int(value)] : [int(10), long(value)]
}

function int(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

function long(value: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(BigInt(value))
  return bytes
}

function double(value: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeDoubleLE(value)
  return bytes
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value)
  return Buffer.concat([long(bytes.length), bytes])
}
