/** Copies of replaced versions: which are kept, and how they are called. Which models are such copies is known from the record, never from a name. */
import { shortDigest } from '../artifact/manifest.ts'
import { formatReference, parseListedName, type Reference, sameReference } from '../artifact/reference.ts'
import { isOllamaConfigError } from '../errors.ts'
import type { Intent, Recorded } from './resolution.ts'
import type { InstalledModel } from './state.ts'

const maxTagLength = 80

/** `qwen3:8b` → `qwen3:8b-previous-a2aa5b22c6d6`. */
function previousName(reference: Reference, digest: string): string {
  const suffix = `-previous-${shortDigest(digest)}`
  return formatReference({ ...reference, tag: `${reference.tag.slice(0, maxTagLength - suffix.length)}${suffix}` })
}

/**
 * Name of the copy of what is replaced; `null` when none is kept. Without being asked only what somebody built here by hand: nobody
 * could give it back.
 *
 * @param parents Of what is made: models that it may have been built from by an earlier apply whose record is lost
 */
export function keptAs(
  reference: Reference,
  installed: InstalledModel,
  { keepPrevious }: Intent,
  recorded: Recorded | undefined,
  parents?: readonly Reference[],
): string | null {
  const isOthers = !isOurs(installed.digest, recorded, parents !== undefined) && isBuiltElsewhere(installed, parents)
  return keepPrevious || isOthers ? previousName(reference, installed.digest) : null
}

/** An apply of this config brought or made it, or found it made as declared: of what is pulled, being there says nothing. */
export function isOurs(digest: string | null, recorded: Recorded | undefined, isMade: boolean): boolean {
  return recorded?.digest === digest && (isMade || recorded.broughtIn)
}

function isBuiltElsewhere({ parentModel }: InstalledModel, parents: readonly Reference[] | undefined): boolean {
  // Pulled, or built from files, which a server does not tell apart: what is pulled anew may be of the same tag.
  if (parentModel === undefined) return parents !== undefined
  if (parents === undefined) return true
  try {
    const parent = parseListedName(parentModel)
    return !parents.some((other) => sameReference(other, parent))
  } catch (error) {
    // An author's path, or a file's name.
    if (isOllamaConfigError(error)) return true
    throw error
  }
}
