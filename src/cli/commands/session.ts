/** What every command does first: find the config, choose the server or the store, know the terminal. */
import { existsSync } from 'node:fs'
import path from 'node:path'
import { quoted, visible } from '../../artifact/text.ts'
import { OllamaConfigError } from '../../errors.ts'
import { type ConnectOptions, type LoadedConfig, loadConfig, selectTarget } from '../../runner.ts'
import { parseCount, parseDuration } from '../arguments.ts'
import type { CommonFlags } from '../command-table.ts'
import type { Context } from '../context.ts'
import { createLogger } from '../log.ts'
import { createStyle, type Style } from '../views/style.ts'

export interface Session {
  readonly loaded: LoadedConfig
  /** The config's path as shown: relative where that is shorter. */
  readonly file: string
  /** For `createPlan` and `applyPlan`. */
  readonly connection: ConnectOptions
  readonly waitMs: number
}

/**
 * Loads the config and gathers what the commands pass on.
 *
 * @throws {OllamaConfigError} as `loadConfig`, and `usage`
 */
export async function openSession(flags: CommonFlags, context: Context): Promise<Session> {
  const { env, signal } = context
  const cwd = path.resolve(context.cwd, flags.cwd ?? '.')
  if (!existsSync(cwd))
    throw new OllamaConfigError('usage', `There is no folder ${quoted(cwd)}`, { hint: 'check --cwd' })
  const { connection, waitMs } = sessionWithout(flags, context)
  const { logger, host, store } = connection
  const loaded = await loadConfig({ cwd, configFile: flags.config, host, store, env, signal, logger })
  const relative = path.relative(context.cwd, loaded.file)
  const file = relative.startsWith('..') ? loaded.file : relative
  logger?.debug('config loaded', { file: loaded.file })
  return { loaded, file, waitMs, connection }
}

/** What is left of a session where there is no config. */
export function sessionWithout(flags: CommonFlags, context: Context): Omit<Session, 'loaded' | 'file'> {
  const { env, signal, registryUrl } = context
  const { host, owner } = flags
  const cwd = path.resolve(context.cwd, flags.cwd ?? '.')
  const logger = createLogger(flags, { stderr: context.stderr, cwd })
  const waitMs = parseDuration('--wait', flags.wait) ?? 0
  if (flags.store !== undefined && flags.wait !== undefined)
    throw new OllamaConfigError('usage', '--wait and --store were both given, and a store has no server', {
      hint: 'leave out --wait',
    })
  // The home folder is found where the environment is known.
  const isRelative = typeof flags.store === 'string' && !/^~(?:$|[/\\])/.test(flags.store)
  const store = isRelative ? path.resolve(cwd, flags.store) : flags.store
  const connections = parseCount('--connections', flags.connections)
  return { waitMs, connection: { host, store, owner, connections, env, logger, signal, registryUrl } }
}

/** Adds to an error about the server where its address came from, which is what a stuck reader needs to know. */
export async function withHostSource<T>(
  config: LoadedConfig,
  connection: ConnectOptions,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof OllamaConfigError) || !error.code.startsWith('host-')) throw error
    const { source, place } = selectTarget(config, connection)
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

interface PlanningFlags extends CommonFlags {
  readonly prune?: boolean
  readonly frozen?: boolean
  readonly offline?: boolean
  readonly 'keep-previous'?: boolean
}

/** The command that carries out what was shown, for the same config and host, or the plan that was saved. */
export function applyCommand(flags: PlanningFlags, context: Pick<Context, 'env'>, planFile?: string): string {
  const planning = (['prune', 'frozen', 'offline', 'keep-previous'] as const).filter((name) => flags[name])
  const words = planFile === undefined ? planning.map((name) => `--${name}`) : [shellWord(planFile)]
  return commandLine(['apply', ...words], flags, context)
}

/** A command for the same config, and the same host or store. */
export function commandLine(words: readonly string[], flags: CommonFlags, { env }: Pick<Context, 'env'>): string {
  const value = (name: 'config' | 'cwd' | 'host') => {
    const text = flags[name]
    if (text === undefined) return []
    // An address may hold a password.
    return [`--${name}`, name === 'host' && text.includes('@') ? '…' : shellWord(text)]
  }
  const store = flags.store === undefined || flags.store === true ? '' : `=${shellWord(flags.store)}`
  return [
    programOf({ env }),
    ...words,
    ...value('config'),
    ...value('cwd'),
    ...value('host'),
    ...(flags.store === undefined ? [] : [`--store${store}`]),
    ...(['owner', 'connections'] as const).flatMap((name) =>
      flags[name] === undefined ? [] : [`--${name}`, shellWord(flags[name])],
    ),
  ].join(' ')
}

/** As it has to be typed. npm sets a variable; what npx, or a script, ran is on no PATH. */
export function programOf({ env }: Pick<Context, 'env'>): string {
  return /^(exec|run|run-script|start)$/.test(env['npm_command'] ?? '') ? 'npx ollama-config' : 'ollama-config'
}

/** Colours, and hints whose commands are for the same config and the same host or store. */
export function styleFor(color: boolean, flags: CommonFlags, context: Pick<Context, 'env'>): Style {
  const hint = (text: string) =>
    text.replaceAll(/"ollama-config ([^"]+)"/g, (_, words: string) => {
      // An example knows of no host.
      const known = words !== 'init' ? flags : flags.cwd === undefined ? {} : { cwd: flags.cwd }
      return `"${commandLine([words], known, context)}"`
    })
  return createStyle(color, hint, flags.plain === true)
}

function shellWord(text: string): string {
  if (/^[\w./:@%+=-]+$/.test(text)) return text
  // What cannot be shown cannot be copied either.
  return visible(text) === text ? `'${text.replaceAll("'", "'\\''")}'` : '…'
}
