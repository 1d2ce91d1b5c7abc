/** JSON text, with the place of a mistake: what `JSON.parse` says about it differs by runtime and often lacks the place. */

export type JsonResult = { readonly value: unknown } | { readonly offset: number; readonly expected: string }

/** Parses JSON. On a mistake says where it is, in UTF-16 units from the start, and what JSON wants there. */
export function parseJson(text: string): JsonResult {
  try {
    return { value: JSON.parse(text) }
  } catch {
    const scanner = { text, offset: 0 }
    const expected = scanValue(scanner) ?? scanEnd(scanner) ?? 'valid JSON'
    return { offset: scanner.offset, expected }
  }
}

interface Scanner {
  readonly text: string
  offset: number
}

// Each scan moves the offset past what is right, and returns what was expected where it stopped.

function scanValue(scanner: Scanner): string | undefined {
  skip(scanner, /[ \t\r\n]*/y)
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
  scanner.offset++
  skip(scanner, /[ \t\r\n]*/y)
  if (scanner.text[scanner.offset] === close) {
    scanner.offset++
    return undefined
  }
  for (;;) {
    const expected = scanItem(scanner)
    if (expected !== undefined) return expected
    skip(scanner, /[ \t\r\n]*/y)
    const character = scanner.text[scanner.offset]
    if (character !== ',' && character !== close) return `"," or "${close}"`
    scanner.offset++
    if (character === close) return undefined
  }
}

function scanMember(scanner: Scanner): string | undefined {
  skip(scanner, /[ \t\r\n]*/y)
  if (scanner.text[scanner.offset] !== '"') return 'a key in double quotes'
  const expected = scanString(scanner)
  if (expected !== undefined) return expected
  skip(scanner, /[ \t\r\n]*/y)
  if (scanner.text[scanner.offset] !== ':') return '":"'
  scanner.offset++
  return scanValue(scanner)
}

function scanString(scanner: Scanner): string | undefined {
  scanner.offset++
  skip(scanner, /(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*/y)
  const character = scanner.text[scanner.offset]
  if (character !== '"') return character === '\\' ? 'an escape sequence of JSON' : 'the closing quote of a text'
  scanner.offset++
  return undefined
}

function scanEnd(scanner: Scanner): string | undefined {
  skip(scanner, /[ \t\r\n]*/y)
  return scanner.offset < scanner.text.length ? 'the end of the file' : undefined
}

function skip(scanner: Scanner, sticky: RegExp): boolean {
  sticky.lastIndex = scanner.offset
  const match = sticky.exec(scanner.text)
  if (match !== null) scanner.offset += match[0].length
  return match !== null
}
