/** Config → what is known of it before a host is asked: the desired state, with what plugins declare. */
import type { Config } from '../config/config.ts'
import type { CheckedPlugin } from '../plugins/check.ts'
import { type ConnectOptions, isKnown, type KnownConfig, type LoadedConfig } from './connection.ts'

export interface ResolveKnownOptions extends ConnectOptions {
  /** Folder of the config, or the working directory. */
  readonly folder: string
  /** What to call the config in an error. Default: `the config`. */
  readonly origin?: string | undefined
}

/** With it comes valibot, which a program that only applies a plan does not need. */
export function importResolve(): Promise<typeof import('../config/resolve.ts')> {
  return import('../config/resolve.ts')
}

/**
 * Checks and resolves a config as it was exported. What plugins need is loaded only where there are any.
 *
 * @throws {ConfigError} with every problem
 */
export async function resolveKnown(value: unknown, options: ResolveKnownOptions): Promise<KnownConfig> {
  const { origin, folder } = options
  const { resolveConfig } = await importResolve()
  const given = pluginsIn(value)
  if (given.length === 0) return { ...resolveConfig(value, { origin, folder }), plugins: [] }
  const { preparePlugins } = await import('./declare.ts')
  const { plugins, ...found } = await preparePlugins(given, value, options)
  return { ...resolveConfig(value, { origin, folder, ...found }), plugins }
}

/** What `config` is known to want; one that was not loaded by `loadConfig` is checked and resolved, at each call. */
export async function knownOf(
  config: LoadedConfig | KnownConfig | Config,
  options: ConnectOptions,
): Promise<KnownConfig> {
  return isKnown(config) ? config : resolveKnown(config, { ...options, folder: process.cwd() })
}

/** Of a value that may be anything. */
function pluginsIn(value: unknown): readonly unknown[] {
  const plugins: unknown = typeof value === 'object' && value !== null && 'plugins' in value ? value.plugins : undefined
  return Array.isArray(plugins) ? plugins : []
}

/** Whether any plugin has that hook: what runs it is loaded only then. */
export function haveHook({ plugins }: KnownConfig, hook: keyof CheckedPlugin['spec']): boolean {
  return plugins.some(({ spec }) => spec[hook] !== undefined)
}
