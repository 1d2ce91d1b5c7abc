/**
 * The composition root: puts config, backend, plan and apply together, for programs and for the CLI alike.
 * A config imports this package, so no dependency is imported before a function needs it.
 */

import { resolve } from 'node:path'
import { type Approval, applyTarget } from './apply/apply.ts'
import { type ApplyRun, createApplyRun } from './apply/apply-run.ts'
import { printable, quoted } from './artifact/text.ts'
import { type Address, type HostSelection, selectHost } from './backend/address.ts'
import type { Backend } from './backend/backend.ts'
import { createHostBackend } from './backend/http.ts'
import { readStateWhenReady } from './backend/wait.ts'
import type { Config, ConfigContext } from './config/config.ts'
import { loadConfigFile } from './config/load.ts'
import { findConfig } from './config/search.ts'
import { type Diagnostic, isOllamaConfigError, OllamaConfigError } from './errors.ts'
import { diff } from './plan/diff.ts'
import { type Action, formatVersion, type Plan, planErrors } from './plan/plan.ts'
import type { DesiredState } from './plan/state.ts'
import { abortable } from './runtime/abortable.ts'
import type { Logger } from './runtime/logger.ts'

const knownActions: ReadonlySet<string> = new Set<Action>(['no-op', 'pull', 'delete'])

/** Environment variables. */
export type Environment = Readonly<Record<string, string | undefined>>

export interface LoadedConfig {
  /** Absolute path of the file it was loaded from. */
  readonly file: string
  readonly config: Config
  readonly desired: DesiredState
}

export interface LoadConfigOptions {
  /** Where the search begins, and what a relative `configFile` is relative to. Default: the working directory. */
  readonly cwd?: string | undefined
  /** Loads this file instead of searching. */
  readonly configFile?: string | undefined
  /** Passed to a config that is a function, as its `host`. Default: `OLLAMA_HOST`, else Ollama's own default. */
  readonly host?: string | undefined
  /** Default: that of the process. */
  readonly env?: Environment | undefined
  readonly signal?: AbortSignal | undefined
}

export interface ConnectOptions {
  /** Wins over the config and over `OLLAMA_HOST`. */
  readonly host?: string | undefined
  /** Default: that of the process. */
  readonly env?: Environment | undefined
  readonly logger?: Logger | undefined
  readonly signal?: AbortSignal | undefined
}

export interface CreatePlanOptions extends ConnectOptions {
  /** Count deletions among what this plan applies. Default: false; they are listed all the same. */
  readonly prune?: boolean | undefined
  /** Go on trying that long, in milliseconds, while the server does not answer. Default: 0. */
  readonly waitMs?: number | undefined
  /** Called once when waiting begins. */
  readonly onWait?: (() => void) | undefined
}

export interface ApplyPlanOptions extends ConnectOptions {
  /** Gives the connection: host and headers are not in the plan. */
  readonly config: LoadedConfig | Config
  readonly approve: Approval
}

/**
 * Finds the config, runs it and checks it.
 *
 * @throws {OllamaConfigError} `config-not-found`, `config-load-failed`
 * @throws {ConfigError} `config-invalid`, with every problem
 */
export async function loadConfig(options: LoadConfigOptions = {}): Promise<LoadedConfig> {
  const { env = process.env, signal, cwd = process.cwd(), configFile, host } = options
  const [file, { resolveConfig }] = await Promise.all([findConfig({ cwd, configFile, signal }), importResolve()])
  const loading = loadConfigFile(file, { signal })
  // On Node 20 the config loads on another thread: time to load here what asking the server takes.
  setImmediate(() => process.getBuiltinModule('node:http'))
  const exported = await loading
  const value =
    typeof exported === 'function'
      ? await runUserCode(file, () => exported(configContext(env, cwd, host)), signal)
      : exported
  if (value === undefined) {
    throw new OllamaConfigError('config-load-failed', `The config function in ${file} returned nothing`, {
      hint: 'return the config, as in () => ({ models: [] }) with its parentheses',
    })
  }
  // Getters of the config run here.
  return { file, ...(await runUserCode(file, () => resolveConfig(value, file), signal)) }
}

function configContext(env: Environment, cwd: string, host: string | undefined): ConfigContext {
  return {
    env,
    cwd: resolve(cwd),
    // Read when it is asked for: a config with a host of its own does not depend on OLLAMA_HOST.
    get host() {
      return selectHost({ flag: host, env: env['OLLAMA_HOST'] }).address.origin
    },
  }
}

/**
 * Compares the config with what the host has. Changes nothing.
 *
 * @throws {ConfigError} when `config` was not loaded by `loadConfig` and is wrong
 * @throws {OllamaConfigError} when the host cannot be read, such as `host-unreachable`
 */
