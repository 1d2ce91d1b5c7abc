/**
 * Model references as an Ollama server reads them (types/model/name.go and internal/modelref in v0.33).
 * A reference names a model by four parts; two references are one model when the parts are equal, ASCII case folded.
 */
import { OllamaConfigError } from '../errors.ts'
import { quoted, quotedName } from './text.ts'

export const defaultHost = 'registry.ollama.ai'
export const defaultNamespace = 'library'
const defaultTag = 'latest'

export interface Reference {
  /** Registry, with its port where one was written. */
  readonly host: string
  readonly namespace: string
  readonly model: string
  readonly tag: string
  /** Written as a cloud model (`x:cloud`, `x:20b-cloud`): the server runs it elsewhere. */
  readonly cloud: boolean
}

export interface ParsedReference extends Reference {
  /** A scheme before the host. The server drops it, so it only tells which transport was meant. */
  readonly scheme: 'http' | 'https' | undefined
}

type PartKind = 'host' | 'namespace' | 'model' | 'tag'

const partRules: Record<PartKind, { readonly pattern: RegExp; readonly maxLength: number; readonly allowed: string }> =
  {
    host: {
      pattern: /^[A-Za-z0-9_][A-Za-z0-9_.:-]*$/,
      maxLength: 350,
      allowed: 'letters, digits, "_", "-", "." and ":"',
    },
    namespace: { pattern: /^[A-Za-z0-9_][A-Za-z0-9_-]*$/, maxLength: 80, allowed: 'letters, digits, "_" and "-"' },
    model: { pattern: /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/, maxLength: 80, allowed: 'letters, digits, "_", "-" and "."' },
    tag: { pattern: /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/, maxLength: 80, allowed: 'letters, digits, "_", "-" and "."' },
  }

/**
 * Reads a reference as the server would, filling in the defaults.
 * `x:local` is `x`; `x:20b:cloud` is `x:20b-cloud`.
 *
 * @throws {OllamaConfigError} `invalid-reference`
 */
export function parseReference(text: string): ParsedReference {
  // A program may give anything.
  if (typeof text !== 'string') throw invalid(String(text), 'it is no text')
  const trimmed = text.trim()
  if (trimmed === '') throw invalid(text, 'it is empty')
  const { base, source } = cutSource(trimmed)
  if (source !== undefined && cutSource(base).source !== undefined) {
    throw invalid(text, 'it has two of the suffixes ":local", ":cloud" and "-cloud"')
  }
  if (trimmed.includes('@'))
    throw invalid(text, 'neither a digest nor a user can be part of it', 'write the name with its tag')
  const cloud = source === 'cloud'
  const name = cloud ? `${base}${hasTag(base) ? '-cloud' : ':cloud'}` : base
  return { ...splitName(name, text), cloud }
}

/**
 * Reads a name as a server lists it. Suffixes are no routing words there: a listed `x:local` has the tag `local`.
 *
 * @throws {OllamaConfigError} `invalid-reference`
 */
export function parseListedName(name: string): Reference {
  const { scheme, ...parts } = splitName(name, name)
  if (scheme !== undefined) throw invalid(name, 'a listed name has no scheme')
  return { ...parts, cloud: cutSource(name).source === 'cloud' }
}

/** The shortest spelling that names the model, always with its tag: what `ollama list` prints. */
export function formatReference(reference: Reference): string {
  const { host, namespace, model, tag } = reference
  if (foldCase(host) !== defaultHost) return `${host}/${namespace}/${model}:${tag}`
  return foldCase(namespace) === defaultNamespace ? `${model}:${tag}` : `${namespace}/${model}:${tag}`
}

/** The spelling for sorting and comparing: all four parts, in lower case. */
export function referenceKey(reference: Reference): string {
  return foldCase(`${reference.host}/${reference.namespace}/${reference.model}:${reference.tag}`)
}

/** True when the two name the same model to a server. */
export function sameReference(a: Reference, b: Reference): boolean {
  return referenceKey(a) === referenceKey(b)
}

/**
 * True when the server, asked for a model by the name it lists, means that model. A tag called `local`, which copying can
 * make, is taken for a routing word: deleting `x:local` would delete `x:latest`.
 */
export function isAddressable(listedName: string): boolean {
  const { base, source } = cutSource(listedName.trim())
  return source !== 'local' && cutSource(base).source === undefined
}

