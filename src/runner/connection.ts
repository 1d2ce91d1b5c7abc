/** Which server, with which headers, or which store, and how registries are asked on its behalf. */

import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { quoted } from '../artifact/text.ts'
import type { Address } from '../backend/address.ts'
import type { Backend } from '../backend/backend.ts'
import { createHostBackend, type HostBackendOptions } from '../backend/http.ts'
import type { WaitOptions } from '../backend/wait.ts'
import type { Config } from '../config/config.ts'
import { OllamaConfigError } from '../errors.ts'
import type { DesiredState } from '../plan/state.ts'
import type { CheckedPlugin } from '../plugins/check.ts'
import type { RegistryClientOptions } from '../registry/client.ts'
import type { RegistryClient } from '../registry/registry.ts'
import type { Logger } from '../runtime/logger.ts'
import { assertGiven } from './given.ts'
import {
  isLocal,
  mutexFileOf,
  ollamaFolders,
  type Place,
  type PlaceSelection,
  readOwner,
  selectPlace,
} from './place.ts'

/** Environment variables. */
export type Environment = Readonly<Record<string, string | undefined>>

/** A config that was checked and resolved. */
export interface KnownConfig {
  /** Absolute path of the file it was loaded from; absent for one that was never in a file. */
  readonly file?: string
  readonly config: Config
  readonly desired: DesiredState
  /** With their own configs as their schemas made them. */
  readonly plugins: readonly CheckedPlugin[]
}

export interface LoadedConfig extends KnownConfig {
  readonly file: string
}

export interface ConnectOptions {
  /** Wins over the config and over `OLLAMA_HOST`. */
  readonly host?: string | undefined
  /**
   * A model directory of this machine instead of a server; a relative path is taken from the working directory. `true`: Ollama's own,
   * which is `OLLAMA_MODELS`, else `~/.ollama/models`. Not together with `host`.
   */
  readonly store?: string | true | undefined
  /** Who shall own what is written into the store: `UID:GID`, in numbers. */
  readonly owner?: string | undefined
  /** At most so many connections of all downloads into the store together, 1 to 64. Default: 4. */
  readonly connections?: number | undefined
  /** Default: that of the process. */
  readonly env?: Environment | undefined
  readonly logger?: Logger | undefined
  readonly signal?: AbortSignal | undefined
  /** Longest silence of a server in everything but pulls, builds and uploads, in milliseconds. Default: 30 000. */
  readonly silenceMs?: number | undefined
  /** Longest time of one hook of a plugin that does not say it itself, in milliseconds. Default: 30 000. */
  readonly hookTimeoutMs?: number | undefined
  /** Base URL at which a registry is asked. Default: `https://HOST`, or `http://HOST` for an insecure model. */
  readonly registryUrl?: ((host: string, insecure: boolean) => string) | undefined
}

/** Of what begins with a look at a server that may be starting. A store is not waited for. */
export type ReadyOptions = ConnectOptions & WaitOptions

/** Which server or store a config and these options lead to, and who said so. @throws {OllamaConfigError} `usage`, `invalid-address` */
export function selectTarget(config: KnownConfig | Config, options: ConnectOptions = {}): PlaceSelection {
  return selectPlace(options, configOf(config).host)
}

/** What works on a store is imported when there is one. */
export async function connect(
  place: Place,
  config: KnownConfig | Config,
  options: ConnectOptions & { readonly offline?: boolean | undefined },
): Promise<Backend> {
  if (place.kind === 'host') {
    const mutexFile = mutexFileOf(place, options)
    return createHostBackend({ ...hostOptions(place.address, config, options), mutexFile })
  }
  const { createStoreBackend } = await import('../backend/store.ts')
  return createStoreBackend({
    folder: place.folder,
    owner: readOwner(options.owner),
    connections: options.connections,
    offline: options.offline,
    registry: registryOptions(place, null, options),
  })
}

/** What leads to a server, with its headers. */
export function hostOptions(
  address: Address,
  config: KnownConfig | Config,
  { env = process.env, logger, silenceMs }: ConnectOptions,
): HostBackendOptions {
  return { address, headers: resolveHeaders(configOf(config), env), logger, silenceMs }
}

function configOf(config: KnownConfig | Config): Config {
  return isKnown(config) ? config.config : config
}

/** Whether it is resolved already. Every config that a program gives comes by here. @throws {OllamaConfigError} `usage` when it is none */
export function isKnown(config: KnownConfig | Config): config is KnownConfig {
  assertGiven(config, 'config', 'what loadConfig() returned')
  return 'desired' in config
}

/** A client that asks registries as this server would. Imported when it is needed: a plan that wants nothing asks nobody. */
export async function openRegistry(
  place: Place,
  serverVersion: string | null,
  options: ConnectOptions,
): Promise<RegistryClient> {
  const { createRegistryClient } = await import('../registry/client.ts')
  return createRegistryClient(registryOptions(place, serverVersion, options))
}

/** How registries are asked for this place: as a server of that version, and with its key where it is on this machine. */
export function registryOptions(
  place: Place,
  serverVersion: string | null,
  { env = process.env, logger, registryUrl }: ConnectOptions,
): RegistryClientOptions {
  return {
    serverVersion,
    env,
    logger,
    // Another machine's server has another key.
    readKey: isLocal(place) ? () => readServerKey(env) : undefined,
    ...(place.kind === 'store' ? { keyFiles: keyFilesOf(env) } : {}),
    baseUrl: registryUrl,
  }
}

/** The key that a server on this machine signs in with: of this user, else of the service that Ollama's installer sets up. */
async function readServerKey(env: Environment): Promise<string | undefined> {
  for (const file of keyFilesOf(env)) {
    const text = await readFile(file, 'utf8').catch(() => undefined)
    if (text !== undefined) return text
  }
  return undefined
}

function keyFilesOf(env: Environment): readonly string[] {
  return ollamaFolders(env).map((folder) => path.join(folder, 'id_ed25519'))
}

function resolveHeaders({ headers = {} }: Config, env: Environment): Record<string, string> {
  const values = Object.entries(headers).map(([name, value]) => {
    // Of what every object has, such as `constructor`, nothing is a variable.
    const text = typeof value === 'string' ? value : Object.hasOwn(env, value.env) ? env[value.env] : undefined
    if (text === undefined) throw missingVariable(name, typeof value === 'string' ? '' : value.env)
    return [name, text] as const
  })
  return Object.fromEntries(values)
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
