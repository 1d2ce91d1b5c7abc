/** What `examine` knows of a config: what it declares, its plugins, its lock file and its record. */
import { formatReference } from '../artifact/reference.ts'
import type { ConfigFacts, LockFacts, RecordFacts } from '../doctor/facts.ts'
import { type ErrorData, toErrorData } from '../errors.ts'
import { isLockedPull } from '../record/lock.ts'
import type { ConnectOptions, LoadedConfig } from './connection.ts'
import { listPlugins } from './manager.ts'
import type { Place } from './place.ts'
import { readLockOf, readRecordOf } from './survey.ts'

/** A config that was looked at: what it is, or why it does not load. */
export type Loaded = { readonly value: LoadedConfig } | Pick<ConfigFacts, 'error' | 'file'>

/** @param place `undefined` when it is not known: then nothing is recorded for it */
export async function examineConfig(
  loaded: Loaded,
  place: Place | undefined,
  options: ConnectOptions,
): Promise<ConfigFacts> {
  if ('error' in loaded) {
    const nothing = { models: [], plugins: [], pluginProblems: [] }
    return { ...nothing, ...loaded, lock: noLock, record: noRecord }
  }
  const config = loaded.value
  const [{ plugins, diagnostics }, lock, record] = await Promise.all([
    listPlugins(config, options),
    lockFacts(config),
    place === undefined ? noRecord : recordFacts(config, place, options),
  ])
  return {
    file: config.file,
    error: null,
    models: config.desired.models.map(({ reference, recipe }) => ({
      reference: formatReference(reference),
      cloud: reference.cloud,
      alias: recipe?.kind === 'alias',
    })),
    plugins: plugins.map(({ name }) => name),
    pluginProblems: diagnostics,
    lock,
    record,
  }
}

const noLock: LockFacts = { error: null, models: null }
const noRecord: RecordFacts = { error: null, models: null }

async function lockFacts(config: LoadedConfig): Promise<LockFacts> {
  try {
    const lock = await readLockOf(config)
    if (lock === undefined) return noLock
    const digests = Object.entries(lock.models).map(
      ([name, entry]) => [name, isLockedPull(entry) ? entry.digest : null] as const,
    )
    return { error: null, models: new Map(digests) }
  } catch (error) {
    return { error: toErrorData(error), models: null }
  }
}

async function recordFacts(config: LoadedConfig, place: Place, options: ConnectOptions): Promise<RecordFacts> {
  const { record, diagnostics } = await readRecordOf(config, place, options)
  const [problem] = diagnostics
  if (problem !== undefined) {
    const { message, hint } = problem
    const error: ErrorData = { code: 'record-invalid', message, ...(hint === undefined ? {} : { hint }) }
    return { error, models: null }
  }
  const own = record?.configs[config.file]
  if (own === undefined) return noRecord
  return { error: null, models: new Map(Object.entries(own.models).map(([name, { digest }]) => [name, digest])) }
}
