/** What `/api/show` tells of a model, checked by hand. The facts that only its Modelfile has are taken from there. */
import { isRecord } from '../artifact/json-text.ts'
import { printedText } from '../artifact/modelfile.ts'
import type { Parameter } from '../artifact/parameters.ts'
import { printable } from '../artifact/text.ts'
import type { ModelDetails, ShownParameters } from './backend.ts'
import type { CallContext } from './errors.ts'
import { nonEmpty, textOf, wrongShape } from './responses.ts'

/** @throws {OllamaConfigError} `invalid-response` */
export function readDetails(value: unknown, context: CallContext): ModelDetails {
  if (!isRecord(value)) throw wrongShape('it', 'an object', context)
  const { capabilities, details, modelfile, model_info: info } = value
  if (!isRecord(details)) throw wrongShape('"details"', 'an object', context)
  // Servers before 0.6.4 do not tell capabilities.
  if (capabilities !== undefined && capabilities !== null && !Array.isArray(capabilities))
    throw wrongShape('"capabilities"', 'a list', context)
  const told: Told = {
    system: textOf(value['system']),
    license: textOf(value['license']),
    messages: readMessages(value['messages']),
    parameters: typeof value['parameters'] === 'string' ? readParameters(value['parameters']) : {},
  }
  return {
    capabilities: (capabilities ?? [])
      .filter((item: unknown) => typeof item === 'string')
      .map((item: string) => printable(item, 80)),
    family: nonEmpty(details['family']),
    format: nonEmpty(details['format']),
    parameterSize: nonEmpty(details['parameter_size']),
    quantization: nonEmpty(details['quantization_level']),
    ...readRecipe(typeof modelfile === 'string' ? modelfile : '', told),
    ...told,
    requires: textOf(value['requires']),
    modelInfo: isRecord(info) ? info : {},
  }
}

function readMessages(value: unknown): ModelDetails['messages'] {
  if (!Array.isArray(value)) return []
  return value.flatMap((message: unknown) => {
    if (!isRecord(message)) return []
    const { role, content } = message
    return typeof role === 'string' ? [{ role, content: typeof content === 'string' ? content : '' }] : []
  })
}

type Recipe = Pick<ModelDetails, 'weightsFile' | 'weights' | 'adapters' | 'templateSection' | 'renderer' | 'parser'>

/** What is told beside the Modelfile, and printed into it behind the template, in this order. */
type Told = Pick<ModelDetails, 'system' | 'parameters' | 'license' | 'messages'>

/**
 * From the Modelfile that the server makes up. It quotes without escaping, so that a text which looks like instructions could be
 * taken for some. What comes before the template cannot; and what has to come behind it is known from elsewhere.
 */
function readRecipe(modelfile: string, told: Told): Recipe {
  const start = /^TEMPLATE /m.exec(modelfile)?.index ?? modelfile.length
  const paths = (word: string) =>
    [...modelfile.slice(0, start).matchAll(new RegExp(`^${word} (.*)$`, 'gm'))].map(([, path = '']) => path.trim())
  const rest = modelfile.slice(start).replace(/\n$/, '')
  const templateSection = templateIn(rest, told)
  const behind = rest.slice(templateSection.length + systemSection(told).length)
  const names = behind.slice(0, /\n(?:PARAMETER|LICENSE|MESSAGE) /.exec(behind)?.index)
  const word = (name: string) => nonEmpty(new RegExp(`^${name} (\\S+)$`, 'm').exec(names)?.[1])
  const digests = (list: readonly string[]) => list.map(digestOf).filter((digest) => digest !== null)
  const weights = paths('FROM')
  const [first = ''] = weights
  return {
    // A path with control characters in it is none of a server's.
    weightsFile: digestOf(first) !== null && printable(first, first.length) === first ? first : null,
    weights: digests(weights),
    adapters: digests(paths('ADAPTER')),
    templateSection,
    renderer: word('RENDERER'),
    parser: word('PARSER'),
  }
}

