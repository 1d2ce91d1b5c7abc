/** Where models are kept, an Ollama server or a model directory of this machine, and who said so. */
import { realpathSync } from 'node:fs'
import { homedir, platform } from 'node:os'
import path from 'node:path'
import { quoted } from '../artifact/text.ts'
import { type Address, type HostSelection, parseAddress, selectHost } from '../backend/address.ts'
import { OllamaConfigError } from '../errors.ts'
import { stateFolder } from '../record/state-folder.ts'
import { defaultFolder } from '../store/layout.ts'
import type { ConnectOptions, Environment } from './connection.ts'

export type Place = HostPlace | StorePlace

export interface HostPlace {
  readonly kind: 'host'
  readonly address: Address
}

export interface StorePlace {
  readonly kind: 'store'
  /** Absolute; need not be there yet. */
  readonly folder: string
}

export interface PlaceSelection {
  readonly place: Place
  readonly source: HostSelection['source']
}

/**
 * A store where one is asked for, else the server that flag, config or environment name.
 *
 * @throws {OllamaConfigError} `usage` for options that do not go together, `invalid-address`
 */
export function selectPlace(options: ConnectOptions, configHost: string | undefined): PlaceSelection {
  const { host, store, owner, connections, env = process.env } = options
  if (store === undefined) {
    if (owner !== undefined) throw usage('--owner is for a store, and --store was not given', 'add --store, or drop it')
    if (connections !== undefined)
      throw usage('--connections is for a store, and --store was not given', 'add --store, or drop it')
    const { address, source } = selectHost({ flag: host, config: configHost, env: env['OLLAMA_HOST'] })
    return { place: { kind: 'host', address }, source }
  }
  if (host !== undefined && host.trim() !== '')
    throw usage('--host and --store were both given', 'name a server or a model directory')
  readOwner(owner)
  if (connections !== undefined && !isConnectionCount(connections))
    throw usage(
      `--connections ${connections} is not a number from 1 to ${maxConnections}`,
      'leave it out for the default',
    )
  return { place: { kind: 'store', folder: storeFolder(store, env) }, source: 'flag' }
}

/** Who named a host. */
export const sourceWords: Readonly<Record<HostSelection['source'], string>> = {
  flag: 'from --host',
  config: 'from the config',
  environment: 'from OLLAMA_HOST',
  default: 'the default',
}

/** As it is shown, and as a plan names it. */
export function addressOf(place: Place): string {
  return place.kind === 'host' ? place.address.origin : place.folder
}

/**
 * Whether the address of a server can be printed as it was written. One that is refused, or read otherwise than it was written, may hold a
 * secret in any place, such as a password where the port belongs.
 */
export function isShowable(host: string): boolean {
  try {
    const { headers, warning } = parseAddress(host)
    return Object.keys(headers).length === 0 && warning === undefined
  } catch {
    return false
  }
}

/** Whether its files are those of this machine, or likely so. */
export function isLocal(place: Place): boolean {
  return place.kind === 'store' || place.address.loopback
}

/** A registry takes more from nobody, and no disk is quicker than these. */
const maxConnections = 64

function isConnectionCount(count: number): boolean {
  return Number.isInteger(count) && count >= 1 && count <= maxConnections
}

/** Largest id that stands for somebody. */
const maxId = 2 ** 32 - 2

/**
 * Reads `UID:GID`.
 *
 * @throws {OllamaConfigError} `usage`
 */
export function readOwner(text: string | undefined): { readonly uid: number; readonly gid: number } | undefined {
  if (text === undefined) return undefined
  const [, uid, gid] = /^(\d{1,10}):(\d{1,10})$/.exec(text.trim()) ?? []
  if (uid !== undefined && gid !== undefined && Number(uid) <= maxId && Number(gid) <= maxId)
    return { uid: Number(uid), gid: Number(gid) }
  throw usage(
    `--owner ${quoted(text)} is not UID:GID in numbers`,
    'write it as in --owner 998:998; "id ollama" tells the numbers of that user',
  )
}

function storeFolder(store: string | true, env: Environment): string {
  const home = homeOf(env)
  if (store === true) {
    const set = env['OLLAMA_MODELS'] ?? ''
    if (home === undefined && set.trim() === '')
      throw usage('Where the models are kept is not known, since there is no home folder', 'write --store=DIR')
    return path.resolve(defaultFolder(env, platform(), home ?? ''))
  }
  if (store.trim() === '')
    throw usage('--store= names no folder', 'write --store=DIR, or --store alone for the default folder')
  const rest = /^~(?:$|[/\\])/.test(store) ? store.slice(1) : undefined
  if (rest === undefined) return path.resolve(store)
  // The shell leaves it alone in `--store=~/models`.
  if (home === undefined)
    throw usage(`The folder ${quoted(store)} is not known, since there is no home folder`, 'write it without a "~"')
  return path.join(home, rest)
}

/** The one path of a folder that may have several and need not be there yet. */
export function realFolder(folder: string): string {
  for (let parent = folder; ; parent = path.dirname(parent)) {
    try {
      return path.join(realpathSync.native(parent), path.relative(parent, folder))
    } catch {
      if (path.dirname(parent) === parent) return folder
    }
  }
}

/** Where the server's own files may be, the likeliest first. */
export function ollamaFolders(env: Environment): readonly string[] {
  const home = homeOf(env)
  const own = home === undefined ? [] : [path.join(home, '.ollama')]
  return platform() === 'linux' ? [...own, '/usr/share/ollama/.ollama'] : own
}

/** `undefined` when the environment does not say: a program that gives one of its own decides what is written where. */
export function homeOf(env: Environment): string | undefined {
  const home = env['HOME'] || env['USERPROFILE'] || (env === process.env ? homedir() : undefined)
  return home === undefined || !path.isAbsolute(home) ? undefined : home
}

/** Where the record of a host or store is kept; `undefined` when the environment names no home. */
export function recordPlace(
  place: Place,
  { env = process.env }: Pick<ConnectOptions, 'env'>,
): { readonly folder: string; readonly host: string } | undefined {
  const home = homeOf(env)
  if (home === undefined) return undefined
  return { folder: stateFolder(env, platform(), home), host: recordKey(place) }
}

function recordKey(place: Place): string {
  if (place.kind === 'store') return realFolder(place.folder)
  const { loopback, origin } = place.address
  // The three ways to name this machine mean one server.
  return loopback ? origin.replace(/\/\/(localhost|\[::1\])(?=[:/]|$)/, '//127.0.0.1') : origin
}

/** What one process of ours has at a time while it changes a server. `undefined` where no home is known. */
export function mutexFileOf(place: Place, options: Pick<ConnectOptions, 'env'>): string | undefined {
  const known = recordPlace(place, options)
  // Two addresses that come to the same only wait for each other.
  return known && path.join(known.folder, 'hosts', `${known.host.replace(/[^a-z0-9.]+/gi, '-').slice(0, 100)}.mutex`)
}

function usage(message: string, hint: string): OllamaConfigError {
  return new OllamaConfigError('usage', message, { hint })
}
