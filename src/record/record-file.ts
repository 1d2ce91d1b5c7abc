/**
 * The record of one host as files that many processes may change at once, and that no crash can spoil: each change is a new
 * numbered file, made with `link`, which fails when somebody else was quicker. The highest number counts. Nothing is ever
 * locked, so nothing can stay locked.
 */
import { link, open, readdir, readFile, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import { printable, quoted } from '../artifact/text.ts'
import { isOllamaConfigError, OllamaConfigError } from '../errors.ts'
import { makePrivateFolder, notWritten, writeTemporary } from '../runtime/atomic-file.ts'
import { sha256 } from '../runtime/sha256.ts'
import { sleep } from '../runtime/sleep.ts'
import { hasCode } from '../runtime/transport-error.ts'
import {
  digestAt,
  entriesAt,
  fieldsAt,
  flagAt,
  listAt,
  majorAt,
  referenceAt,
  ShapeError,
  textAt,
  timeAt,
} from '../shape.ts'
import { layerAt, layerJson } from './layer.ts'
import { type ConfigRecord, type HostRecord, type RecordedModel, recordFormatVersion } from './record.ts'

export interface RecordPlace {
  /** The state folder of the user; need not be there yet. */
  readonly folder: string
  /** Address of the host. */
  readonly host: string
  /** Default: that of `node:fs`; a test gives one that fails. */
  readonly link?: (from: string, to: string) => Promise<void>
}

export interface HostRecordFile {
  /** `undefined` when nothing was recorded yet. @throws {OllamaConfigError} `record-invalid` */
  read(): Promise<HostRecord | undefined>
  /**
   * Changes the record, whatever others do meanwhile: `change` may be called several times.
   *
   * @throws {OllamaConfigError} `record-invalid`, `file-not-written`
   */
  update(change: (record: HostRecord) => HostRecord): Promise<HostRecord>
}

/** Reads and writes nothing yet. */
export function openRecord({ folder, host, link: makeLink = link }: RecordPlace): HostRecordFile {
  const slug = host.replace(/[^a-z0-9.]+/gi, '-').slice(0, 60)
  return new NumberedFiles(path.join(folder, 'record', `${slug}-${sha256(host).slice(0, 12)}`), host, makeLink)
}

interface Version {
  readonly number: number
  readonly record: HostRecord | undefined
}

/** More processes than this do not meet at one host of one user. */
const maxTries = 200
/** A temporary file that is older belongs to nobody any more. */
const strayAfterMs = 3_600_000

class NumberedFiles implements HostRecordFile {
  readonly #folder: string
  readonly #host: string
  readonly #link: (from: string, to: string) => Promise<void>

  constructor(folder: string, host: string, makeLink: (from: string, to: string) => Promise<void>) {
    this.#folder = folder
    this.#host = host
    this.#link = makeLink
  }

  async read(): Promise<HostRecord | undefined> {
    return (await this.#newest()).record
  }

  async update(change: (record: HostRecord) => HostRecord): Promise<HostRecord> {
    try {
      await makePrivateFolder(this.#folder)
      for (let attempt = 1; attempt <= maxTries; attempt++) {
        const { number, record } = await this.#newest()
        const before = record ?? { host: this.#host, configs: {} }
        const after = change(before)
        const text = printRecord(after)
        if (record !== undefined && text === printRecord(before)) return record
        if (await this.#publish(text, number + 1)) return after
        await sleep(Math.random() * 10 * Math.min(attempt, 10))
      }
      throw new Error('too many other processes write there')
    } catch (error) {
      throw isOllamaConfigError(error) ? error : notWritten(this.#folder, error)
    }
  }

  /** False when somebody else was quicker. */
  async #publish(text: string, number: number): Promise<boolean> {
    const file = this.#path(number)
    const temporary = await writeTemporary(this.#folder, text, 0o600)
    try {
      if (!(await this.#create(temporary, file, text))) return false
    } finally {
      await rm(temporary, { force: true })
    }
    const numbers = await this.#numbers()
    // The number was free only because it had been cleaned away: what was built on is old.
    if (Math.max(...numbers) > number) {
      await rm(file, { force: true })
      return false
    }
    await this.#clean(numbers, number)
    return true
  }

  async #create(temporary: string, file: string, text: string): Promise<boolean> {
    try {
      await this.#link(temporary, file)
      return true
    } catch (error) {
      const code = hasCode(error) ? error.code : ''
      if (code === 'EEXIST') return false
      if (!/^(EPERM|EACCES|ENOTSUP|EOPNOTSUPP|ENOSYS|EMLINK|EXDEV)$/.test(code)) throw error
    }
    // Some file systems have no links. What a crash cuts off here is passed over by readers.
    const handle = await open(file, 'wx', 0o600).catch((error: unknown) => {
      if (hasCode(error) && error.code === 'EEXIST') return undefined
      throw error
    })
    if (handle === undefined) return false
    try {
      await handle.writeFile(text)
      await handle.sync()
    } finally {
      await handle.close()
    }
    return true
  }

  async #newest(): Promise<Version> {
    for (let attempt = 1; ; attempt++) {
      const numbers = (await this.#numbers()).sort((a, b) => b - a)
      let problem: OllamaConfigError | undefined
      for (const number of numbers) {
        try {
          const text = await readFile(this.#path(number), 'utf8')
          // The number of a spoiled newest file is taken: the next one goes above it.
          return { number: numbers[0] ?? number, record: parseRecord(text, this.#path(number)) }
        } catch (error) {
          if (isOllamaConfigError(error) && error.details?.['newer'] !== true) problem = error
          // Cleaned away between listing and reading, when several newer ones came.
          else if (!(hasCode(error) && error.code === 'ENOENT'))
            throw isOllamaConfigError(error) ? error : unreadable(this.#path(number), messageOf(error))
        }
      }
      if (problem !== undefined) throw problem
      if (numbers.length === 0) return { number: 0, record: undefined }
      if (attempt === maxTries) throw unreadable(this.#folder, 'it changes all the time')
    }
  }

  async #numbers(): Promise<number[]> {
    const names = await readdir(this.#folder).catch((error: unknown) => {
      if (hasCode(error) && error.code === 'ENOENT') return []
      throw hasCode(error) ? unreadable(this.#folder, messageOf(error)) : error
    })
    return names.flatMap((name) => (/^\d{1,15}\.json$/.test(name) ? [Number.parseInt(name, 10)] : []))
  }

  /** The one before stays for those who are about to read it. */
  async #clean(numbers: readonly number[], newest: number): Promise<void> {
    const old = numbers.filter((number) => number < newest - 1).map((number) => this.#path(number))
    const strays = (await readdir(this.#folder).catch(() => [])).filter((name) => name.endsWith('.tmp'))
    for (const name of strays) {
      const file = path.join(this.#folder, name)
      const found = await stat(file).catch(() => undefined)
      if (found !== undefined && Date.now() - found.mtimeMs > strayAfterMs) old.push(file)
    }
    await Promise.all(old.map((file) => rm(file, { force: true }).catch(() => {})))
  }

  #path(number: number): string {
    return path.join(this.#folder, `${number}.json`)
  }
}

function printRecord({ host, configs }: HostRecord): string {
  const blobs = (layers: RecordedModel['blobs']) => layers?.map(layerJson) ?? null
  const record = {
    formatVersion: recordFormatVersion,
    host,
    configs: mapValues(configs, ({ declared, models, copies }) => ({
      declared,
      models: mapValues(models, (model) => ({ ...model, blobs: blobs(model.blobs) })),
      copies: mapValues(copies, (copy) => ({ ...copy, blobs: blobs(copy.blobs) })),
    })),
  }
  return `${JSON.stringify(record, null, 1)}\n`
}

/** @throws {OllamaConfigError} `record-invalid` */
export function parseRecord(text: string, file: string): HostRecord {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw unreadable(file, 'it is broken JSON')
  }
  try {
    const record = fieldsAt(value, 'the file')
    if (majorAt(record['formatVersion'], 'formatVersion') !== Number.parseInt(recordFormatVersion, 10))
      throw newer(file)
    return { host: textAt(record['host'], 'host'), configs: entriesAt(record['configs'], 'configs', readConfig) }
  } catch (error) {
    if (error instanceof ShapeError) throw unreadable(file, error.message)
    throw error
  }
}

function readConfig(value: unknown, place: string): ConfigRecord {
  const { declared, models, copies } = fieldsAt(value, place)
  return {
    declared: listAt(declared, `${place}.declared`, referenceAt),
    models: entriesAt(models, `${place}.models`, readModel),
    copies: entriesAt(copies, `${place}.copies`, (copy, at, name) => ({
      ...readModel(copy, at, name),
      of: referenceAt(fieldsAt(copy, at)['of'], `${at}.of`),
    })),
  }
}

function readModel(value: unknown, place: string, name: string): RecordedModel {
  referenceAt(name, place)
  const { digest, broughtIn, at, blobs } = fieldsAt(value, place)
  return {
    digest: digestAt(digest, `${place}.digest`),
    broughtIn: flagAt(broughtIn, `${place}.broughtIn`),
    at: timeAt(at, `${place}.at`),
    blobs: blobs === null ? null : listAt(blobs, `${place}.blobs`, layerAt),
  }
}

function mapValues<T, U>(entries: Readonly<Record<string, T>>, map: (value: T) => U): Record<string, U> {
  return Object.fromEntries(Object.entries(entries).map(([key, value]) => [key, map(value)]))
}

function messageOf(error: unknown): string {
  return error instanceof Error ? printable(error.message, 200) : 'unknown error'
}

function unreadable(file: string, problem: string): OllamaConfigError {
  return new OllamaConfigError(
    'record-invalid',
    `The record of earlier applies in ${quoted(path.dirname(file))} cannot be read: ${problem}`,
    {
      hint: 'if it is damaged, remove that folder: what earlier applies brought in is then forgotten',
    },
  )
}

function newer(file: string): OllamaConfigError {
  return new OllamaConfigError(
    'record-invalid',
    `The record of earlier applies in ${quoted(path.dirname(file))} was written by a newer ollama-config`,
    {
      hint: 'update ollama-config',
      details: { newer: true },
    },
  )
}
