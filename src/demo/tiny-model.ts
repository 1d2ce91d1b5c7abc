/** Makes small models that are real ones in form: a GGUF file with its facts and one tensor, config, template and licence. */
import { configMediaType, imageType, manifestMediaType } from '../artifact/manifest.ts'
import { sha256 } from '../runtime/sha256.ts'

export interface TinyModel {
  readonly manifest: string
  /** By digest. */
  readonly blobs: ReadonlyMap<string, Uint8Array>
}

export interface TinyModelOptions {
  /** In its GGUF. */
  readonly name: string
  /** Of the one tensor. */
  readonly weights: number
  readonly license: string
}

export function tinyModel({ name, weights, license }: TinyModelOptions): TinyModel {
  const blobs = new Map<string, Uint8Array>()
  const layer = (mediaType: string, bytes: Uint8Array) => {
    const digest = `sha256:${sha256(bytes)}`
    blobs.set(digest, bytes)
    return { mediaType, digest, size: bytes.byteLength }
  }
  const text = (value: string) => new TextEncoder().encode(value)
  const layers = [
    layer(imageType('model'), tinyGguf(name, weights)),
    layer(imageType('template'), text('{{ .System }}\n{{ .Prompt }}')),
    layer(imageType('license'), text(license)),
    layer(imageType('params'), text('{"num_ctx":2048}')),
  ]
  const config = {
    model_format: 'gguf',
    model_family: 'llama',
    model_families: ['llama'],
    model_type: `${Math.round(weights / 1e6)}M`,
    file_type: 'F16',
    architecture: 'amd64',
    os: 'linux',
  }
  const manifest = {
    schemaVersion: 2,
    mediaType: manifestMediaType,
    config: layer(configMediaType, text(JSON.stringify(config))),
    layers,
  }
  return { manifest: JSON.stringify(manifest), blobs }
}

/** Numbers of the GGUF format: the kinds of values and of tensors that are used here. */
const kinds = { uint32: 4, string: 8, f16: 1 } as const
const alignment = 32

function tinyGguf(name: string, weights: number): Uint8Array {
  const head = ggufHead(name, weights)
  const file = new Uint8Array(head.byteLength + 2 * weights)
  file.set(head)
  // Nowhere alike, so that bytes in the wrong place would be found.
  const numbers = new DataView(file.buffer, head.byteLength)
  let state = weights
  for (let at = 0; at < weights; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    numbers.setUint16(2 * at, state >>> 18, true)
  }
  return file
}

/** GGUF 3, little endian: header, key/values, one tensor of 16-bit numbers, padding. The numbers come behind it. */
export function ggufHead(name: string, weights: number): Uint8Array {
  const head = new Writer()
  head.bytes(new TextEncoder().encode('GGUF'))
  head.uint32(3)
  head.uint64(1)
  const values: readonly (readonly [key: string, value: string | number])[] = [
    ['general.architecture', 'llama'],
    ['general.name', name],
    ['general.file_type', 1],
    ['llama.block_count', 1],
    ['llama.context_length', 2048],
    ['llama.embedding_length', 64],
    ['llama.attention.head_count', 4],
  ]
  head.uint64(values.length)
  for (const [key, value] of values) {
    head.string(key)
    head.uint32(typeof value === 'string' ? kinds.string : kinds.uint32)
    if (typeof value === 'string') head.string(value)
    else head.uint32(value)
  }
  head.string('token_embd.weight')
  head.uint32(1)
  head.uint64(weights)
  head.uint32(kinds.f16)
  head.uint64(0)
  const padded = new Uint8Array(Math.ceil(head.length / alignment) * alignment)
  padded.set(head.done())
  return padded
}

class Writer {
  readonly #pieces: Uint8Array[] = []
  length = 0

  bytes(piece: Uint8Array): void {
    this.#pieces.push(piece)
    this.length += piece.byteLength
  }

  uint32(value: number): void {
    const piece = new Uint8Array(4)
    new DataView(piece.buffer).setUint32(0, value, true)
    this.bytes(piece)
  }

  uint64(value: number): void {
    const piece = new Uint8Array(8)
    new DataView(piece.buffer).setBigUint64(0, BigInt(value), true)
    this.bytes(piece)
  }

  string(text: string): void {
    const piece = new TextEncoder().encode(text)
    this.uint64(piece.byteLength)
    this.bytes(piece)
  }

  done(): Uint8Array {
    const all = new Uint8Array(this.length)
    let at = 0
    for (const piece of this.#pieces) {
      all.set(piece, at)
      at += piece.byteLength
    }
    return all
  }
}
