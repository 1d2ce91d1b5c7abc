/** Bytes of blobs, kept or made when they are needed, and the parts of them that a client asks for. */
import { createHash } from 'node:crypto'
import type { Blob, ManifestLayer } from '../ollama-server/content.ts'
import type { ServerLayer } from '../ollama-server/options.ts'
import type { Fill } from './options.ts'

const chunkSize = 256 * 1024

export interface BlobBytes {
  size: number
  /** From the first to before the last, in chunks. */
  read(from: number, to: number): Iterable<Uint8Array>
}

export function keptBytes(bytes: Uint8Array): BlobBytes {
  return {
    size: bytes.length,
    *read(from, to) {
      for (let at = from; at < to; at += chunkSize) yield bytes.subarray(at, Math.min(at + chunkSize, to))
    },
  }
}

export function filledBytes(size: number, fill: Fill): BlobBytes {
  const { header = new Uint8Array() } = fill
  const pattern = 'repeat' in fill ? fill.repeat : Uint8Array.of(fill.byte)
  const chunk = Buffer.alloc(chunkSize + pattern.length, pattern)
  return {
    size,
    *read(from, to) {
      if (from < header.length) yield header.subarray(from, Math.min(to, header.length))
      for (let at = Math.max(from, header.length); at < to; at += chunkSize) {
        const shift = (at - header.length) % pattern.length
        yield chunk.subarray(shift, shift + Math.min(chunkSize, to - at))
      }
    },
  }
}

/** @throws where neither bytes nor a rule to make them are given. */
export function bytesOf({ bytes, size }: Blob, { digest }: ManifestLayer, fill: Fill | undefined): BlobBytes {
  if (bytes !== undefined) return keptBytes(bytes)
  if (fill !== undefined) return filledBytes(size, fill)
  throw new Error(
    `test registry: ${digest} has a size but no bytes to serve: give "bytes", a "fill", or name it in "lostBlobs"`,
  )
}

/** A layer too large to keep, with the digest its made-up bytes really have. Publish it with the same `fill`. */
export function filledLayer(
  size: number,
  fill: Fill,
  mediaType = 'application/vnd.ollama.image.model',
): Required<Pick<ServerLayer, 'mediaType' | 'size' | 'digest'>> {
  const hash = createHash('sha256')
  for (const chunk of filledBytes(size, fill).read(0, size)) hash.update(chunk)
  return { mediaType, size, digest: `sha256:${hash.digest('hex')}` }
}

export interface ByteRange {
  from: number
  /** Before this one. */
  to: number
}

/** All of it without a header; undefined where the header makes no sense. */
export function readRange(header: string | undefined, size: number): ByteRange | undefined {
  if (header === undefined) return { from: 0, to: size }
  const found = /^bytes=(\d+)-(\d*)$/.exec(header)
  if (found === null) return undefined
  const from = Number(found[1])
  const last = found[2] === '' ? size - 1 : Number(found[2])
  return from >= size || last < from ? undefined : { from, to: Math.min(last + 1, size) }
}
