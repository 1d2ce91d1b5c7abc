/** A config as TypeScript. Names and texts may come from anybody who can push a model: none of them gets out of its quotes or comment. */
import { parameterKinds } from '../artifact/parameters.ts'
import { printable } from '../artifact/text.ts'
import type { Draft, DraftItem, KeptModel } from './draft.ts'

/** Longest line of an object that is written on one. */
const maxColumns = 100

export function renderConfig({ intro, items, keep }: Draft): string {
  return [
    "import { defineConfig } from 'ollama-config'",
    '',
    ...intro.map(commentLine),
    'export default defineConfig({',
    ...(items.length === 0 ? ['  models: [],'] : ['  models: [', ...items.flatMap(itemLines), '  ],']),
    ...(keep.length === 0 ? [] : keepLines(keep)),
    '})',
    '',
  ].join('\n')
}

function itemLines(item: DraftItem): readonly string[] {
  if ('comment' in item) return [item.comment === '' ? '' : `    ${commentLine(item.comment)}`]
  const text = literal(item.declaration, '    ')
  const note = item.note === undefined || item.note === '' ? undefined : commentLine(item.note)
  const isShort = note !== undefined && !text.includes('\n') && text.length + note.length < maxColumns
  if (note === undefined || isShort) return [`    ${text},${note === undefined ? '' : ` ${note}`}`]
  return [`    ${note}`, `    ${text},`]
}

function keepLines(keep: readonly KeptModel[]): readonly string[] {
  return [
    '  // Installed, but not to be declared so that it could be made again. Nothing deletes these:',
    '  keep: [',
    ...keep.flatMap(({ name, reason }) => [`    ${commentLine(reason)}`, `    ${quote(name)},`]),
    '  ],',
  ]
}

function commentLine(text: string): string {
  return `// ${printable(text)}`
}

/** @param indent Of the line that it begins on */
function literal(value: unknown, indent: string): string {
  if (typeof value === 'string') return value.includes('\n') ? templateLiteral(value) : quote(value)
  if (Array.isArray(value))
    return list(
      '[',
      value.map((item) => literal(item, `${indent}  `)),
      ']',
      indent,
    )
  if (typeof value !== 'object' || value === null) return String(value)
  return object(value, indent)
}

function object(value: object, indent: string): string {
  const entries = Object.entries(value).filter(([, item]) => item !== undefined)
  return list(
    '{',
    entries.map(([key, item]) =>
      key === 'parameters' && typeof item === 'object' && item !== null
        ? `${key}: ${parameters(item, `${indent}  `)}`
        : `${propertyName(key)}: ${literal(item, `${indent}  `)}`,
    ),
    '}',
    indent,
  )
}

/** The compiler refuses a parameter that it does not know, unless it is spread. */
function parameters(value: object, indent: string): string {
  const entries = Object.entries(value)
  const inner = `${indent}  `
  const known = entries.filter(([key]) => Object.hasOwn(parameterKinds, key))
  const others = entries.filter(([key]) => !Object.hasOwn(parameterKinds, key))
  const spread = others.length === 0 ? [] : [`...${object(Object.fromEntries(others), inner)}`]
  return list('{', [...known.map(([key, item]) => `${key}: ${literal(item, inner)}`), ...spread], '}', indent)
}

function list(open: string, items: readonly string[], close: string, indent: string): string {
  if (items.length === 0) return open + close
  const space = open === '{' ? ' ' : ''
  const line = `${open}${space}${items.join(', ')}${space}${close}`
  if (!line.includes('\n') && indent.length + line.length <= maxColumns) return line
  return [open, ...items.map((item) => `${indent}  ${item},`), `${indent}${close}`].join('\n')
}

function propertyName(key: string): string {
  // Written plainly it would be the prototype.
  if (key === '__proto__') return "['__proto__']"
  return /^[A-Za-z_$][\w$]*$/.test(key) ? key : quote(key)
}

function quote(text: string): string {
  return `'${text.replaceAll(/[\\']/g, '\\$&').replaceAll(hidden, escaped)}'`
}

function templateLiteral(text: string): string {
  const safe = text.replaceAll(/[\\`]|\$(?=\{)/g, '\\$&')
  return `\`${safe.replaceAll(hidden, (character) => (character === '\n' ? character : escaped(character)))}\``
}

/** What an editor does not show, or shows elsewhere than it is; in a template a carriage return would be lost. */
const hidden =
  /[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]|\p{Surrogate}/gu

function escaped(character: string): string {
  const known: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }
  return known[character] ?? `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`
}
