/**
 * Modelfiles, read as Ollama's own command line reads them (parser/parser.go and api/types.go in v0.33). What names a file or a model
 * stays as written: which of the two it is, only the disk tells.
 */
import { OllamaConfigError } from '../errors.ts'
import { type Parameter, type Parameters, parameterKinds, retiredParameters } from './parameters.ts'
import { quoted } from './text.ts'

export interface Modelfile {
  /**
   * The arguments of FROM as written; at least one. One that is on the disk, seen from the folder of the Modelfile, is a file or a
   * folder of weights, and all of those go together. The others are names of models, of which the last counts, and before any file.
   */
  readonly from: readonly string[]
  /** Paths, seen from the folder of the Modelfile. Ollama's command line takes the last. */
  readonly adapters: readonly string[]
  /** Paths of a draft model, seen from the folder of the Modelfile. */
  readonly draft: readonly string[]
  /** As all texts below: absent when empty, since an empty one is not sent. */
  readonly template?: string
  readonly system?: string
  readonly parameters: Parameters
  readonly messages: readonly ModelfileMessage[]
  /** Also empty ones, which the server keeps. */
  readonly licenses: readonly string[]
  readonly renderer?: string
  readonly parser?: string
  /** Without a leading `v`. */
  readonly requires?: string
  /** What is in the file and comes to nothing, as sentences that name the line. */
  readonly warnings: readonly string[]
}

export interface ModelfileMessage {
  readonly role: ModelfileRole
  readonly content: string
}

const roles = ['system', 'user', 'assistant'] as const
export type ModelfileRole = (typeof roles)[number]

/** The instructions, each as it may be written. */
const examples: Readonly<Record<string, string>> = {
  from: 'FROM qwen3:8b',
  parameter: 'PARAMETER num_ctx 8192',
  system: 'SYSTEM You answer in one sentence.',
  template: 'TEMPLATE """{{ .Prompt }}"""',
  message: 'MESSAGE user Hello',
  adapter: 'ADAPTER ./lora.gguf',
  draft: 'DRAFT ./draft.gguf',
  license: 'LICENSE MIT',
  renderer: 'RENDERER qwen3-coder',
  parser: 'PARSER qwen3-coder',
  requires: 'REQUIRES 0.14.0',
}

const kinds = {
  integer: { wanted: 'a whole number', example: '4096' },
  number: { wanted: 'a number', example: '0.7' },
  boolean: { wanted: 'true or false', example: 'true' },
} as const

/**
 * Reads a Modelfile.
 *
 * @param text As {@link decodeModelfile} gives it.
 * @param origin What to call the file in messages, fit for a terminal.
 * @throws {OllamaConfigError} `modelfile-invalid`, with the line in its message and in `details.line`
 */
export function parseModelfile(text: string, origin = 'the Modelfile'): Modelfile {
  const warnings: string[] = []
  const at = (line: number, message: string): string => `Line ${line} of ${origin}: ${message}`
  const report: Report = {
    error: (line, message, hint) =>
      new OllamaConfigError('modelfile-invalid', at(line, message), { hint, details: { line } }),
    warning: (line, message) => void warnings.push(at(line, message)),
  }
  const commands = readCommands(text, report)
  // Every line is read before any is looked into, and this comes between the two, as with Ollama.
  if (!commands.some(({ name }) => name === 'model')) {
    throw new OllamaConfigError('modelfile-invalid', `There is no FROM in ${origin}`, {
      hint: `say what the model is built from, as in: ${examples['from']}`,
    })
  }
  return { ...carryOut(commands, report), warnings }
}

/** The text of a Modelfile: UTF-8, or UTF-16 where a byte order mark says so. What is no valid text becomes U+FFFD. */
export function decodeModelfile(bytes: Uint8Array): string {
  const [first, second] = bytes
  if (first === 0xff && second === 0xfe) return new TextDecoder('utf-16le').decode(bytes)
  if (first === 0xfe && second === 0xff) {
    // Not every runtime has a decoder for the other byte order.
    return new TextDecoder('utf-16le').decode(bytes.map((_, index) => bytes[index ^ 1] ?? 0))
  }
  return new TextDecoder().decode(bytes)
}

