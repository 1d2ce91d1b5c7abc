/** What commands begin with: the folder, the config, and the server or the store. */
import { statSync } from 'node:fs'
import path from 'node:path'
import { quotedPath } from '../../artifact/text.ts'
import type { Config } from '../../config/config.ts'
import { isOllamaConfigError, OllamaConfigError } from '../../errors.ts'
import { type LoadedConfig, loadConfig, type ReadyOptions, selectTarget } from '../../runner.ts'
import { parseCount, parseDuration } from '../arguments.ts'
import type { CommonFlags } from '../command-table.ts'
import { type Context, shownPath } from '../context.ts'
import { createLogger } from '../log.ts'

export interface Session {
  readonly loaded: LoadedConfig
  /** The config's path as it is shown. */
  readonly file: string
  /** For what the runner offers: which server or store, and how long to wait for it. */
  readonly connection: ReadyOptions
}

/** Where there is no config, flags and environment say which server. */
export type SessionWithout = Pick<Session, 'connection'> & { readonly loaded: Config; readonly file: undefined }

/** The folder to work in. @throws {OllamaConfigError} `usage` when there is none */
export function folderOf({ cwd = '.' }: Pick<CommonFlags, 'cwd'>, context: Pick<Context, 'cwd'>): string {
  const folder = path.resolve(context.cwd, cwd)
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory()) return folder
  throw new OllamaConfigError('usage', `There is no folder ${quotedPath(folder)}`, { hint: 'check --cwd' })
}

/**
 * Loads the config and gathers what the commands pass on.
 *
 * @throws {OllamaConfigError} as `loadConfig`, and `usage`
 */
export async function openSession(flags: CommonFlags, context: Context): Promise<Session> {
  const cwd = folderOf(flags, context)
  const connection = connectionOf(flags, cwd, context)
  const { env, signal, logger, host, store } = connection
  const loaded = await loadConfig({ cwd, configFile: flags.config, host, store, env, signal, logger })
  logger?.debug('config loaded', { file: loaded.file })
  return { loaded, file: shownPath(loaded.file, context), connection }
}

/** As {@link openSession}, but goes on where there is no config and none was named. */
export async function openSessionIfAny(flags: CommonFlags, context: Context): Promise<Session | SessionWithout> {
  try {
    return await openSession(flags, context)
  } catch (error) {
    // One that is there and cannot be read may name another server.
    if (flags.config !== undefined || !isForNone(error)) throw error
    return sessionWithout(flags, context)
  }
}

/** Whether it tells that there is no config, and not that there is one that cannot be read. */
export function isForNone(error: unknown): boolean {
  return isOllamaConfigError(error) && error.code === 'config-not-found' && !('file' in (error.details ?? {}))
}

/** What is left of a session without a config. @throws {OllamaConfigError} `usage` */
export function sessionWithout(flags: CommonFlags, context: Context): SessionWithout {
  return { loaded: { models: [] }, file: undefined, connection: connectionOf(flags, folderOf(flags, context), context) }
}

function connectionOf(flags: CommonFlags, cwd: string, context: Context): ReadyOptions {
  const { env, signal, registryUrl, stderr } = context
  const { host, owner } = flags
  const logger = createLogger(flags, { stderr, cwd })
  const waitMs = parseDuration('--wait', flags.wait)
  if (flags.store !== undefined && flags.wait !== undefined)
    throw new OllamaConfigError('usage', '--wait and --store were both given, and a store has no server', {
      hint: 'leave out --wait',
    })
  const onWait = () => void stderr.write('Waiting for the server to answer …\n')
  // The home folder is found where the environment is known.
  const isRelative = typeof flags.store === 'string' && !/^~(?:$|[/\\])/.test(flags.store)
  const store = isRelative ? path.resolve(cwd, flags.store) : flags.store
  const connections = parseCount('--connections', flags.connections)
  return { host, store, owner, connections, env, logger, signal, registryUrl, waitMs, onWait }
}

/** Adds to an error about the server where its address came from, which is what a stuck reader needs to know. */
export async function withHostSource<T>(
  { loaded, connection }: Session | SessionWithout,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof OllamaConfigError) || !error.code.startsWith('host-')) throw error
    const { source, place } = selectTarget(loaded, connection)
    if (place.kind === 'store') throw error
    const origin = { flag: '--host', config: 'the config', environment: 'OLLAMA_HOST', default: "Ollama's default" }[
      source
    ]
    const hint = [error.hint, `the address comes from ${origin}`, place.address.warning].filter(Boolean).join('; ')
    throw new OllamaConfigError(error.code, error.message, {
      hint,
      details: error.details,
      retryable: error.retryable,
      cause: error,
    })
  }
}
