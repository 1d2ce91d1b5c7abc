/** Whether an installed model is what a manifest says, though its digest is another: manifests are sometimes printed anew. */
import { blobsOf, isSameBlobs, type Manifest, nominalBytes } from '../artifact/manifest.ts'
import type { Resolution } from './resolution.ts'
import type { InstalledModel } from './state.ts'

/** Whether it surely is: the record or the lock knows its layers. */
export function isKnownAs(digest: string, manifest: Manifest, { contents }: Pick<Resolution, 'contents'>): boolean {
  const known = contents.get(digest)
  return known !== undefined && isSameBlobs(known, blobsOf(manifest))
}

/**
 * By its layers where the record or the lock knows them. Otherwise every blob has to be on the host and the size that the server
 * lists has to be the same to the byte: blobs alone prove nothing, since another model may have brought them.
 */
export function hasContent(
  { digest, sizeBytes }: Pick<InstalledModel, 'digest' | 'sizeBytes'>,
  manifest: Manifest,
  { blobs, contents }: Pick<Resolution, 'blobs' | 'contents'>,
): boolean {
  const known = contents.get(digest)
  if (known !== undefined) return isSameBlobs(known, blobsOf(manifest))
  return sizeBytes === nominalBytes(manifest) && blobsOf(manifest).every((blob) => blobs.get(blob.digest) === true)
}