interface Report {
  error(line: number, message: string, hint: string): OllamaConfigError
  warning(line: number, message: string): void
}

interface Command {
  /** Where it begins, counted from 1. */
  readonly line: number
  /**
   * What Ollama goes by: the name of the parameter after PARAMETER, "model" for FROM, else the instruction in lower case. That is
   * why "PARAMETER system x" does what "SYSTEM x" does.
   */
  readonly name: string
  /** Without the quotes around it. After MESSAGE with the role in front, as in "user: Hello". */
  readonly value: string
}

/** A blank is a space or a tab. Ollama takes other white space for a character as any. */
const blanks = /^[ \t]*/

/**
 * What Ollama drops wherever it stands: all that Go does not count as printable, such as zero-width joiners and every space but
 * the plain one. Go is at Unicode 15; characters that are newer stay here where the runtime knows them.
 */
const unprintable = /[^\t \p{L}\p{M}\p{N}\p{P}\p{S}]/gu

function readCommands(text: string, report: Report): readonly Command[] {
  // Every other piece is the end of the line before it.
  const pieces = text.split(/(\r\n|\r|\n)/)
  const commands: Command[] = []
  for (let index = 0; index < pieces.length; index += 2) {
    const line = index / 2 + 1
    const written = (pieces[index] ?? '').replace(blanks, '')
    if (written === '' || written.startsWith('#')) continue
    const { name, role, rest } = readHead(written, line, report)
    const { value, last } = readValue(rest, pieces, index, report)
    commands.push({ line, name, value: role === undefined ? value : `${role}: ${value}` })
    index = last
  }
  return commands
}

interface Head {
  readonly name: string
  readonly role?: ModelfileRole
  /** What comes after the one blank that ends the head. */
  readonly rest: string
}

/** Reads what comes before the value. Exactly one blank stands after each word of it. */
function readHead(text: string, line: number, report: Report): Head {
  const [whole = '', first = '', letters = ''] = /^(.)([A-Za-z]*)/su.exec(text) ?? []
  // Ollama takes any first character, and drops it as elsewhere when it cannot be seen.
  const word = (first.replace(unprintable, '') + letters).toLowerCase()
  const example = Object.hasOwn(examples, word) ? examples[word] : undefined
  if (example === undefined) {
    const [found = ''] = text.split(/[ \t]/, 1)
    const known = Object.keys(examples).join(', ').toUpperCase()
    throw report.error(
      line,
      `${quoted(found)} is not an instruction`,
      `known are ${known}; a text of several lines goes between """ and """`,
    )
  }
  const wrong = (wanted: string): OllamaConfigError =>
    report.error(line, `${wanted}: found ${quoted(text)}`, `write it as in: ${example}`)
  const afterBlank = (start: number, wanted: string): string => {
    if (text[start] !== ' ' && text[start] !== '\t') throw wrong(wanted)
    return text.slice(start + 1)
  }
  const rest = afterBlank(whole.length, `${word.toUpperCase()} must be followed by a space and a value`)
  if (word === 'parameter') {
    const wanted = 'PARAMETER must be followed by one space, the name of a parameter, one space and a value'
    const name = /^\w*/.exec(rest)?.[0] ?? ''
    if (name === '') throw wrong(wanted)
    return { name, rest: afterBlank(whole.length + 1 + name.length, wanted) }
  }
  if (word === 'message') {
    const wanted = `MESSAGE must be followed by one space, one of the roles ${roles.join(', ')}, one space and a text`
    const role = roles.find((known) => known === /^[A-Za-z]*/.exec(rest)?.[0])
    if (role === undefined) throw wrong(wanted)
    return { name: word, role, rest: afterBlank(whole.length + 1 + role.length, wanted) }
  }
  return { name: word === 'from' ? 'model' : word, rest }
}

