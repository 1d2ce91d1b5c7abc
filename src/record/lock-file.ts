/** Reads and writes the lock file. It is printed so that one layer is one line: a diff shows what changed, and merges work. */
import { readFile, stat } from 'node:fs/promises'
import path from 'node:path'
import { jsonText } from '../artifact/json-text.ts'
import { formatManifest, type Manifest, parseManifest } from '../artifact/manifest.ts'
import { compareText, parseListedName, referenceKey } from '../artifact/reference.ts'
import { printable, quoted } from '../artifact/text.ts'
import { isNotPermitted, isOllamaConfigError, OllamaConfigError } from '../errors.ts'
import { type JsonMistake, parseJson } from '../json.ts'
import { writeFileAtomically } from '../runtime/atomic-file.ts'
import { withFileMutex } from '../runtime/file-mutex.ts'
import { sha256 } from '../runtime/sha256.ts'
import { hasCode } from '../runtime/transport-error.ts'
import {
  digestAt,
  entriesAt,
  type Fields,
  fieldsAt,
  hashAt,
  listAt,
  majorAt,
  referenceAt,
  ShapeError,
  textAt,
  wrong,
} from '../shape.ts'
import { findKeyTwice } from './keys.ts'
import { layerAt, layerJson } from './layer.ts'
import {
  isLockedPull,
  type Lock,
  type LockedDerivation,
  type LockedModel,
  type LockedPull,
  lockFormatVersion,
} from './lock.ts'

/** Some kilobytes a model; nothing that anyone commits comes near. */
const maxBytes = 64 * 1024 * 1024

/** @returns `undefined` when there is no such file. @throws {OllamaConfigError} `lock-invalid` */
export async function readLock(file: string): Promise<Lock | undefined> {
  const name = path.basename(file)
  const found = await stat(file).catch((error: unknown) => {
    // Anything else must not pass for a missing file: its pins would silently not bind.
    if (hasCode(error) && /^(ENOENT|ENOTDIR)$/.test(error.code)) return undefined
    throw notRead(name, error)
  })
  if (found === undefined) return undefined
  if (!found.isFile()) throw invalid(name, 'is no file', 'remove what is in its place')
  if (found.size > maxBytes) throw invalid(name, `is larger than ${maxBytes} bytes`, restoreHint)
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw notRead(name, error)
  })
  return parseLock(text, name)
}

/** Unknown fields are ignored, as a newer minor version may have added them. @throws {OllamaConfigError} `lock-invalid` */
export function parseLock(written: string, name: string): Lock {
  const text = written.replace(/^\uFEFF/, '')
  // Not with the flag m: in a text there may be line ends that are none in JSON.
  if (/(?:^|\n)(?:<{7}|={7}|>{7})/.test(text)) {
    throw invalid(name, 'has the marks of a merge conflict in it', 'take either side, then run "ollama-config lock"')
  }
  const parsed = parseJson(text)
  if (!('value' in parsed)) throw invalid(name, `is broken JSON at ${placeOf(text, parsed)}`, restoreHint)
  try {
    return readLockValue(parsed.value, text, name)
  } catch (error) {
    if (error instanceof ShapeError) throw invalid(name, `is not valid: ${error.message}`, restoreHint)
    throw error
  }
}

function placeOf(text: string, { offset, expected }: JsonMistake): string {
  const before = text.slice(0, offset).split('\n')
  return `line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1}: expected ${expected}`
}

function readLockValue(value: unknown, text: string, name: string): Lock {
  const lock = fieldsAt(value, 'the file')
  if (majorAt(lock['formatVersion'], 'formatVersion') !== Number.parseInt(lockFormatVersion, 10)) {
    throw invalid(
      name,
      `has format ${JSON.stringify(lock['formatVersion'])}, which this version does not read`,
      'update ollama-config',
    )
  }
  const twice = findKeyTwice(text)
  if (twice !== undefined) throw new ShapeError(`${printable(twice.place, 300)} has ${quoted(twice.key)} twice`)
  const models = entriesAt(lock['models'], 'models', readEntry)
  const seen = new Map<string, string>()
  for (const model of Object.keys(models)) {
    const key = referenceKey(parseListedName(model))
    const other = seen.get(key)
    if (other !== undefined) throw new ShapeError(`models names one model twice, as "${other}" and "${model}"`)
    seen.set(key, model)
  }
  return { models }
}

