/** `loadConfig`: finds the config, runs it and checks it. */
import { dirname, resolve } from 'node:path'
import { printable, quoted } from '../artifact/text.ts'
import type { ConfigContext } from '../config/config.ts'
import { loadConfigFile } from '../config/load.ts'
import { findConfig } from '../config/search.ts'
import { isOllamaConfigError, OllamaConfigError } from '../errors.ts'
import { abortable } from '../runtime/abortable.ts'
import type { ConnectOptions, LoadedConfig } from './connection.ts'
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
 * @throws {OllamaConfigError} `config-not-found`, `config-load-failed`
 * @throws {ConfigError} `config-invalid`, with every problem
 */
export async function loadConfig(options: LoadConfigOptions = {}): Promise<LoadedConfig> {
  const { signal, cwd = process.cwd(), configFile } = options
  const [file] = await Promise.all([findConfig({ cwd, configFile, signal }), importResolve()])
  const loading = loadConfigFile(file, { signal })
  // On Node 20 the config loads on another thread: time to load here what asking the server takes.
  setImmediate(() => process.getBuiltinModule('node:http'))
  const exported = await loading
  const value =
    typeof exported === 'function'
      ? await runUserCode(file, () => exported(configContext(cwd, options)), signal)
      : exported
  if (value === undefined) {
    throw new OllamaConfigError('config-load-failed', `The config function in ${file} returned nothing`, {
      hint: 'return the config, as in () => ({ models: [] }) with its parentheses',
    })
  }
  // Getters of the config run here.
  const resolving = () => resolveKnown(value, { ...options, origin: file, folder: dirname(file) })
  return { file, ...(await runUserCode(file, resolving, signal)) }
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