/** Reads a value: the rest of its line, or when it begins with a quote all up to a line that ends with one. */
function readValue(
  rest: string,
  pieces: readonly string[],
  start: number,
  report: Report,
): {
  readonly value: string
  /** The piece that it ends in. */
  readonly last: number
} {
  const line = start / 2 + 1
  const missing = new Set<string>()
  const print = (text: string): string =>
    text.replace(unprintable, (character) => {
      missing.add(character)
      return ''
    })
  const beginning = print(rest).trimStart()
  const quote = beginning.startsWith('"""') ? '"""' : beginning.startsWith('"') ? '"' : ''
  const kept = [beginning]
  let last = start
  // Nothing but the end of a line closes a text, so that each line is looked at once.
  const alone = beginning.trimEnd()
  let closed = alone.length >= 2 * quote.length && alone.endsWith(quote)
  while (!closed) {
    const lineEnd = pieces[last + 1]
    if (lineEnd === undefined) {
      const hint =
        quote === '"'
          ? 'put " at the end of the line; around a text that has quotes itself put """ and """'
          : 'put """ at the end of its last line, with nothing after it'
      throw report.error(line, `the text that begins with ${quote} has no end`, hint)
    }
    last += 2
    const more = print(pieces[last] ?? '')
    kept.push(lineEnd, more)
    closed = more.trimEnd().endsWith(quote)
  }
  if (missing.size > 0) {
    const some = [...missing].slice(0, 3).map(codePoint).join(', ')
    report.warning(line, `Ollama leaves out characters that cannot be seen: ${some}${missing.size > 3 ? ', …' : ''}`)
  }
  const value = kept.join('').trimEnd()
  if (value.includes('\ufffd')) report.warning(line, 'some bytes are not UTF-8, and Ollama puts U+FFFD in their place')
  return { value: value.slice(quote.length, value.length - quote.length), last }
}

function codePoint(character: string): string {
  return `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`
}

/** What the commands come to, one after the other. */
function carryOut(commands: readonly Command[], report: Report): Omit<Modelfile, 'warnings'> {
  const from: string[] = []
  const adapters: string[] = []
  const draft: string[] = []
  const licenses: string[] = []
  const messages: ModelfileMessage[] = []
  const texts: Partial<Record<'template' | 'system' | 'renderer' | 'parser' | 'requires', string>> = {}
  const parameters: Record<string, Parameter> = {}
  const stops: string[] = []
  for (const { line, name, value } of commands) {
    switch (name) {
      case 'model':
        from.push(value)
        break
      case 'adapter':
        adapters.push(value)
        break
      case 'draft':
        draft.push(value)
        break
      case 'license':
        licenses.push(value)
        break
      case 'message':
        messages.push(readMessage(value, line, report))
        break
      case 'template':
      case 'system':
      case 'renderer':
      case 'parser':
        if (value === '') {
          delete texts[name]
          report.warning(line, `an empty ${name.toUpperCase()} takes nothing away: that of the base stays`)
        } else {
          texts[name] = value
        }
        break
      case 'requires':
        texts[name] = readVersion(value, line, report)
        break
      case 'stop':
        stops.push(value)
        break
      default:
        if (retiredParameters.has(name)) {
          report.warning(line, `${name} is no parameter any more, and Ollama leaves it out`)
        } else {
          parameters[name] = readParameter(name, value, line, report)
        }
    }
  }
  if (stops.length > 0) parameters['stop'] = stops
  return { from, adapters, draft, ...texts, parameters, messages, licenses }
}

function readMessage(value: string, line: number, report: Report): ModelfileMessage {
  const colon = value.indexOf(': ')
  const role = roles.find((known) => known === value.slice(0, colon))
  // Only PARAMETER comes here without a role: see `Command.name`.
  if (role === undefined) {
    throw report.error(line, '"message" is not a parameter', `write it as in: ${examples['message']}`)
  }
  return { role, content: value.slice(colon + 2) }
}

