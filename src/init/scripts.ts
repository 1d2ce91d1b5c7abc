/** Adds entries to `scripts` of a package.json, or `tasks` of a deno.json, and leaves every other byte of the file as it is. */
import { parseJson } from '../json.ts'

export interface Added {
  /** Of the file. `undefined`: it has comments or mistakes, so that nothing is put into it. */
  readonly text: string | undefined
  readonly added: readonly string[]
  /** Those that were there already, whatever they do. */
  readonly present: readonly string[]
}

type Entries = Readonly<Record<string, string>>

export function addEntries(text: string, key: 'scripts' | 'tasks', entries: Entries): Added {
  const names = Object.keys(entries)
  const mark = text.startsWith('\ufeff') ? 1 : 0
  const parsed = parseJson(text.slice(mark))
  const root = 'value' in parsed ? parsed.value : undefined
  if (!isObject(root)) return { text: undefined, added: names, present: [] }
  const old = Object.hasOwn(root, key) ? root[key] : {}
  if (!isObject(old)) return { text: undefined, added: names, present: [] }
  const added = names.filter((name) => !Object.hasOwn(old, name))
  const present = names.filter((name) => Object.hasOwn(old, name))
  if (added.length === 0) return { text, added, present }
  const eol = text.includes('\r\n') ? '\r\n' : '\n'
  const unit = /^([ \t]+)\S/m.exec(text)?.[1] ?? '  '
  const lines = added.map((name) => `${JSON.stringify(name)}: ${JSON.stringify(entries[name])}`)
  const result = Object.hasOwn(root, key)
    ? insert(text, objectAt(text, key), lines, { eol, indent: unit + unit, closing: unit })
    : insert(
        text,
        outline(text).end,
        [`"${key}": {${lines.map((line) => `${eol}${unit}${unit}${line}`).join()}${eol}${unit}}`],
        {
          eol,
          indent: unit,
          closing: '',
        },
      )
  return { text: result, added, present }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

interface Layout {
  readonly eol: string
  readonly indent: string
  /** Before the closing brace. */
  readonly closing: string
}

/** @param end Offset of the closing brace of the object that the lines go into */
function insert(text: string, end: number, lines: readonly string[], { eol, indent, closing }: Layout): string {
  const before = text.slice(0, end).trimEnd()
  const isEmpty = before.endsWith('{')
  const gap = text.slice(before.length, end)
  // An object on one line stays on one.
  if (!isEmpty && !gap.includes('\n')) return `${before}, ${lines.join(', ')}${gap}${text.slice(end)}`
  const joined = lines.map((line) => `${eol}${indent}${line}`).join()
  return `${before}${isEmpty ? '' : ','}${joined}${gap.includes('\n') ? gap : `${eol}${closing}`}${text.slice(end)}`
}

/** Of a valid JSON text: where its outermost object ends, and where each of its members begins and ends. */
function outline(text: string): { readonly end: number; readonly members: readonly Member[] } {
  const members: Member[] = []
  let depth = 0
  let key: string | undefined
  let end = 0
  for (const { 0: token, index } of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\],:]/g)) {
    if (token === '{' || token === '[') depth++
    else if (token === '}' || token === ']') {
      depth--
      if (depth === 1 && key !== undefined) members.push({ key, end: index })
      if (depth === 0) end = index
    } else if (token === ',' && depth === 1) key = undefined
    else if (token.startsWith('"') && depth === 1 && key === undefined) key = JSON.parse(token) as string
  }
  return { end, members }
}

interface Member {
  readonly key: string
  /** Offset of its closing brace or bracket. */
  readonly end: number
}

/** The last one of that name is the one that counts. */
function objectAt(text: string, key: string): number {
  return (
    outline(text)
      .members.filter((member) => member.key === key)
      .at(-1)?.end ?? 0
  )
}
