/** `environmentOf`: what a program has to find in its environment to use the same models. */
import type { Config } from '../config/config.ts'
import { type ConnectOptions, type KnownConfig, type LoadedConfig, selectTarget } from './connection.ts'

/**
 * `OLLAMA_HOST` for a server, with scheme and port; `OLLAMA_MODELS` for a store. User name and password of an address are not in it, nor are the
 * headers of the config; an `OLLAMA_HOST` of the environment that has them stays as it is.
 *
 * @throws {OllamaConfigError} `usage`, `invalid-address`
 */
export function environmentOf(
  config: LoadedConfig | KnownConfig | Config,
  options: ConnectOptions = {},
): Readonly<Record<string, string>> {
  const { place, source } = selectTarget(config, options)
  if (place.kind === 'store') return { OLLAMA_MODELS: place.folder }
  const hasSecret = Object.keys(place.address.headers).length > 0
  return source === 'environment' && hasSecret ? {} : { OLLAMA_HOST: place.address.origin }
}
