/**
 * The environment of a server. No endpoint tells it: it is known where its process can be read, or its service; else it is said to be
 * unknown.
 */
import { readFile } from 'node:fs/promises'
import { isNotPermitted } from '../errors.ts'
import { ownId } from '../runtime/own-id.ts'
import { findServerProcess, type ServerProcess } from './server-process.ts'
import { readService, type Service } from './service.ts'
import { userName } from './users.ts'

type Environment = Readonly<Record<string, string | undefined>>

export interface ServerEnvironment {
  /** Only what the checks ask for: the rest is nobody's business. */
  readonly values: Environment
  readonly source: 'process' | 'systemd' | 'launchd' | 'unknown'
  /** Whether what is not in `values` is not set. */
  readonly complete: boolean
  /** What runs it, as far as that is known: changing its environment differs. */
  readonly manager: 'systemd' | 'launchd' | null
  /** Whether its process is this user's; `null` when it is not known. */
  readonly own: boolean | null
  /** Why something is not known. */
  readonly reason: string
}

/** All that is looked at. */
const environmentNames = [
  ...['HTTPS_PROXY', 'https_proxy', 'NO_PROXY', 'no_proxy'],
  ...['OLLAMA_NOPRUNE', 'OLLAMA_MODELS', 'HOME'],
] as const

export interface EnvironmentOptions {
  readonly env: Environment
  readonly platform: string
  /** Of the server; `null` when it is another machine's, or a socket. */
  readonly port: number | null
  /** It is reached by a socket of this machine. Default: false. */
  readonly socket?: boolean | undefined
  /** Default: `/proc`. */
  readonly proc?: string | undefined
  readonly signal?: AbortSignal | undefined
}

/** From the process where this user may read it, else from its service. @throws `options.signal.reason` */
export async function readServerEnvironment(options: EnvironmentOptions): Promise<ServerEnvironment> {
  const { env, platform, port, socket, proc, signal } = options
  if (port === null) return unknown(socket ? 'a socket does not tell its process' : 'the server is on another machine')
  const [found, service] = await Promise.all([
    platform === 'linux' ? findServerProcess(port, proc) : undefined,
    readService({ env, platform, names: environmentNames, signal }),
  ])
  signal?.throwIfAborted()
  const own = isOwn(found)
  const unit = isOf(service, found) ? service : undefined
  const manager = unit?.manager ?? null
  if (found !== undefined && found.environment !== null) {
    const values = chosen(found.environment)
    return { values, source: 'process', complete: true, manager, own, reason: '' }
  }
  const reason = await reasonFor(found, platform, proc)
  if (unit === undefined) return { ...unknown(reason), own }
  const { environment, complete } = unit
  return { values: chosen(environment), source: unit.manager, complete, manager, own, reason }
}

/** Whether the service is what answers. One that does not run may be started one day, and is not asked about. */
function isOf(service: Service | undefined, found: ServerProcess | undefined): boolean {
  if (service === undefined || service.active === false) return false
  return found === undefined || service.pid === null || service.pid === found.pid
}

function isOwn(found: ServerProcess | undefined): boolean | null {
  const uid = found?.uid ?? null
  const own = ownId()
  return uid === null || own === undefined ? null : uid === own
}

async function reasonFor(found: ServerProcess | undefined, platform: string, proc = '/proc'): Promise<string> {
  if (found !== undefined) return `its process belongs to ${(await userName(found.uid)) ?? 'another user'}`
  if (platform !== 'linux') return 'this system does not tell it of other programs'
  return (await maySeeProcesses(proc))
    ? 'no process of the server is found here, so it may run in a container'
    : 'Deno lets a program look at others with --allow-all only'
}

async function maySeeProcesses(proc: string): Promise<boolean> {
  try {
    await readFile(`${proc}/self/environ`)
    return true
  } catch (error) {
    return !isNotPermitted(error)
  }
}

function unknown(reason: string): ServerEnvironment {
  return { values: {}, source: 'unknown', complete: false, manager: null, own: null, reason }
}

function chosen(environment: Environment): Environment {
  return Object.fromEntries(
    environmentNames.flatMap((name) => (environment[name] === undefined ? [] : [[name, environment[name]]])),
  )
}