/** The name of the model on that page of ollama.com or Hugging Face, whose address people copy; `undefined` for all else. */
export function nameOfPage(address: string): string | undefined {
  const [, site = '', owner = '', model] =
    /^(?:https?:\/\/)?(?:www\.)?(ollama\.com|hf\.co|huggingface\.co)\/(?!(?:api|blog|cloud|collections|datasets|docs|download|models|organizations|papers|pricing|public|search|settings|spaces)\/)(\w[\w-]*)\/(\w[\w.-]*(?::\w[\w.-]*)?)(?:[/?#].*)?$/i.exec(
      address.trim(),
    ) ?? []
  if (model === undefined) return undefined
  if (foldCase(site) !== 'ollama.com') return `hf.co/${owner}/${model}`
  return foldCase(owner) === defaultNamespace ? model : `${owner}/${model}`
}

/** Order by code unit, so that what is printed is the same on every machine. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function splitName(name: string, original: string): Omit<ParsedReference, 'cloud'> {
  let rest = name
  let tag = defaultTag
  if (hasTag(rest)) {
    const colon = rest.lastIndexOf(':')
    tag = rest.slice(colon + 1)
    rest = rest.slice(0, colon)
  }
  let scheme: ParsedReference['scheme']
  const schemeEnd = rest.indexOf('://')
  if (schemeEnd >= 0) {
    const word = rest.slice(0, schemeEnd)
    if (word !== 'http' && word !== 'https')
      throw invalid(original, `the scheme ${quoted(word)} is not "http" or "https"`)
    scheme = word
    rest = rest.slice(schemeEnd + 3)
  }
  const parts = rest.split('/')
  if (parts.length > 3) throw invalid(original, 'it has more than the three parts host/namespace/model')
  if (scheme !== undefined && parts.length < 3)
    throw invalid(original, 'after a scheme, host/namespace/model is needed')
  const model = parts.at(-1) ?? ''
  const namespace = parts.at(-2) ?? defaultNamespace
  const host = parts.at(-3) ?? defaultHost
  checkPart('host', host, original)
  checkPart('namespace', namespace, original)
  checkPart('model', model, original)
  checkPart('tag', tag, original)
  return { host, namespace, model, tag, scheme }
}

function checkPart(kind: PartKind, value: string, original: string): void {
  const { pattern, maxLength, allowed } = partRules[kind]
  if (value === '') throw invalid(original, `its ${kind} is empty`)
  if (value.length > maxLength) throw invalid(original, `its ${kind} is longer than ${maxLength} characters`)
  if (pattern.test(value)) return
  const hint =
    kind === 'namespace' && /^\w[\w.-]*\.\w+$/.test(value)
      ? `write host/namespace/model, as in ${quoted(`${value}/user/model`)}`
      : undefined
  throw invalid(
    original,
    `its ${kind} ${quotedName(value)} may hold only ${allowed}, and starts with a letter, a digit or "_"`,
    hint,
  )
}

/** `:cloud`, `:local` and a tag that ends in `-cloud` say where a model runs; the server cuts them off first. */
function cutSource(name: string): { readonly base: string; readonly source: 'cloud' | 'local' | undefined } {
  const colon = name.lastIndexOf(':')
  if (colon < 0) return { base: name, source: undefined }
  const suffix = name.slice(colon + 1).trim()
  const word = foldCase(suffix)
  if (word === 'cloud' || word === 'local') return { base: name.slice(0, colon), source: word }
  if (!suffix.includes('/') && word.endsWith('-cloud')) {
    return { base: name.slice(0, colon + 1) + suffix.slice(0, -'-cloud'.length), source: 'cloud' }
  }
  return { base: name, source: undefined }
}

function hasTag(name: string): boolean {
  return name.lastIndexOf(':') > name.lastIndexOf('/')
}

// Valid names are ASCII, where toLowerCase() is the case folding that the server uses.
function foldCase(text: string): string {
  return text.toLowerCase()
}

function invalid(text: string, problem: string, hint?: string): OllamaConfigError {
  const meant = nameOfPage(text)
  return new OllamaConfigError('invalid-reference', `Model name ${quotedName(text)} is not valid: ${problem}`, {
    hint: meant === undefined ? hint : `did you mean ${quotedName(meant)}?`,
  })
}
