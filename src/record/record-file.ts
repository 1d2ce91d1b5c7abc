/** Reads and writes the record of one host, whatever other processes do meanwhile. */
import { link } from 'node:fs/promises'
import path from 'node:path'
import { jsonText } from '../artifact/json-text.ts'
import { sha256 } from '../runtime/sha256.ts'
import {
  bytesAt,
  digestAt,
  entriesAt,
  fieldsAt,
  flagAt,
  hashAt,
  listAt,
  majorAt,
  referenceAt,
  ShapeError,
  textAt,
  timeAt,
} from '../shape.ts'
import { layerAt, layerJson } from './layer.ts'
import { type Content, type MakeLink, NumberedFiles, newer, unreadable } from './numbered-files.ts'
import {
  type ConfigRecord,
  type HostRecord,
  type RecordedBuild,
  type RecordedInput,
  type RecordedModel,
  recordFormatVersion,
} from './record.ts'

export interface RecordPlace {
  /** The state folder of the user; need not be there yet. */
  readonly folder: string
  /** Address of the host. */
  readonly host: string
  /** Default: that of `node:fs`; a test gives one that fails. */
  readonly link?: MakeLink
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
  const own = path.join(folder, 'record', `${slug}-${sha256(host).slice(0, 12)}`)
  const files = new NumberedFiles(own, { print: printContent, parse: parseContent }, makeLink)
  return { read: () => files.read(), update: (change) => files.update({ host, configs: {} }, change) }
}

function printContent({ value: { host, configs }, writes }: Content<HostRecord>): string {
  const modelJson = ({ blobs, built, ...model }: RecordedModel) => ({
    ...model,
    blobs: blobs?.map(layerJson) ?? null,
    ...(built === undefined ? {} : { built: { ...built, inputs: built.inputs.map(inputJson) } }),
  })
  const record = {
    formatVersion: recordFormatVersion,
    host,
    configs: mapValues(configs, ({ declared, models, copies }) => ({
      declared,
      models: mapValues(models, modelJson),
      copies: mapValues(copies, modelJson),
    })),
    writes: writes.join(' '),
  }
  return `${jsonText(record, 1)}\n`
}

function inputJson({ file, digest, sizeBytes, modifiedMs }: RecordedInput): object {
  return { file, digest, size: sizeBytes, modifiedMs }
}

/** @throws {OllamaConfigError} `record-invalid` */
export function parseRecord(text: string, file: string): HostRecord {
  return parseContent(text, file).value
}

function parseContent(text: string, file: string): Content<HostRecord> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw unreadable(path.dirname(file), 'it is broken JSON')
  }
  try {
    const record = fieldsAt(value, 'the file')
    if (majorAt(record['formatVersion'], 'formatVersion') !== Number.parseInt(recordFormatVersion, 10))
      throw newer(path.dirname(file))
    return {
      value: { host: textAt(record['host'], 'host'), configs: entriesAt(record['configs'], 'configs', readConfig) },
      writes: textAt(record['writes'] ?? '', 'writes').split(' '),
    }
  } catch (error) {
    if (error instanceof ShapeError) throw unreadable(path.dirname(file), error.message)
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
  const { digest, broughtIn, at, blobs, built } = fieldsAt(value, place)
  return {
    digest: digestAt(digest, `${place}.digest`),
    broughtIn: flagAt(broughtIn, `${place}.broughtIn`),
    at: timeAt(at, `${place}.at`),
    blobs: blobs === null ? null : listAt(blobs, `${place}.blobs`, layerAt),
    ...(built === undefined ? {} : { built: readBuilt(built, `${place}.built`) }),
  }
}

function readBuilt(value: unknown, place: string): RecordedBuild {
  const { declaration, base, inputs } = fieldsAt(value, place)
  return {
    declaration: hashAt(declaration, `${place}.declaration`),
    base: base === null ? null : digestAt(base, `${place}.base`),
    inputs: listAt(inputs, `${place}.inputs`, (input, at) => {
      const { file, digest, size, modifiedMs } = fieldsAt(input, at)
      return {
        file: textAt(file, `${at}.file`),
        digest: digestAt(digest, `${at}.digest`),
        sizeBytes: bytesAt(size, `${at}.size`),
        modifiedMs: bytesAt(modifiedMs, `${at}.modifiedMs`),
      }
    }),
  }
}

function mapValues<T, U>(entries: Readonly<Record<string, T>>, map: (value: T) => U): Record<string, U> {
  return Object.fromEntries(Object.entries(entries).map(([key, value]) => [key, map(value)]))
}
