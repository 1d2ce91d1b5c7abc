/** What an Ollama server answers, checked by hand: a schema library would cost more to load than all of it. */
import { isRecord } from '../artifact/json-text.ts'
import { parseListedName } from '../artifact/reference.ts'
import { printable } from '../artifact/text.ts'
import { isOllamaConfigError, type OllamaConfigError } from '../errors.ts'
import type { InstalledModel } from '../plan/state.ts'
import type { PullProgress } from './backend.ts'
import { type CallContext, callOf, fail, notOllamaHint } from './errors.ts'

/** A listing entry has about 500 bytes, a model's details with their vocabulary left out some 100 KB. */
export const maxJsonBytes = 64 * 1024 * 1024
/** Of an answer that is only shown. */
export const maxErrorBytes = 64 * 1024

/** @throws {OllamaConfigError} `host-not-ollama`, `invalid-response` */
export function parseJson(text: string, context: CallContext): Readonly<Record<string, unknown>> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw notJson(text, context)
  }
  if (!isRecord(value)) throw notJson(text, context)
  return value
}

/** Half an answer of an Ollama server looks otherwise than the page of a web server or a sign-in portal. */
export function notJson(text: string, context: CallContext): OllamaConfigError {
  const beginning = printable(text, 80)
  if (text.trimStart().startsWith('{')) {
    return fail(
      'invalid-response',
      `The answer of ${context.origin} to ${callOf(context)} is broken JSON: ${beginning}`,
      'look at the log of the server, and at proxies in front of it',
      context,
    )
  }
  return fail(
    'host-not-ollama',
    `What answers at ${context.origin} is not Ollama: ${callOf(context)} gave ${beginning === '' ? 'nothing' : beginning}`,
    notOllamaHint,
    context,
  )
}

export function wrongShape(place: string, wanted: string, context: CallContext): OllamaConfigError {
  return fail(
    'invalid-response',
    `The answer of ${context.origin} to ${callOf(context)} is not valid: ${place} is not ${wanted}`,
    'the server may be of a version that this tool does not know',
    context,
  )
}

export interface Listing {
  readonly models: readonly InstalledModel[]
  readonly unreadable: readonly string[]
}

/** @throws {OllamaConfigError} `host-not-ollama`, `invalid-response` */
export function readListing(text: string, context: CallContext): Listing {
  const { models: entries } = parseJson(text, context)
  if (entries === undefined) {
    throw fail(
      'host-not-ollama',
      `What answers at ${context.origin} is not Ollama: ${callOf(context)} gave no list of models`,
      notOllamaHint,
      context,
    )
  }
  // Go writes an empty slice that was never made as null.
  if (entries !== null && !Array.isArray(entries)) throw wrongShape('"models"', 'a list', context)
  const models: InstalledModel[] = []
  const unreadable: string[] = []
  for (const [index, entry] of (entries ?? []).entries()) {
    const place = `models[${index}]`
    if (!isRecord(entry)) throw wrongShape(place, 'an object', context)
    const name = entry['name'] ?? entry['model']
    if (typeof name !== 'string' || name === '') throw wrongShape(`${place}.name`, 'a name', context)
    const reference = listedReference(name)
    if (reference === undefined) unreadable.push(printable(name))
    else models.push({ name, reference, ...readFacts(entry, place, context) })
  }
  return { models, unreadable }
}

function listedReference(name: string): InstalledModel['reference'] | undefined {
  try {
    return parseListedName(name)
  } catch (error) {
    if (isOllamaConfigError(error)) return undefined
    throw error
  }
}

function readFacts(
  entry: Readonly<Record<string, unknown>>,
  place: string,
  context: CallContext,
): Omit<InstalledModel, 'name' | 'reference'> {
  const { digest, size, details, remote_host } = entry
  // The listing has the bare digits.
  const hex = typeof digest === 'string' ? /^(?:sha256:)?([0-9a-f]{64})$/i.exec(digest)?.[1] : undefined
  if (hex === undefined) throw wrongShape(`${place}.digest`, 'a SHA-256 digest', context)
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0)
    throw wrongShape(`${place}.size`, 'a number of bytes', context)
  const parentModel = isRecord(details) ? nonEmpty(details['parent_model']) : null
  const remoteHost = nonEmpty(remote_host)
  return {
    digest: `sha256:${hex.toLowerCase()}`,
    sizeBytes: size,
    ...(parentModel === null ? {} : { parentModel }),
    ...(remoteHost === null ? {} : { remoteHost }),
  }
}

/** `null` for anything else than the answer of an Ollama server: the version only informs. */
export function readVersion(text: string): string | null {
  try {
    const value: unknown = JSON.parse(text)
    return isRecord(value) ? nonEmpty(value['version'], 80) : null
  } catch {
    return null
  }
}

/** Takes a line of a pull. Numbers are left out by the server while they are 0. */
export function readProgress(value: unknown, context: CallContext): PullProgress {
  if (!isRecord(value)) throw wrongShape('a line', 'an object', context)
  const { status, digest, completed, total } = value
  if (status !== undefined && typeof status !== 'string') throw wrongShape('"status"', 'a text', context)
  return {
    status: printable(status ?? ''),
    ...(typeof digest === 'string' ? { digest: printable(digest, 80) } : {}),
    ...(isCount(completed) ? { completedBytes: completed } : {}),
    ...(isCount(total) ? { totalBytes: total } : {}),
  }
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

/** As it is: it is compared with what the config says. */
export function textOf(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null
}

/** One line of visible text, or `null`. */
export function nonEmpty(value: unknown, maxLength?: number): string | null {
  const text = typeof value === 'string' ? printable(value, maxLength) : ''
  return text === '' ? null : text
}