function readEntry(value: unknown, place: string, model: string): LockedModel {
  referenceAt(model, place)
  const fields = fieldsAt(value, place)
  return fields['base'] === undefined ? readPull(fields, place) : readDerivation(fields, place)
}

function readPull(fields: Fields, place: string): LockedPull {
  const digest = digestAt(fields['digest'], `${place}.digest`)
  const registry = textAt(fields['registry'], `${place}.registry`)
  if (fields['layers'] === null) {
    if (fields['config'] !== null) throw wrong(`${place}.config`, 'null, as its layers are')
    return { digest, registry, config: null, layers: null }
  }
  const layers = listAt(fields['layers'], `${place}.layers`, layerAt)
  const config = fields['config'] === null ? null : layerAt(fields['config'], `${place}.config`)
  const manifest = fields['manifest'] === undefined ? undefined : textAt(fields['manifest'], `${place}.manifest`)
  const entry: LockedPull = { digest, registry, config, layers, ...(manifest === undefined ? {} : { manifest }) }
  if (`sha256:${sha256(manifestText(entry) ?? '')}` !== digest || !isManifestOf(manifest, entry)) {
    throw new ShapeError(
      `${place} does not fit together, as after an edit by hand or a bad merge: its config and layers do not give its digest`,
    )
  }
  return entry
}

/** Whether a manifest that is stored as text says the same as config and layers beside it. */
function isManifestOf(text: string | undefined, { config, layers }: LockedPull): boolean {
  if (text === undefined) return true
  try {
    return formatManifest(parseManifest(text)) === formatManifest({ config, layers: layers ?? [] })
  } catch (error) {
    if (isOllamaConfigError(error)) return false
    throw error
  }
}

function readDerivation(fields: Fields, place: string): LockedDerivation {
  const declaration = hashAt(fields['declaration'], `${place}.declaration`)
  return {
    digest: fields['digest'] === null ? null : digestAt(fields['digest'], `${place}.digest`),
    declaration,
    base: fields['base'] === null ? null : readBase(fieldsAt(fields['base'], `${place}.base`), `${place}.base`),
  }
}

function readBase({ reference, digest }: Fields, place: string): LockedDerivation['base'] {
  return {
    reference: referenceAt(reference, `${place}.reference`),
    digest: digestAt(digest, `${place}.digest`),
  }
}

/** The manifest's very bytes; `null` when its layers are not known. */
export function manifestText({ config, layers, manifest }: LockedPull): string | null {
  return layers === null ? null : (manifest ?? formatManifest({ config, layers }))
}

export interface PinnedVersion {
  readonly registry: string
  readonly digest: string
  /** `null` when it is not known. */
  readonly manifest: Manifest | null
  /** Its bytes, where they are not what `formatManifest` prints. */
  readonly text?: string | undefined
}

/** An entry; without layers when those that are given are not what the digest stands for. */
export function lockedPull({ registry, digest, manifest, text }: PinnedVersion): LockedPull {
  const printed = manifest === null ? undefined : formatManifest(manifest)
  const bytes = text ?? printed
  if (manifest === null || bytes === undefined || `sha256:${sha256(bytes)}` !== digest) {
    return { digest, registry, config: null, layers: null }
  }
  return { digest, registry, ...manifest, ...(bytes === printed ? {} : { manifest: bytes }) }
}

/** Sorted by code unit. The same lock gives the same bytes. */
export function formatLock({ models }: Lock): string {
  const entries = Object.entries(models)
    .sort(([a], [b]) => compareText(a, b))
    .map(
      ([name, entry]) =>
        `    ${jsonText(name)}: {\n${isLockedPull(entry) ? pullLines(entry) : derivationLines(entry)}\n    }`,
    )
  const body = entries.length === 0 ? '{}' : `{\n${entries.join(',\n')}\n  }`
  return `{\n  "formatVersion": ${jsonText(lockFormatVersion)},\n  "models": ${body}\n}\n`
}

function pullLines({ digest, registry, config, layers, manifest }: LockedPull): string {
  const rows = (layers ?? []).map((layer) => `        ${spaced(layerJson(layer))}`)
  return [
    `      "digest": ${jsonText(digest)}`,
    `      "registry": ${jsonText(registry)}`,
    `      "config": ${config === null ? 'null' : spaced(layerJson(config))}`,
    `      "layers": ${layers === null ? 'null' : rows.length === 0 ? '[]' : `[\n${rows.join(',\n')}\n      ]`}`,
    ...(manifest === undefined ? [] : [`      "manifest": ${jsonText(manifest)}`]),
  ].join(',\n')
}

