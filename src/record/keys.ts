/** What `JSON.parse` does not tell of: a key that stands in one object twice, of which it keeps the last. A bad merge leaves them. */
import { endOfText } from '../artifact/json-text.ts'
import { quoted } from '../artifact/text.ts'

interface Frame {
  /** Where the object or list is: `the file`, `models`, `models["qwen3:8b"]`. */
  readonly place: string
  /** `undefined` for a list. */
  readonly keys: Set<string> | undefined
}

export interface KeyTwice {
  readonly place: string
  readonly key: string
}

/** The first key that its object has already. Takes valid JSON. */
export function findKeyTwice(json: string): KeyTwice | undefined {
  const frames: Frame[] = []
  let key = ''
  // Numbers, words, commas and spaces neither open nor close anything.
  const mark = /["{}[\]]/g
  for (let match = mark.exec(json); match !== null; match = mark.exec(json)) {
    const frame = frames.at(-1)
    if (match[0] === '}' || match[0] === ']') frames.pop()
    else if (match[0] === '{') frames.push({ place: placeIn(frame, key), keys: new Set() })
    else if (match[0] === '[') frames.push({ place: placeIn(frame, key), keys: undefined })
    else {
      mark.lastIndex = endOfText(json, match.index + 1)
      if (frame?.keys === undefined || !isColonAt(json, mark.lastIndex)) continue
      key = String(JSON.parse(json.slice(match.index, mark.lastIndex)))
      if (frame.keys.has(key)) return { place: frame.place, key }
      frame.keys.add(key)
    }
  }
  return undefined
}

function placeIn(parent: Frame | undefined, key: string): string {
  if (parent === undefined) return 'the file'
  if (parent.keys === undefined) return `${parent.place}[]`
  return parent.place === 'the file' ? key : `${parent.place}[${quoted(key)}]`
}

function isColonAt(json: string, offset: number): boolean {
  const colon = /\s*:/y
  colon.lastIndex = offset
  return colon.test(json)
}
