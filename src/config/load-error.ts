/** What went wrong in a config, in one form whatever runtime says it: one line, with the place in what the user wrote. */
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { printable } from '../artifact/text.ts'
import { isOllamaConfigError, OllamaConfigError } from '../errors.ts'
import type { JsonMistake } from '../json.ts'
import { codeFrame } from './frame.ts'
import { missingExport, missingImport } from './import-error.ts'
import { fromTsx, withoutMarks } from './marks.ts'

/** A place in a file; both numbers from 1. */
export interface Place {
  readonly file: string
  readonly line: number
  readonly column: number
  /** How the column is counted, if not in UTF-16 units: esbuild counts bytes of UTF-8, Deno gives a tab two columns. */
  readonly counts?: 'bytes' | 'wide tabs' | undefined
}

export interface Finding {
  /** What the message begins with, before the place. */
  readonly what: string
  readonly reason: string
  readonly place: Place | undefined
  readonly hint?: string | undefined
}

/** The error for whatever importing the config at `path`, or calling what it exports, threw. */
export async function loadError(path: string, error: unknown): Promise<Error> {
  let finding: Finding
  try {
    if (error instanceof Error && isOllamaConfigError(error)) return error
    finding = await find(path, error)
  } catch {
    // A config can throw anything: an error whose `message` is no text, a proxy that throws at every question.
    finding = { what: 'Cannot load', reason: 'it threw something that cannot be shown', place: undefined }
  }
  return failure(path, finding, error)
}

async function find(path: string, error: unknown): Promise<Finding> {
  const text = describe(error)
  return (
    (await missingExport(path, text)) ??
    syntaxError(text) ??
    (await missingImport(path, text)) ??
    (await unplacedSyntaxError(path, error)) ??
    thrown(text, error)
  )
}

/** The error for text that is not JSON. */
export function jsonError(path: string, text: string, mistake: JsonMistake): Promise<Error> {
  const before = text.slice(0, mistake.offset).split(/\r\n|\n|\r/)
  return failure(path, {
    what: 'Syntax error in',
    reason: `Expected ${mistake.expected} but found ${characterName(text.codePointAt(mistake.offset))}`,
    place: { file: path, line: before.length, column: (before.at(-1)?.length ?? 0) + 1 },
    hint: mistake.hint,
  })
}

function characterName(code: number | undefined): string {
  if (code === undefined) return 'the end of the file'
  const character = String.fromCodePoint(code)
  // Of those that do not show, such as a no-break space, the number helps. JSON has names for the first ones.
  const shows = code <= 0x20 || printable(character) !== ''
  return shows ? JSON.stringify(character) : `U+${code.toString(16).toUpperCase().padStart(4, '0')}`
}

async function failure(path: string, finding: Finding, cause?: unknown): Promise<OllamaConfigError> {
  const { what, reason, hint } = finding
  const file = finding.place?.file ?? path
  const text = await readFile(file, 'utf8').catch(() => '')
  const place = finding.place === undefined ? undefined : inUnits(finding.place, text)
  const frame = place === undefined ? '' : codeFrame(text, place.line, place.column)
  const where = place === undefined ? '' : `:${place.line}:${place.column}`
  return new OllamaConfigError('config-load-failed', `${what} ${printable(file, 1000)}${where}: ${oneLine(reason)}`, {
    hint: hint ?? 'mend it and run the command again',
    details: {
      file,
      ...(place === undefined ? {} : { line: place.line, column: place.column }),
      ...(frame === '' ? {} : { frame }),
    },
    cause,
  })
}

function inUnits(place: Place, text: string): Place {
  const { counts, ...rest } = place
  const line = text.split('\n')[place.line - 1] ?? ''
  if (counts === 'bytes')
    return {
      ...rest,
      column:
        Buffer.from(line)
          .subarray(0, place.column - 1)
          .toString().length + 1,
    }
  if (counts === 'wide tabs')
    return {
      ...rest,
      column:
        line
          .replace(/\t/g, '\t\t')
          .slice(0, place.column - 1)
          .replace(/\t\t/g, '\t').length + 1,
    }
  return rest
}

