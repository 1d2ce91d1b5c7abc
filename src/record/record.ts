/** The record: what earlier applies brought to one host, by config. Its shape; reading and writing is in `record-file.ts`. */
import type { Layer } from '../artifact/manifest.ts'

/** Of record files. A minor version adds fields; an unknown major is refused. */
export const recordFormatVersion = '1.0'

/** Everything this user's configs did on one host. */
export interface HostRecord {
  /** Address of the host, redacted. */
  readonly host: string
  /** By absolute path of the config. */
  readonly configs: Readonly<Record<string, ConfigRecord>>
}

export interface ConfigRecord {
  /** References the config declared at its last apply, shortest spelling, sorted. */
  readonly declared: readonly string[]
  /** By reference, shortest spelling. */
  readonly models: Readonly<Record<string, RecordedModel>>
  /** Copies of replaced versions, by the name of the copy. */
  readonly copies: Readonly<Record<string, RecordedCopy>>
}

export interface RecordedModel {
  /** Digest that the last apply left there. */
  readonly digest: string
  /** Whether an apply of this config brought or made it; false when it was found there. */
  readonly broughtIn: boolean
  /** ISO 8601, UTC. */
  readonly at: string
  /** Blobs of that digest, config last; `null` when not known. */
  readonly blobs: readonly Layer[] | null
  /** Of a model that was built: from what. */
  readonly built?: RecordedBuild
}

export interface RecordedBuild {
  /** SHA-256 of the declaration, files included: 64 hex digits. */
  readonly declaration: string
  /** Digest of the base; `null` for one that was built from files, and where it is not known. */
  readonly base: string | null
  /** Files that it needed, as they were when they were read: one of the same size and time is not read again. */
  readonly inputs: readonly RecordedInput[]
}

export interface RecordedInput {
  /** Absolute path. */
  readonly file: string
  readonly digest: string
  readonly sizeBytes: number
  /** When it was last changed, epoch milliseconds. */
  readonly modifiedMs: number
}

/** What was replaced, under the name of its copy: `at` is when it was made. */
export interface RecordedCopy extends RecordedModel {
  /** The model that was replaced. */
  readonly of: string
}

export const emptyConfigRecord: ConfigRecord = { declared: [], models: {}, copies: {} }