const identifiers = String.raw`[\dA-Za-z-]+(?:\.[\dA-Za-z-]+)*`
const numberPart = String.raw`(?:0|[1-9]\d*)`
const version = new RegExp(
  `^${numberPart}(?:\\.${numberPart}(?:\\.${numberPart}(?:-(${identifiers}))?(?:\\+${identifiers})?)?)?$`,
)

/** A version as golang.org/x/mod/semver takes it: minor and patch may be left out. */
function readVersion(value: string, line: number, report: Report): string {
  const written = value.startsWith('v') ? value.slice(1) : value
  const [whole, prerelease = ''] = version.exec(written) ?? []
  if (whole === undefined || prerelease.split('.').some((part) => /^0\d+$/.test(part))) {
    const hint = `write it as in: ${examples['requires']}`
    throw report.error(line, `REQUIRES must be the number of a version: found ${quoted(value)}`, hint)
  }
  return written
}

const booleans: ReadonlyMap<string, boolean> = new Map([
  ...['1', 't', 'T', 'TRUE', 'true', 'True'].map((word) => [word, true] as const),
  ...['0', 'f', 'F', 'FALSE', 'false', 'False'].map((word) => [word, false] as const),
])

/** The value of a parameter other than `stop`, as Ollama's command line sends it. */
function readParameter(name: string, value: string, line: number, report: Report): Parameter {
  const kind = Object.hasOwn(parameterKinds, name) ? parameterKinds[name] : undefined
  if (kind === undefined || kind === 'texts') {
    const hint = `known are ${Object.keys(parameterKinds).join(', ')}`
    throw report.error(line, `${quoted(name)} is not a parameter of Ollama`, hint)
  }
  const parameter =
    kind === 'boolean' ? booleans.get(value) : kind === 'integer' ? readInteger(value) : readNumber(value)
  if (parameter !== undefined) return parameter
  const { wanted, example } = kinds[kind]
  throw report.error(
    line,
    `${name} must be ${wanted}: found ${quoted(value)}`,
    `write it as in: PARAMETER ${name} ${example}${value.includes('#') ? '; a comment has a line of its own' : ''}`,
  )
}

/** What fits into 64 bits. The server makes a floating-point number of it, as this does. */
function readInteger(value: string): number | undefined {
  // Longer ones only cost time.
  if (!/^[+-]?\d{1,40}$/.test(value)) return undefined
  const integer = BigInt(value)
  return BigInt.asIntN(64, integer) === integer ? Number(integer) : undefined
}

// Go takes underscores between digits. It takes hexadecimal fractions too, which nobody writes.
const decimal = /^[+-]?(?:\d+(?:_\d+)*(?:\.(?:\d+(?:_\d+)*)?)?|\.\d+(?:_\d+)*)(?:[eE][+-]?\d+(?:_\d+)*)?$/

/**
 * A number of 32 bits in its shortest spelling, since that is what is sent: 0.1, not 0.10000000149011612. Where two spellings are
 * as short and as near, which takes more than a million, Ollama may choose the other one.
 */
function readNumber(value: string): number | undefined {
  if (!decimal.test(value)) return undefined
  const single = Math.fround(Number(value.replaceAll('_', '')))
  if (!Number.isFinite(single)) return undefined
  let shortest = single
  // Nine digits tell any two of them apart.
  for (let digits = 9; digits > 0; digits--) {
    const shorter = Number(single.toPrecision(digits))
    if (Math.fround(shorter) !== single) break
    shortest = shorter
  }
  // Never -0.
  return shortest + 0
}

/** A text as the server prints it into the Modelfile that it makes up of a model: in quotes where it must be, and never escaped. */
export function printedText(text: string): string {
  if (!text.includes('\n') && !/^ | $/.test(text)) return text
  return text.includes('"') ? `"""${text}"""` : `"${text}"`
}
