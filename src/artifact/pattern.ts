/** Patterns over references, as in `keep`: `*` stands for any run of characters within one part, never `/` or `:`. */
import { OllamaConfigError } from '../errors.ts'
import { defaultHost, defaultNamespace, type Reference } from './reference.ts'
import { quoted, quotedName } from './text.ts'

export interface Pattern {
  /** As the user wrote it, without white space around it. */
  readonly text: string
  readonly host: string
  readonly namespace: string
  readonly model: string
  /** `*` where the user wrote no tag. */
  readonly tag: string
}

const partPattern = /^[A-Za-z0-9_.*-]+$/
const namespacePattern = /^[A-Za-z0-9_*-]+$/
const hostPattern = /^[A-Za-z0-9_.:*-]+$/

/**
 * Reads a pattern: a missing host and namespace mean the defaults, a missing tag means every tag.
 *
 * @throws {OllamaConfigError} `invalid-reference`
 */
export function parsePattern(written: string): Pattern {
  const text = written.trim()
  let rest = text
  let tag = '*'
  const colon = rest.lastIndexOf(':')
  if (colon > rest.lastIndexOf('/')) {
    tag = rest.slice(colon + 1)
    rest = rest.slice(0, colon)
  }
  const parts = rest.split('/')
  const model = parts.at(-1) ?? ''
  const namespace = parts.at(-2) ?? defaultNamespace
  const host = parts.at(-3) ?? defaultHost
  const isRest = parts.length <= 3 && [model, tag].every((part) => partPattern.test(part))
  if (!isRest || !hostPattern.test(host) || !namespacePattern.test(namespace)) {
    // Two parts are namespace/model, though the first looks like a host.
    if (isRest && parts.length === 2 && hostPattern.test(namespace)) {
      const meant = `${rest}/*${text.slice(rest.length)}`
      throw new OllamaConfigError(
        'invalid-reference',
        `Pattern ${quotedName(text)} is not valid: its namespace ${quoted(namespace)} may hold only letters, digits, "_", "-" and "*"`,
        { hint: `write host/namespace/model, as in ${quoted(meant)}` },
      )
    }
    throw new OllamaConfigError(
      'invalid-reference',
      `Pattern ${quotedName(text)} is not valid: write a model name, in which "*" may stand for a run of characters`,
      {
        hint: '"*" never crosses "/" or ":": "qwen3*", "hf.co/*/*" and "llava:*" are patterns',
      },
    )
  }
  return { text, host, namespace, model, tag }
}

/** Whether the pattern covers the reference; ASCII case does not count. */
export function matchesPattern(pattern: Pattern, reference: Reference): boolean {
  return (
    matchesPart(pattern.model, reference.model) &&
    matchesPart(pattern.tag, reference.tag) &&
    matchesPart(pattern.namespace, reference.namespace) &&
    matchesPart(pattern.host, reference.host)
  )
}

/** Patterns by what they may cover. */
export interface PatternIndex {
  /** Of the patterns, in their order, those whose parts without `*` fit the reference: few, where there are many. */
  candidates(reference: Reference): readonly Pattern[]
}

/** For many patterns over many references: most patterns name a namespace, and many a model, so that few have to be compared. */
export function indexPatterns(patterns: readonly Pattern[]): PatternIndex {
  if (patterns.length === 0) return { candidates: () => [] }
  const order = new Map(patterns.map((pattern, index) => [pattern, index]))
  const byPlace = new Map<string, Pattern[]>()
  for (const pattern of order.keys()) {
    const place = placeOf(pattern)
    const others = byPlace.get(place)
    if (others === undefined) byPlace.set(place, [pattern])
    else others.push(pattern)
  }
  return {
    candidates(reference) {
      const found = placesOf(reference).flatMap((place) => byPlace.get(place) ?? [])
      return found.length < 2 ? found : found.sort((a, b) => (order.get(a) ?? 0) - (order.get(b) ?? 0))
    },
  }
}

/** As far from the front as no part has a `*`. */
function placeOf(pattern: Pattern): string {
  const [everywhere, namespace, model] = placesOf(pattern)
  if (/\*/.test(pattern.host + pattern.namespace)) return everywhere
  return pattern.model.includes('*') ? namespace : model
}

function placesOf({ host, namespace, model }: Pick<Reference, 'host' | 'namespace' | 'model'>) {
  const space = `${host}/${namespace}`.toLowerCase()
  return ['', space, `${space}/${model.toLowerCase()}`] as const
}

/** Walks both strings once, going back only to the last `*`, so that no pattern can take exponential time. */
function matchesPart(pattern: string, text: string): boolean {
  const wanted = pattern.toLowerCase()
  const found = text.toLowerCase()
  let at = 0
  let star = -1
  let resume = 0
  for (let index = 0; index < found.length; ) {
    if (wanted[at] === '*') {
      star = at++
      resume = index
    } else if (wanted[at] === found[index]) {
      at++
      index++
    } else if (star >= 0) {
      at = star + 1
      index = ++resume
    } else {
      return false
    }
  }
  while (wanted[at] === '*') at++
  return at === wanted.length
}
