/** Layers as our files write them: as manifests do. */
import type { Layer } from '../artifact/manifest.ts'
import { bytesAt, digestAt, fieldsAt, textAt } from '../shape.ts'

export function layerAt(value: unknown, place: string): Layer {
  const { mediaType, digest, size } = fieldsAt(value, place)
  return {
    mediaType: textAt(mediaType, `${place}.mediaType`),
    digest: digestAt(digest, `${place}.digest`),
    sizeBytes: bytesAt(size, `${place}.size`),
  }
}

export function layerJson({ mediaType, digest, sizeBytes }: Layer): object {
  return { mediaType, digest, size: sizeBytes }
}
