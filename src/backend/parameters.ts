/** The parameters of a model as `/api/show` prints them: `%-30s %#v` of Go, a line per value, lines in no certain order. Pure. */

export type ShownValue = string | number | boolean
/** By name. A value alone stands for itself; of a parameter with several lines it is a list, in their order. */
export type ShownParameters = Readonly<Record<string, ShownValue | readonly ShownValue[]>>

export function readParameters(text: string): ShownParameters {
  const values = new Map<string, ShownValue | readonly ShownValue[]>()
  for (const line of text.split('\n')) {
    const { name, value } = /^(?<name>\S+)\s+(?<value>.*)$/.exec(line)?.groups ?? {}
    if (name === undefined || value === undefined) continue
    const read = readValue(value.trim())
    const earlier = values.get(name)
    values.set(name, earlier === undefined ? read : [earlier, read].flat())
  }
  // Not by assignment: a parameter may be called anything.
  return Object.fromEntries(values)
}

function readValue(text: string): ShownValue {
  if (text.startsWith('"')) return unquoteGo(text) ?? text
  if (text === 'true' || text === 'false') return text === 'true'
  // Floats as Go writes them, such as 1.048576e+06. What is none, such as a map, stays text.
  return /^[+-]?\d/.test(text) && Number.isFinite(Number(text)) ? Number(text) : text
}

const shortEscapes: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
  '"': '"',
}

const goEscape = /\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8})|([abfnrtv\\"]))/g

/** What `strconv.Quote` made of a text; `undefined` when it did not. `\x80` and up are bytes that are no UTF-8. */
function unquoteGo(text: string): string | undefined {
  if (text.length < 2 || !text.endsWith('"')) return undefined
  return text.slice(1, -1).replace(goEscape, (all: string, byte?: string, short?: string, long?: string, name = '') => {
    const code = Number.parseInt(byte ?? short ?? long ?? '', 16)
    if (Number.isNaN(code)) return shortEscapes[name] ?? all
    const isCharacter = byte === undefined ? code <= 0x10ffff : code < 0x80
    return isCharacter ? String.fromCodePoint(code) : '\ufffd'
  })
}