/** @param text From `TEMPLATE` on */
function templateIn(text: string, told: Told): string {
  const system = systemSection(told)
  const last = lastSection(told)
  const markers = system === '' ? ['\nRENDERER ', '\nPARSER ', ...(last === '' ? [] : [last])] : [system]
  const ends = markers.flatMap((marker) => placesOf(marker, text)).sort((a, b) => a - b)
  if (system === '' && last === '') ends.push(text.length)
  const [first = text.length] = ends
  return text.slice(0, closedEnd(text, ends) ?? first)
}

function systemSection({ system }: Told): string {
  return system === null ? '' : `\nSYSTEM ${printedText(system)}`
}

/** The beginning of the first that is behind system, renderer and parser. */
function lastSection({ parameters, license, messages }: Told): string {
  if (Object.keys(parameters).length > 0) return '\nPARAMETER '
  return license === null ? (messages.length > 0 ? '\nMESSAGE ' : '') : '\nLICENSE '
}

/**
 * The first of them that closes a text in quotes, as `printedText` prints one. Of a text there may be as many ends as it has lines: none
 * is looked at from its beginning.
 */
function closedEnd(text: string, ends: readonly number[]): number | undefined {
  const begin = 'TEMPLATE '.length
  if (!text.startsWith('"', begin)) return undefined
  const quote = text.startsWith('"""', begin) ? '"""' : '"'
  const start = begin + quote.length
  const [lineEnd, inner] = [text.indexOf('\n', start), text.indexOf('"', start)]
  return ends.find((end) => {
    const last = end - quote.length
    if (last <= start || !text.endsWith(quote, end)) return false
    const has = (at: number) => at >= 0 && at < last
    const isQuoted = has(lineEnd) || text[start] === ' ' || text[last - 1] === ' '
    return isQuoted && has(inner) === (quote === '"""')
  })
}

function placesOf(marker: string, text: string): readonly number[] {
  const places: number[] = []
  for (let at = text.indexOf(marker); at >= 0; at = text.indexOf(marker, at + 1)) places.push(at)
  return places
}

/** Of the path of a blob. */
function digestOf(path: string): string | null {
  const hex = /[\\/]blobs[\\/]sha256-([0-9a-f]{64})$/.exec(path)?.[1]
  return hex === undefined ? null : `sha256:${hex}`
}

const nameColumns = 30

/** One line per value, `name` padded to 30 columns and the value in Go's syntax; a list gives a line for each item. */
export function readParameters(text: string): ShownParameters {
  const values = new Map<string, (string | number | boolean)[]>()
  for (const line of text.split('\n')) {
    const [name, value] = columnsOf(line)
    if (name === undefined || value === undefined) continue
    const list = values.get(name)
    if (list === undefined) values.set(name, [readGoValue(value)])
    else list.push(readGoValue(value))
  }
  return Object.fromEntries(
    [...values].map(([name, list]): [string, Parameter] => [name, list.length === 1 ? (list[0] ?? '') : list]),
  )
}

/** A name may have spaces in it, and be longer than its column. */
function columnsOf(line: string): readonly (string | undefined)[] {
  const characters = [...line]
  if (characters[nameColumns] !== ' ') return /^(\S+)\s+(.*)$/s.exec(line)?.slice(1) ?? []
  return [characters.slice(0, nameColumns).join('').trimEnd(), characters.slice(nameColumns + 1).join('')]
}

function readGoValue(text: string): string | number | boolean {
  if (text === 'true' || text === 'false') return text === 'true'
  if (text.startsWith('"') && text.endsWith('"') && text.length > 1) return unquoted(text.slice(1, -1))
  const number = Number(text)
  return text.trim() === '' || !Number.isFinite(number) ? text : number
}

const goEscapes: Readonly<Record<string, string>> = { a: '\x07', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' }

function unquoted(text: string): string {
  return text.replace(
    /\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8})|(.))/g,
    (_, x: string | undefined, u: string | undefined, long: string | undefined, character: string | undefined) => {
      const hex = x ?? u ?? long
      if (hex === undefined) return goEscapes[character ?? ''] ?? character ?? ''
      const point = Number.parseInt(hex, 16)
      // `\x80` and up are bytes that are no UTF-8.
      const isCharacter = x === undefined ? point <= 0x10_ff_ff : point < 0x80
      return isCharacter ? String.fromCodePoint(point) : '\ufffd'
    },
  )
}