export async function createPlan(config: LoadedConfig | Config, options: CreatePlanOptions = {}): Promise<Plan> {
  const { prune = false } = options
  const { desired } = await resolved(config)
  if (prune && desired.prune === false) {
    throw new OllamaConfigError('prune-refused', 'The config says prune: false, so nothing may be deleted', {
      hint: 'drop --prune, or change "prune" in the config',
    })
  }
  const { address: written } = selectTarget(config, options)
  const backend = connect(written, config, options)
  const state = await readStateWhenReady(backend, options)
  const { changes, diagnostics } = diff(desired, state)
  const { address, kind } = backend
  const { serverVersion } = state
  const misread: readonly Diagnostic[] =
    written.warning === undefined ? [] : [{ severity: 'warning', code: 'address', message: written.warning }]
  return {
    formatVersion,
    prune,
    targets: [{ address, kind, serverVersion, changes, diagnostics: [...misread, ...diagnostics] }],
  }
}

/**
 * Carries out a plan: starts at once. An unapproved change is reported as skipped.
 *
 * @throws {OllamaConfigError} `invalid-plan` through `report`, before anything happens
 */
export function applyPlan(plan: Plan, options: ApplyPlanOptions): ApplyRun {
  return createApplyRun(async function* start(signal) {
    const target = plan.targets[0]
    if (Number.parseInt(plan.formatVersion, 10) !== Number.parseInt(formatVersion, 10)) {
      throw invalidPlan(
        `The plan has format ${JSON.stringify(plan.formatVersion)}, which this version does not read`,
        'plan again',
      )
    }
    if (target === undefined || plan.targets.length > 1)
      throw invalidPlan(`A plan for ${plan.targets.length} hosts cannot be applied`)
    const [problem] = planErrors(plan)
    if (problem !== undefined) throw invalidPlan(`The plan has an error: ${problem.message}`, problem.hint)
    const unknown = target.changes.find(({ action }) => !knownActions.has(action))
    if (unknown !== undefined)
      throw invalidPlan(`The plan has a change of a kind that this version does not know: ${quoted(unknown.action)}`)
    const backend = connect(selectTarget(options.config, options).address, options.config, options)
    if (backend.address !== target.address) {
      throw invalidPlan(
        `The plan was made for ${target.address}, not for ${backend.address}`,
        'plan again, or give the host it was made for',
      )
    }
    yield* applyTarget(target, { backend, approve: options.approve, signal, now: Date.now })
  }, options.signal)
}

/** Which server a config and these options lead to, and who said so. */
export function selectTarget(config: LoadedConfig | Config, options: ConnectOptions = {}): HostSelection {
  const { env = process.env, host } = options
  return selectHost({ flag: host, config: configOf(config).host, env: env['OLLAMA_HOST'] })
}

function connect(address: Address, config: LoadedConfig | Config, options: ConnectOptions): Backend {
  const { env = process.env, logger } = options
  return createHostBackend({ address, headers: resolveHeaders(configOf(config), env), logger })
}

/** With it comes valibot, which a program that only applies a plan does not need. */
function importResolve(): Promise<typeof import('./config/resolve.ts')> {
  return import('./config/resolve.ts')
}

function resolveHeaders({ headers = {} }: Config, env: Environment): Record<string, string> {
  const values: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) {
    const text = typeof value === 'string' ? value : env[value.env]
    if (text === undefined) throw missingVariable(name, typeof value === 'string' ? '' : value.env)
    values[name] = text
  }
  return values
}

function missingVariable(header: string, variable: string): OllamaConfigError {
  const of = `The header ${quoted(header)} takes its value from an environment variable`
  // Whoever writes `env: process.env.TOKEN` has put the secret where the name belongs.
  return /^[A-Z_][A-Z0-9_]{0,39}$/.test(variable)
    ? new OllamaConfigError('config-invalid', `${of} that is not set: ${variable}`, { hint: `set ${variable}` })
    : new OllamaConfigError('config-invalid', `${of}, but what is given is no name of one`, {
        hint: `write the name of the variable, as in { env: 'OLLAMA_AUTHORIZATION' }`,
      })
}

/** @throws {OllamaConfigError} `config-load-failed` for whatever a config's own code throws */
async function runUserCode<T>(file: string, code: () => T | Promise<T>, signal?: AbortSignal): Promise<T> {
  try {
    return await abortable(code(), signal)
  } catch (error) {
    if (isOllamaConfigError(error) || signal?.aborted) throw error
    const message = error instanceof Error ? error.message : `it threw a value of type ${typeof error}`
    throw new OllamaConfigError('config-load-failed', `The config ${quoted(file)} failed: ${printable(message)}`, {
      hint: 'mend it; --debug shows where it was thrown',
      cause: error,
    })
  }
}

async function resolved(config: LoadedConfig | Config): Promise<{ readonly desired: DesiredState }> {
  if ('desired' in config) return config
  const { resolveConfig } = await importResolve()
  return resolveConfig(config)
}

function configOf(config: LoadedConfig | Config): Config {
  return 'desired' in config ? config.config : config
}

function invalidPlan(message: string, hint?: string): OllamaConfigError {
  return new OllamaConfigError('invalid-plan', message, { hint })
}
