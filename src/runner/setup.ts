/** `planSetup` and `runSetup`: installs Ollama where it is not, and starts its server. */
import type { Machine, Method, MethodName } from '../setup/methods.ts'
import type { StartWay } from '../setup/start.ts'
import type { ConnectOptions, KnownConfig } from './connection.ts'

export type { Machine, Method, MethodName } from '../setup/methods.ts'
export type { StartWay } from '../setup/start.ts'

export interface SetupOptions extends Pick<ConnectOptions, 'host' | 'env' | 'logger' | 'signal'> {
  /** Install in this way. Default: the one that fits best. */
  readonly method?: MethodName | undefined
  /** Default: this one, which is found out. */
  readonly machine?: Machine | undefined
}

export interface RunSetupOptions extends SetupOptions {
  /** How long the server has to answer once it was started, in milliseconds. Default: 60 000. */
  readonly timeoutMs?: number | undefined
  /** Called before each step, with words for it. */
  readonly onStep?: ((text: string) => void) | undefined
}

/** What there is, and what is to be done. */
export interface SetupPlan {
  /** `ready`: a server answers. `start`: Ollama is installed. */
  readonly state: 'ready' | 'start' | 'install'
  /** Of the server. */
  readonly address: string
  /** Who named it, in words. */
  readonly source: string
  /** `null` when no server answers. */
  readonly serverVersion: string | null
  /** The program `ollama`; `null` when it is not there. */
  readonly program: string | null
  /** Ways to install it here, the one to take first. Empty where it is installed. */
  readonly methods: readonly Method[]
  /** How it is started then; `null` when the installation does it, when its service is active already, and when a server answers. */
  readonly start: StartWay | null
  /** What keeps it running after the next start of the machine. */
  readonly stay: string | null
}

export interface SetupResult {
  /** What was done. */
  readonly installed: boolean
  readonly started: boolean
  readonly serverVersion: string | null
  /** Of a server that was started as a process of its own. */
  readonly logFile: string | null
}

/**
 * Looks what is there and what would have to be done. Runs nothing.
 *
 * @param config For its `host` and `headers` alone
 * @throws {OllamaConfigError} `usage` for a method that there is not here, and for an address at which no server can be started;
 * `host-unreachable` for a server on another machine; what else answers there; `setup-failed` when there is no way to install it here
 */
export async function planSetup(config: KnownConfig | undefined, options: SetupOptions = {}): Promise<SetupPlan> {
  options.signal?.throwIfAborted()
  const { makePlan } = await import('./installation.ts')
  return makePlan(config, options)
}

/**
 * Does what `planSetup` says. Never runs sudo: what needs root is told instead.
 *
 * @throws {OllamaConfigError} as `planSetup`; `needs-root` before anything is done, `setup-failed`, `host-timeout`,
 * `interrupted` when somebody interrupts the installer
 */
export async function runSetup(config: KnownConfig | undefined, options: RunSetupOptions = {}): Promise<SetupResult> {
  options.signal?.throwIfAborted()
  const { carryOut } = await import('./installation.ts')
  return carryOut(config, options)
}