function derivationLines({ digest, declaration, base }: LockedDerivation): string {
  return [
    `      "digest": ${jsonText(digest)}`,
    `      "declaration": ${jsonText(declaration)}`,
    `      "base": ${base === null ? 'null' : spaced(base)}`,
  ].join(',\n')
}

/** `{ "a": 1, "b": 2 }` on one line. */
function spaced(value: object): string {
  return `{ ${Object.entries(value)
    .map(([key, item]) => `${jsonText(key)}: ${jsonText(item)}`)
    .join(', ')} }`
}

/** Writes nothing when it says the same already. @throws {OllamaConfigError} `file-not-written` */
export async function writeLock(file: string, lock: Lock): Promise<boolean> {
  const text = formatLock(lock)
  // Reading a pipe would wait for ever.
  const isFile = (await stat(file).catch(() => undefined))?.isFile() === true
  const before = isFile ? await readFile(file, 'utf8').catch(() => undefined) : undefined
  // Git may have given it other line ends.
  if (before?.replaceAll('\r\n', '\n') === text) return false
  await writeFileAtomically(file, text)
  return true
}

export interface ChangedLock {
  /** As it was just before; `undefined` when there was none. */
  readonly before: Lock | undefined
  readonly changed: boolean
}

/**
 * Changes the lock file as it is now, which may be another than was read earlier: others write there too. Nothing is written when
 * `change` gives nothing.
 *
 * @throws {OllamaConfigError} `lock-invalid`, `file-not-written`
 */
export async function changeLock(
  file: string,
  change: (now: Lock | undefined) => Lock | undefined,
): Promise<ChangedLock> {
  return withFileMutex(file, async () => {
    const before = await readLock(file)
    const after = change(before)
    return { before, changed: after !== undefined && (await writeLock(file, after)) }
  })
}

/**
 * Puts entries into a lock file that exists, keeping the others; never makes one. An entry that somebody changed since `known` was
 * read stays as it is now.
 *
 * @returns the names whose entries say something else than before, sorted
 * @throws {OllamaConfigError} `lock-invalid`, `file-not-written`
 */
export async function extendLock(
  file: string,
  entries: ReadonlyMap<string, LockedModel>,
  known: Lock | undefined,
): Promise<readonly string[]> {
  if (known === undefined) return []
  const keyOf = (name: string) => referenceKey(parseListedName(name))
  // Of a model that is built declaration and base bind, more than its digest.
  const said = ({ models }: Lock) =>
    new Map(
      Object.entries(models).map(([name, entry]) => [
        keyOf(name),
        isLockedPull(entry) ? entry.digest : JSON.stringify(entry),
      ]),
    )
  let written: readonly string[] = []
  const { changed } = await changeLock(file, (now) => {
    if (now === undefined) return undefined
    const [before, current] = [said(known), said(now)]
    const wanted = [...entries].filter(([name]) => before.get(keyOf(name)) === current.get(keyOf(name)))
    const replaced = new Set(wanted.map(([name]) => keyOf(name)))
    const kept = Object.entries(now.models).filter(([name]) => !replaced.has(keyOf(name)))
    const after = { models: Object.fromEntries([...kept, ...wanted]) }
    const next = said(after)
    written = wanted.map(([name]) => name).filter((name) => next.get(keyOf(name)) !== current.get(keyOf(name)))
    return after
  })
  return changed ? [...written].sort(compareText) : []
}

const restoreHint = 'restore it from version control, or delete it and run "ollama-config lock"'

/** What Deno did not permit passes untouched: its own error says how to. */
function notRead(name: string, error: unknown): unknown {
  if (isNotPermitted(error)) return error
  const message = error instanceof Error ? printable(error.message, 200) : 'unknown error'
  return invalid(name, `cannot be read (${message})`, 'check its owner and mode')
}

function invalid(name: string, problem: string, hint: string): OllamaConfigError {
  return new OllamaConfigError('lock-invalid', `The lock file ${printable(name, 100)} ${problem}`, { hint })
}
