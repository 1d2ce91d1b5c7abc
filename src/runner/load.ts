/** `loadConfig`: finds the config, runs it and checks it. */
import { dirname, resolve } from 'node:path'
import type { ConfigContext } from '../config/config.ts'
import { loadConfigFile } from '../config/load.ts'
import { loadError } from '../config/load-error.ts'
import { findConfig, otherConfigs } from '../config/search.ts'
import { OllamaConfigError } from '../errors.ts'
import { abortable } from '../runtime/abortable.ts'
import type { ConnectOptions, LoadedConfig } from './connection.ts'
import { assertGiven } from './given.ts'
import { importResolve, resolveKnown } from './known.ts'
import { addressOf, selectPlace } from './place.ts'

export interface LoadConfigOptions extends Omit<ConnectOptions, 'registryUrl'> {
  /** Where the search begins, and what a relative `configFile` is relative to. Default: the working directory. */
  readonly cwd?: string | undefined
  /** Loads this file instead of searching. */
  readonly configFile?: string | undefined
  /** Passed to a config that is a function, and to plugins. Default: `OLLAMA_HOST`, else Ollama's own default. */
  readonly host?: string | undefined
}

/**
 * Finds the config, runs it and checks it.
 *
 * @throws {OllamaConfigError} `usage` for options that are no object; `config-not-found`, `config-load-failed`
 * @throws {ConfigError} `config-invalid`, with every problem
 */
export async function loadConfig(options: LoadConfigOptions = {}): Promise<LoadedConfig> {
  assertGiven(options, 'object', `one with the options, such as { configFile: 'ollama.config.ts' }`)
  const { signal, cwd = process.cwd(), configFile } = options
  const [file] = await Promise.all([findConfig({ cwd, configFile, signal }), importResolve()])
  // What it exports may be a proxy, of which even awaiting it runs code.
  const loading = code.ofConfig(file, () => loadConfigFile(file, { signal }), signal)
  // On Node 20 the config loads on another thread: time to load here what asking the server takes.
  setImmediate(() => process.getBuiltinModule('node:http'))
  const exported = await loading
  const value =
    typeof exported === 'function'
      ? await code.ofConfig(file, () => exported(configContext(cwd, options)), signal)
      : exported
  if (value === undefined) {
    throw new OllamaConfigError('config-load-failed', `The config function in ${file} returned nothing`, {
      hint: 'return the config, as in () => ({ models: [] }) with its parentheses',
    })
  }
  // Getters of the config run here.
  const resolving = () => resolveKnown(value, { ...options, origin: file, folder: dirname(file) })
  const { desired, ...known } = await code.ofConfig(file, resolving, signal)
  const warnings = [...desired.warnings, ...(configFile === undefined ? otherConfigs(file) : [])]
  return { file, ...known, desired: { ...desired, warnings } }
}

function configContext(cwd: string, options: LoadConfigOptions): ConfigContext {
  return {
    env: options.env ?? process.env,
    cwd: resolve(cwd),
    // Read when it is asked for: a config with a host of its own does not depend on OLLAMA_HOST.
    get host() {
      return addressOf(selectPlace(options, undefined).place)
    },
  }
}

/** A method, as in `config/load.ts`: in a stack trace its name is where the code of the config ends. */
const code = {
  /** @throws {OllamaConfigError} `config-load-failed` for whatever the own code of a config throws */
  async ofConfig<T>(file: string, run: () => T | Promise<T>, signal?: AbortSignal): Promise<T> {
    try {
      return await abortable(run(), signal)
    } catch (error) {
      if (signal?.aborted) throw error
      throw await loadError(file, error)
    }
  },
}
