/** Model names as the recorded server reads them. Kept apart from the product's own parser, so that the two cannot share a mistake. */

export interface Name {
  host: string
  namespace: string
  model: string
  tag: string
}

export const partNames = ['host', 'namespace', 'model', 'tag'] as const

/** Undefined for what the server calls invalid. A scheme is cut off and forgotten. */
export function readName(text: string): Name | undefined {
  let rest = text
  let tag = 'latest'
  const colon = rest.lastIndexOf(':')
  if (colon > rest.lastIndexOf('/')) {
    tag = rest.slice(colon + 1)
    rest = rest.slice(0, colon)
  }
  const pieces: string[] = []
  while (pieces.length < 2) {
    const slash = rest.lastIndexOf('/')
    if (slash < 0) break
    pieces.push(rest.slice(slash + 1))
    rest = rest.slice(0, slash)
  }
  if (pieces.length === 2) {
    const scheme = rest.indexOf('://')
    if (scheme >= 0) rest = rest.slice(scheme + 3)
  }
  const [model = '', namespace = 'library', host = 'registry.ollama.ai'] = [...pieces, rest]
  const valid =
    matches(host, 350, /^\w[\w.:-]*$/) &&
    matches(namespace, 80, /^\w[\w-]*$/) &&
    matches(model, 80, /^\w[\w.-]*$/) &&
    matches(tag, 80, /^\w[\w.-]*$/)
  return valid ? { host, namespace, model, tag } : undefined
}

function matches(part: string, longest: number, rule: RegExp): boolean {
  return part.length <= longest && rule.test(part)
}

/** The shortest form, with the tag: what the listing prints. */
export function showName({ host, namespace, model, tag }: Name): string {
  if (host.toLowerCase() !== 'registry.ollama.ai') return `${host}/${namespace}/${model}:${tag}`
  return namespace.toLowerCase() === 'library' ? `${model}:${tag}` : `${namespace}/${model}:${tag}`
}

/** One model has one key, whatever the case. */
export function nameKey({ host, namespace, model, tag }: Name): string {
  return `${host}/${namespace}/${model}:${tag}`.toLowerCase()
}

/** For the names a test writes, which have to be right. */
export function mustRead(text: string): Name {
  const name = readName(text)
  if (name === undefined) throw new Error(`test server: ${JSON.stringify(text)} is no valid model name`)
  return name
}

export type Source =
  | { kind: 'plain' | 'local' | 'cloud'; name: string }
  /** Both routing words at once, which is refused. */
  | { kind: 'conflict' }

/** Cuts the routing words off: `x:local` is `x`, `x:20b:cloud` is `x:20b-cloud`. Copy is the one request that does not do it. */
export function readSource(text: string): Source {
  const first = cutWord(text)
  if (first === undefined) return { kind: 'plain', name: text }
  if (cutWord(first.base) !== undefined) return { kind: 'conflict' }
  if (first.word === 'local') return { kind: 'local', name: first.base }
  const hasTag = first.base.lastIndexOf(':') > first.base.lastIndexOf('/')
  return { kind: 'cloud', name: first.base + (hasTag ? '-cloud' : ':cloud') }
}

function cutWord(text: string): { base: string; word: 'local' | 'cloud' } | undefined {
  const found = /^(.*?)(?::(local|cloud)|(?<=:[^/:]*)-(cloud))$/is.exec(text)
  if (found === null) return undefined
  const word = (found[2] ?? found[3] ?? '').toLowerCase()
  return { base: found[1] ?? '', word: word === 'local' ? 'local' : 'cloud' }
}

/**
 * The server respells each part after any installed model whose part differs only in case, one part at a time: another
 * model's tag `Q4_K_M` makes `q4_k_m` into `Q4_K_M`. It walks a map in random order; here the last in order wins.
 */
export function respell(name: Name, installed: readonly Name[]): Name {
  const differs = (other: Name) =>
    partNames.some((part) => other[part] !== name[part] && other[part].toLowerCase() === name[part].toLowerCase())
  // With a thousand models the sorting would take longer than anything else.
  if (!installed.some(differs)) return name
  const result = { ...name }
  const ordered = [...installed].sort((a, b) => (showName(a) < showName(b) ? -1 : 1))
  for (const other of ordered) {
    for (const part of partNames) {
      if (other[part].toLowerCase() === result[part].toLowerCase()) result[part] = other[part]
    }
  }
  return result
}
