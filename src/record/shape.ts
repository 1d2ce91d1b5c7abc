/** Checks of what is in a file: each says where something else than expected stands. */
import { isDigest, type Layer } from '../artifact/manifest.ts'
import { printable } from '../artifact/text.ts'

export type Fields = Readonly<Record<string, unknown>>

/** Not shown to anybody: its file's reader makes an error of it that names the file. */
export class ShapeError extends Error {}

export function fieldsAt(value: unknown, place: string): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields
  throw wrong(place, 'an object')
}

export function listAt(value: unknown, place: string): readonly unknown[] {
  if (Array.isArray(value)) return value
  throw wrong(place, 'a list')
}

export function textAt(value: unknown, place: string): string {
  if (typeof value === 'string') return value
  throw wrong(place, 'a text')
}

export function digestAt(value: unknown, place: string): string {
  const text = textAt(value, place)
  if (isDigest(text)) return text
  throw wrong(place, 'a digest ("sha256:" and 64 hex digits)')
}

export function layerAt(value: unknown, place: string): Layer {
  const { mediaType, digest, size } = fieldsAt(value, place)
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0)
    throw wrong(`${place}.size`, 'a number of bytes')
  return {
    mediaType: textAt(mediaType, `${place}.mediaType`),
    digest: digestAt(digest, `${place}.digest`),
    sizeBytes: size,
  }
}

/** As manifests say it. */
export function layerJson({ mediaType, digest, sizeBytes }: Layer): object {
  return { mediaType, digest, size: sizeBytes }
}

/** Each value of an object, by its key, read. Keys are anybody's: `__proto__` is one like any other. */
export function entriesAt<T>(
  value: unknown,
  place: string,
  read: (entry: unknown, place: string, key: string) => T,
): Readonly<Record<string, T>> {
  const entries = Object.entries(fieldsAt(value, place)).map(
    ([key, entry]) => [key, read(entry, `${place}[${JSON.stringify(printable(key, 100))}]`, key)] as const,
  )
  return Object.fromEntries(entries)
}

/** The major number of a version such as `1.0`. */
export function majorAt(value: unknown, place: string): number {
  const text = textAt(value, place)
  if (!/^\d{1,4}\.\d{1,4}$/.test(text)) throw wrong(place, 'a version such as "1.0"')
  return Number.parseInt(text, 10)
}

export function wrong(place: string, wanted: string): ShapeError {
  return new ShapeError(`${place} is not ${wanted}`)
}
