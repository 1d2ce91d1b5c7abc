/** Request bodies as Go's JSON decoder takes them: the first value counts, whatever follows is ignored. */

export type FieldType = 'string' | 'bool' | 'object' | 'strings' | 'any' | 'duration'

/** Name of the Go type, for error texts, and the fields whose type is checked. */
export interface BodyShape {
  type: string
  fields: Record<string, FieldType>
}

export interface DecodedBody {
  values: Record<string, unknown>
  unknownKeys: string[]
}

/** Answers the text of a 400 where the server would. */
export function decodeBody(text: string, shape: BodyShape): DecodedBody | { error: string } {
  const start = text.search(/[^ \t\r\n]/)
  if (start < 0) return { error: 'missing request body' }
  const end = endOfValue(text, start)
  if (end === undefined) return { error: 'unexpected EOF' }
  let value: unknown
  try {
    value = JSON.parse(text.slice(start, end))
  } catch {
    return { error: `invalid character '${text[start]}' looking for beginning of value` }
  }
  return check(value, shape)
}

function check(value: unknown, shape: BodyShape): DecodedBody | { error: string } {
  const decoded: DecodedBody = { values: {}, unknownKeys: [] }
  if (value === null) return decoded
  if (typeof value !== 'object' || Array.isArray(value)) {
    return { error: `json: cannot unmarshal ${kindOf(value)} into Go value of type api.${shape.type}` }
  }
  for (const [key, item] of Object.entries(value)) {
    // Go matches keys without regard to case.
    const field = Object.keys(shape.fields).find((name) => name === key.toLowerCase())
    if (field === undefined) {
      decoded.unknownKeys.push(key)
      continue
    }
    const type = shape.fields[field]
    if (item === null) continue
    if (type !== undefined && !fits(type, item)) {
      const place = `${shape.type}.${field} of type ${goTypes[type] ?? type}`
      return { error: `json: cannot unmarshal ${kindOf(item)} into Go struct field ${place}` }
    }
    const odd = type === 'strings' ? Object.values(item).find((value) => typeof value !== 'string') : undefined
    if (odd !== undefined) {
      const place = `${shape.type}.${field} of type string`
      return { error: `json: cannot unmarshal ${kindOf(odd)} into Go struct field ${place}` }
    }
    if (type === 'duration' && typeof item === 'string' && !/^[+-]?(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+$|^0$/.test(item)) {
      return { error: `time: invalid duration "${item}"` }
    }
    decoded.values[field] = item
  }
  return decoded
}

const goTypes: Partial<Record<FieldType, string>> = {
  object: 'map[string]interface {}',
  strings: 'map[string]string',
}

function fits(type: FieldType, item: unknown): boolean {
  if (type === 'string') return typeof item === 'string'
  if (type === 'bool') return typeof item === 'boolean'
  return (type !== 'object' && type !== 'strings') || (typeof item === 'object' && !Array.isArray(item))
}

function kindOf(value: unknown): string {
  if (typeof value === 'boolean') return 'bool'
  return Array.isArray(value) ? 'array' : typeof value
}

/** The index behind the first value, or undefined where the text ends inside of it. */
function endOfValue(text: string, start: number): number | undefined {
  let depth = 0
  let inString = false
  for (let index = start; index < text.length; index++) {
    const character = text[index] ?? ''
    if (inString) {
      if (character === '\\') index++
      else if (character === '"') inString = false
      if (!inString && depth === 0) return index + 1
    } else if (character === '"') inString = true
    else if ('{['.includes(character)) depth++
    else if ('}]'.includes(character)) depth--
    else if (depth === 0 && /[\s,:]/.test(character)) return index
    if (!inString && depth === 0 && '}]'.includes(character)) return index + 1
  }
  return depth > 0 || inString ? undefined : text.length
}

/** Go's encoder escapes these five for the sake of HTML; its decoder read half a character as U+FFFD. */
export function goJson(value: unknown): string {
  const json = JSON.stringify(value, (_, item: unknown) =>
    typeof item === 'string' ? item.replace(/\p{Surrogate}/gu, '\ufffd') : item,
  )
  return json.replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/** A map, whose keys Go sorts by their bytes at every depth. */
export function goMapJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(goMapJson).join(',')}]`
  if (typeof value !== 'object' || value === null) return goJson(value)
  const members = Object.entries(value).sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  return `{${members.map(([key, item]) => `${goJson(key)}:${goMapJson(item)}`).join(',')}}`
}
