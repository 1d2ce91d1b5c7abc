/**
 * Leaves of the declarations in `dist/types` what the entry points in package.json reach: tsc writes a file for each source, with all
 * that is exported inside of this package. It reads tsc's way of writing: each statement begins at the left edge, and nothing else does.
 */
import { existsSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'

const folder = 'dist/types'
const files = new Map()

/** What a file declares, imports and passes on, and what is known to be needed of it. */
function open(file) {
  const known = files.get(file)
  if (known !== undefined) return known
  const statements = statementsOf(readFileSync(file, 'utf8')).map((text) => describe(text, file))
  const opened = { statements, needed: new Set() }
  files.set(file, opened)
  return opened
}

/** Each with the comment above it. A comment may also stand in the midst of one. */
function statementsOf(text) {
  const lines = text.trimEnd().split('\n')
  const starts = lines.flatMap((line, index) => (/^[a-z]/.test(line) ? [aboveWithComment(lines, index)] : []))
  return starts.map((start, index) => lines.slice(start, starts[index + 1]).join('\n'))
}

function aboveWithComment(lines, index) {
  if (!lines[index - 1]?.endsWith('*/')) return index
  for (let at = index - 1; at >= 0; at--) if (lines[at].startsWith('/**')) return at
  return index
}

function describe(text, file) {
  const code = text.replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*/g, '').trim()
  const from = /\bfrom\s*['"]([^'"]+)['"]/.exec(code)?.[1]
  const target = from?.startsWith('.') ? path.join(path.dirname(file), from.replace(/\.[jt]s$/, '.d.ts')) : undefined
  const list = /^(?:import|export)\s+(?:type\s+)?\{([^}]*)\}/.exec(code)?.[1]
  const pairs = list?.split(',').flatMap((item) => {
    const [name, local = name] = item
      .trim()
      .replace(/^type\s+/, '')
      .split(/\s+as\s+/)
    return name === '' ? [] : [{ name, local, item: item.trim() }]
  })
  const declared =
    /^(?:export\s+)?(?:declare\s+)?(?:abstract\s+)?(?:interface|type|class|const|function|enum)\s+([\w$]+)/.exec(
      pairs === undefined ? code : '',
    )?.[1]
  return { text, code, target, pairs, declared, isImport: code.startsWith('import'), isKept: false }
}

/** Everything that the file exports. */
function needAll(file) {
  for (const statement of open(file).statements) {
    if (!statement.code.startsWith('export')) continue
    if (statement.pairs === undefined) keep(statement, file)
    else for (const { local } of statement.pairs) need(file, local)
  }
}

function need(file, name) {
  const { statements, needed } = open(file)
  if (needed.has(name)) return
  needed.add(name)
  for (const statement of statements) {
    const { declared, pairs, target, isImport } = statement
    if (declared === name) keep(statement, file)
    const pair = pairs?.find(({ local }) => local === name)
    if (pair === undefined) continue
    statement.isKept = true
    if (target !== undefined) need(target, pair.name)
    else if (!isImport) need(file, pair.name)
  }
}

function keep(statement, file) {
  if (statement.isKept) return
  statement.isKept = true
  const { code, target } = statement
  if (target !== undefined) return needAll(target)
  for (const [, specifier] of code.matchAll(/\bimport\(['"](\.[^'"]+)['"]\)/g))
    needAll(path.join(path.dirname(file), specifier.replace(/\.[jt]s$/, '.d.ts')))
  for (const [word] of code.matchAll(/[\w$]+/g)) need(file, word)
}

/** Of a list of names, those that are needed. */
function written({ text, pairs }, { needed }) {
  if (pairs === undefined) return text
  const items = pairs.filter(({ local }) => needed.has(local)).map(({ item }) => item)
  return text.replace(/\{[^}]*\}/, `{ ${items.join(', ')} }`)
}

const { exports } = JSON.parse(readFileSync('package.json', 'utf8'))
for (const { types } of Object.values(exports)) {
  if (types === undefined) continue
  const [before, after] = types.split('*')
  if (after === undefined) needAll(path.normalize(types))
  else for (const name of readdirSync(before)) needAll(path.normalize(before + name + after))
}

const entries = readdirSync(folder, { recursive: true, withFileTypes: true })
const pathOf = (entry) => path.join(entry.parentPath, entry.name)
for (const file of entries.filter((entry) => entry.isFile()).map(pathOf)) {
  const kept = files.get(file)?.statements.filter(({ isKept }) => isKept) ?? []
  if (kept.length === 0) rmSync(file)
  else writeFileSync(file, `${kept.map((statement) => written(statement, files.get(file))).join('\n')}\n`)
}
// The deepest first.
for (const name of entries
  .filter((entry) => entry.isDirectory())
  .map(pathOf)
  .sort()
  .reverse())
  if (existsSync(name) && readdirSync(name).length === 0) rmdirSync(name)
