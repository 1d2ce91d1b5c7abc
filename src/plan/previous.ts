/** Copies of replaced versions: how they are called. Which models are such copies is known from the record, never from a name. */
import { shortDigest } from '../artifact/manifest.ts'
import { formatReference, type Reference } from '../artifact/reference.ts'

const maxTagLength = 80

/** `qwen3:8b` → `qwen3:8b-previous-a2aa5b22c6d6`. */
export function previousName(reference: Reference, digest: string): string {
  const suffix = `-previous-${shortDigest(digest)}`
  return formatReference({ ...reference, tag: `${reference.tag.slice(0, maxTagLength - suffix.length)}${suffix}` })
}