/** All that an error says, without colours and marks. Bun puts syntax errors into an AggregateError, with the place in fields. */
function describe(error: unknown): string {
  const first: unknown = error instanceof AggregateError ? error.errors[0] : error
  if (typeof first !== 'object' || first === null || !('message' in first)) return valueText(first)
  const position = 'position' in first ? (first.position as BunPosition | null) : null
  const place = position === null ? '' : `${position.file}:${position.line}:${position.column}: BUN: `
  // On Deno some places are in the stack alone, on Bun most are in the message alone.
  const stack = error instanceof Error ? error.stack : undefined
  return fromTsx(withoutMarks(`${place}${first.message}\n${stack ?? ''}`.replace(/\u001b\[[\d;]*m/g, '')))
}

/** Any value as text. JSON has no bigints and no cycles; not every object can be made a string. */
function valueText(value: unknown): string {
  if (typeof value === 'bigint') return `${value}n`
  try {
    return JSON.stringify(value) ?? String(value)
  } catch {
    return Array.isArray(value) ? 'an array' : 'an object'
  }
}

interface BunPosition {
  readonly file: string
  readonly line: number
  readonly column: number
}

function syntaxError(text: string): Finding | undefined {
  const what = 'Syntax error in'
  const bundler = /^(.+):(\d+):(\d+): (ERROR|BUN): (.*)$/m.exec(text)
  if (bundler !== null) {
    const [, file = '', line, column, by, reason = ''] = bundler
    const isEsbuild = by === 'ERROR' // It also counts from 0. For Bun see above.
    const counts = isEsbuild ? 'bytes' : undefined
    return { what, reason, place: { file, line: Number(line), column: Number(column) + (isEsbuild ? 1 : 0), counts } }
  }
  const deno = /^SyntaxError: (.*)[\s\S]*?\bat (file:.+?):(\d+):(\d+)/m.exec(text)
  if (deno === null) return undefined
  const [, reason = '', url = '', line, column] = deno
  return {
    what,
    reason,
    place: { file: fileURLToPath(url), line: Number(line), column: Number(column), counts: 'wide tabs' },
  }
}

/** V8 does not tell where a syntax error in JavaScript is, but to the terminal. */
async function unplacedSyntaxError(path: string, error: unknown): Promise<Finding | undefined> {
  if (!(error instanceof SyntaxError) || 'Deno' in globalThis || 'Bun' in globalThis) return undefined
  const { checkSyntax } = await import('./tsx.ts')
  const message = await checkSyntax(await readFile(path, 'utf8'), path)
  return message === undefined ? undefined : syntaxError(message)
}

function thrown(text: string, error: unknown): Finding {
  const what = 'Cannot load'
  if (!(error instanceof Error)) return { what, reason: `it threw ${valueText(error)}`, place: undefined }
  const reason = error.name === 'Error' ? String(error.message) : `${error.name}: ${error.message}`
  const hint = /^defineConfig is not defined/.test(error.message)
    ? "add import { defineConfig } from 'ollama-config'"
    : undefined
  // Node puts an excerpt before the stack of some errors.
  const shown = /^(\/.*|[A-Za-z]:\\.*|file:.*):(\d+)\n.*\n( *)\^/m.exec(text)
  if (shown !== null) {
    const [, file = '', line, indent = ''] = shown
    return { what, reason, hint, place: { file: toPath(file), line: Number(line), column: indent.length + 1 } }
  }
  for (const frame of text.split('\n').filter((line) => /^\s+at /.test(line))) {
    if (/\bat (?:async )?(?:\w+\.)?(?:importConfig|ofConfig)\b/.test(frame)) break // What follows is whoever loads the config.
    // Not what is inside of "node:internal/fs/promises:637:25".
    const [, location, line, column] = /[ (]((?:file:\/\/|\/|[A-Za-z]:\\)[^()]*?):(\d+):(\d+)\)?$/.exec(frame) ?? []
    if (location === undefined) continue
    const file = toPath(location)
    if (file.startsWith(ownCode) || /[/\\]node_modules[/\\]/.test(file)) continue
    const place = { file, line: Number(line), column: Number(column) }
    return { what, reason: reason.replace(/ at file:\S+$/, ''), hint, place }
  }
  return { what, reason, hint, place: undefined }
}

// From JSR this code is not a file.
const ownUrl = new URL('../', import.meta.url)
const ownCode = ownUrl.protocol === 'file:' ? fileURLToPath(ownUrl) : ownUrl.href

export function toPath(location: string): string {
  return location.startsWith('file:') ? fileURLToPath(location) : location
}

function oneLine(text: string): string {
  return printable(withoutMarks(text), 1000)
}
