/** JSON text, with the place of a mistake: what `JSON.parse` says about it differs by runtime and often lacks the place. */

export type JsonResult = { readonly value: unknown } | JsonMistake
export interface JsonMistake {
  readonly offset: number
  readonly expected: string
  readonly hint?: string | undefined
}

/** Deeper than any config; whoever walks the value later may need a stack frame for each level. */
const maxDepth = 1000

/** Parses JSON. On a mistake says where it is, in UTF-16 units from the start, and what JSON wants there. */
export function parseJson(text: string): JsonResult {
  // First, so that every runtime refuses the same: some parse any depth, others only what their stack holds.
  const scanner = { text, offset: 0, depth: 0 }
  const expected = scanValue(scanner) ?? scanEnd(scanner)
  if (expected !== undefined) {
    const isTooDeep = scanner.depth > maxDepth
    return { offset: scanner.offset, expected, hint: isTooDeep ? undefined : syntaxHint }
  }
  try {
    return { value: JSON.parse(text) }
  } catch {
    return { offset: scanner.offset, expected: 'valid JSON', hint: syntaxHint }
  }
}

const syntaxHint = 'JSON has no comments and no comma after the last item'

interface Scanner {
  readonly text: string
  offset: number
  depth: number
}

// Each scan moves the offset past what is right, and returns what was expected where it stopped.

function scanValue(scanner: Scanner): string | undefined {
  skipSpace(scanner)
  if (scanner.text[scanner.offset] === '{') return scanList(scanner, '}', scanMember)
  if (scanner.text[scanner.offset] === '[') return scanList(scanner, ']', scanValue)
  if (scanner.text[scanner.offset] === '"') return scanString(scanner)
  return skip(scanner, /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y) ? undefined : 'a value'
}

function scanList(
  scanner: Scanner,
  close: string,
  scanItem: (scanner: Scanner) => string | undefined,
): string | undefined {
  scanner.depth++
  if (scanner.depth > maxDepth) return `no more than ${maxDepth} levels of lists and objects`
  scanner.offset++
  skipSpace(scanner)
  if (scanner.text[scanner.offset] === close) {
    scanner.offset++
    scanner.depth--
    return undefined
  }
  for (;;) {
    const expected = scanItem(scanner)
    if (expected !== undefined) return expected
    skipSpace(scanner)
    const character = scanner.text[scanner.offset]
    if (character !== ',' && character !== close) return `"," or "${close}"`
    scanner.offset++
    if (character === close) {
      scanner.depth--
      return undefined
    }
  }
}

function scanMember(scanner: Scanner): string | undefined {
  skipSpace(scanner)
  if (scanner.text[scanner.offset] !== '"') return 'a key in double quotes'
  const expected = scanString(scanner)
  if (expected !== undefined) return expected
  skipSpace(scanner)
  if (scanner.text[scanner.offset] !== ':') return '":"'
  scanner.offset++
  return scanValue(scanner)
}

// A loop, since one regular expression over a long string takes more stack than there is.
function scanString(scanner: Scanner): string | undefined {
  const { text } = scanner
  scanner.offset++
  for (;;) {
    const character = text[scanner.offset]
    if (character === '"') {
      scanner.offset++
      return undefined
    }
    if (character === undefined || character < ' ') return 'the closing quote of a text'
    if (character !== '\\') scanner.offset++
    else if (!skip(scanner, /\\(?:["\\/bfnrt]|u[\da-fA-F]{4})/y)) return 'an escape sequence of JSON'
  }
}

function scanEnd(scanner: Scanner): string | undefined {
  skipSpace(scanner)
  return scanner.offset < scanner.text.length ? 'the end of the file' : undefined
}

function skip(scanner: Scanner, sticky: RegExp): boolean {
  sticky.lastIndex = scanner.offset
  const match = sticky.exec(scanner.text)
  if (match !== null) scanner.offset += match[0].length
  return match !== null
}

function skipSpace(scanner: Scanner): void {
  for (;;) {
    const character = scanner.text[scanner.offset]
    if (character !== ' ' && character !== '\n' && character !== '\t' && character !== '\r') return
    scanner.offset++
  }
}
