/** What every look at a host begins with: what is declared, installed, locked and recorded. */
import { existsSync, lstatSync } from 'node:fs'
import path from 'node:path'
import { formatReference, referenceKey } from '../artifact/reference.ts'
import type { Backend } from '../backend/backend.ts'
import { readStateWhenReady } from '../backend/wait.ts'
import type { Config } from '../config/config.ts'
import { type Diagnostic, isOllamaConfigError, OllamaConfigError, toErrorData } from '../errors.ts'
import type { ActualState, DesiredState } from '../plan/state.ts'
import { isLockedPull, type Lock, lockFileOf } from '../record/lock.ts'
import type { HostRecord } from '../record/record.ts'
import { type Recalled, recall } from '../resolution/recall.ts'
import {
  type ConnectOptions,
  connect,
  isKnown,
  type KnownConfig,
  type LoadedConfig,
  type ReadyOptions,
  selectTarget,
} from './connection.ts'
import { knownOf } from './known.ts'
import { type Place, recordPlace } from './place.ts'

export interface SurveyOptions extends ReadyOptions {
  /** Refuse a declared model that the lock file does not have, and never write that file. Default: false. */
  readonly frozen?: boolean | undefined
}

export interface Survey {
  readonly known: KnownConfig
  readonly desired: DesiredState
  readonly place: Place
  readonly backend: Backend
  readonly actual: ActualState
  readonly lock: Lock | undefined
  readonly record: HostRecord | undefined
  readonly recalled: Recalled
  /** What could not be looked at. */
  readonly diagnostics: readonly Diagnostic[]
}

/** @throws {OllamaConfigError} `usage`, `lock-invalid`, `lock-missing`, `lock-frozen`, and what the host answers */
export async function survey(given: LoadedConfig | KnownConfig | Config, options: SurveyOptions): Promise<Survey> {
  const config = await knownOf(given, options)
  const { desired } = config
  const lock = await readLockOf(config)
  if (options.frozen) assertLocked(desired, lock, config)
  const { place } = selectTarget(config, options)
  if (place.kind === 'store' && (options.waitMs ?? 0) > 0)
    throw new OllamaConfigError('usage', 'There is no server to wait for where a store was asked for', {
      hint: 'leave out --wait, or --store',
    })
  const backend = await connect(place, config, options)
  const [actual, remembered] = await Promise.all([
    readStateWhenReady(backend, options),
    readRecordOf(config, place, options),
  ])
  const { record, diagnostics } = remembered
  const configFile = configFileOf(config)
  const recalled = recall({ lock, record, configFile, exists: existsSync })
  const warning = place.kind === 'host' ? place.address.warning : undefined
  const misread: readonly Diagnostic[] =
    warning === undefined ? [] : [{ severity: 'warning', code: 'address', message: warning }]
  const known = { known: config, desired }
  return { ...known, place, backend, actual, lock, record, recalled, diagnostics: [...misread, ...diagnostics] }
}

/** A config that was never in a file has no lock file and no record. */
export function configFileOf(config: KnownConfig | Config): string | undefined {
  return isKnown(config) ? config.file : undefined
}

/** Absolute; the file need not be there. `undefined` for a config that was never in a file. */
export function lockPathOf(config: KnownConfig | Config): string | undefined {
  const file = configFileOf(config)
  return file === undefined ? undefined : lockFileOf(file)
}

/** @throws {OllamaConfigError} `lock-invalid` */
export async function readLockOf(config: KnownConfig | Config): Promise<Lock | undefined> {
  const file = lockPathOf(config)
  // Most commands have none: what reads it is not loaded then.
  if (file === undefined || lstatSync(file, { throwIfNoEntry: false }) === undefined) return undefined
  const { readLock } = await import('../record/lock-file.ts')
  return readLock(file)
}

/** @throws {OllamaConfigError} `lock-missing`, `lock-frozen` when a declared model is not in the lock file */
export function assertLocked({ models }: DesiredState, lock: Lock | undefined, config: KnownConfig | Config): void {
  const file = path.basename(lockPathOf(config) ?? 'ollama.lock.json')
  if (lock === undefined) {
    throw new OllamaConfigError(
      'lock-missing',
      `--frozen wants a lock file, and there is no ${file} beside the config`,
      {
        hint: 'write it with "ollama-config lock" and commit it',
      },
    )
  }
  // Names in a lock file and in a config may differ in case.
  const locked = new Set(Object.keys(lock.models).map((name) => name.toLowerCase()))
  const missing = models
    // An alias is what it is a name of.
    .filter(({ reference, recipe }) => !reference.cloud && recipe?.kind !== 'alias')
    .map(({ reference }) => formatReference(reference))
    .filter((name) => !locked.has(name.toLowerCase()))
  if (missing.length === 0) return
  throw new OllamaConfigError(
    'lock-frozen',
    `With --frozen, ${file} has to have every declared model: it lacks ${missing.join(', ')}`,
    {
      hint: 'run "ollama-config lock" and commit the file',
    },
  )
}

/**
 * What is locked of a model that is built is how: another declaration is another model.
 *
 * @param declarations By `referenceKey`
 * @throws {OllamaConfigError} `lock-frozen`
 */
export function assertDeclarationsLocked(
  { models }: DesiredState,
  declarations: ReadonlyMap<string, string>,
  lock: Lock | undefined,
  config: KnownConfig | Config,
): void {
  const locked = new Map(Object.entries(lock?.models ?? {}).map(([name, entry]) => [name.toLowerCase(), entry]))
  const others = models.filter(({ reference, recipe }) => {
    const entry = locked.get(formatReference(reference).toLowerCase())
    const declaration = entry === undefined || isLockedPull(entry) ? undefined : entry.declaration
    return recipe?.kind === 'build' && declaration !== declarations.get(referenceKey(reference))
  })
  if (others.length === 0) return
  const names = others.map(({ reference }) => formatReference(reference)).join(', ')
  const file = path.basename(lockPathOf(config) ?? 'ollama.lock.json')
  throw new OllamaConfigError(
    'lock-frozen',
    `With --frozen, ${file} has to have the declaration of every model that is built: it has another one of ${names}`,
    { hint: 'run "ollama-config lock" and commit the file' },
  )
}

/** What cannot be read is a diagnostic: the record only informs. */
export async function readRecordOf(
  config: KnownConfig | Config,
  target: Place,
  options: ConnectOptions,
): Promise<{ readonly record: HostRecord | undefined; readonly diagnostics: readonly Diagnostic[] }> {
  const place = recordPlace(target, options)
  if (place === undefined || configFileOf(config) === undefined || !existsSync(place.folder))
    return { record: undefined, diagnostics: [] }
  try {
    const { openRecord } = await import('../record/record-file.ts')
    return { record: await openRecord(place).read(), diagnostics: [] }
  } catch (error) {
    // The record only informs, and what needs it, such as prune: 'managed', deletes nothing without it.
    const { code, message, hint } = isOllamaConfigError(error) ? error : toErrorData(error)
    return {
      record: undefined,
      diagnostics: [{ severity: 'warning', code, message, ...(hint === undefined ? {} : { hint }) }],
    }
  }
}
