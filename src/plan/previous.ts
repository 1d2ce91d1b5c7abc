/** Copies of replaced versions: which are kept, and how they are called. Which models are such copies is known from the record, never from a name. */
import { shortDigest } from '../artifact/manifest.ts'
import { formatReference, type Reference, referenceKey } from '../artifact/reference.ts'
import type { Intent, Resolution } from './resolution.ts'
import type { InstalledModel } from './state.ts'

const maxTagLength = 80

/** `qwen3:8b` → `qwen3:8b-previous-a2aa5b22c6d6`. */
function previousName(reference: Reference, digest: string): string {
  const suffix = `-previous-${shortDigest(digest)}`
  return formatReference({ ...reference, tag: `${reference.tag.slice(0, maxTagLength - suffix.length)}${suffix}` })
}

/**
 * Name of the copy of what is replaced; `null` when none is kept. Without being asked only what somebody else built here: nobody could
 * give it back.
 *
 * @param isMade It is replaced by what is built here, or by a second name
 */
export function keptAs(
  reference: Reference,
  installed: InstalledModel,
  isMade: boolean,
  { keepPrevious }: Intent,
  resolution: Pick<Resolution, 'recorded' | 'broughtElsewhere'>,
): string | null {
  // What was pulled and is pulled anew may be of the same tag.
  const isBuilt = isMade || installed.parentModel !== undefined
  const isOthers = isBuilt && !isOurs(referenceKey(reference), installed.digest, isMade, resolution)
  return keepPrevious || isOthers ? previousName(reference, installed.digest) : null
}

/**
 * An apply of this user brought or made it, or one of this config found it made as declared: of what is pulled, being there says nothing.
 */
export function isOurs(
  key: string,
  digest: string | null,
  isMade: boolean,
  { recorded, broughtElsewhere }: Pick<Resolution, 'recorded' | 'broughtElsewhere'>,
): boolean {
  const own = recorded.get(key)
  if (own?.digest === digest && (isMade || own.broughtIn)) return true
  return digest !== null && broughtElsewhere.has(digest)
}
