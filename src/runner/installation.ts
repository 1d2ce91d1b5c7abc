/** Carries out `planSetup` and `runSetup`. Imported only by them. */

import { platform } from 'node:os'
import path from 'node:path'
import { parseAddress, portOf } from '../backend/address.ts'
import type { Backend } from '../backend/backend.ts'
import { probeServer } from '../backend/probe.ts'
import { isPassing } from '../backend/wait.ts'
import type { Config } from '../config/config.ts'
import { readService } from '../doctor/service.ts'
import { OllamaConfigError } from '../errors.ts'
import { stateFolder } from '../record/state-folder.ts'
import { anySignal } from '../runtime/abortable.ts'
import { findProgram } from '../runtime/find-program.ts'
import { sleep } from '../runtime/sleep.ts'
import { describeMachine, findOllama } from '../setup/machine.ts'
import { type Machine, type Method, type MethodName, methodsFor } from '../setup/methods.ts'
import { runInTerminal } from '../setup/run.ts'
import { endOfLog, type StartedServer, startServer } from '../setup/serve.ts'
import { type StartWay, startWay, stayCommand } from '../setup/start.ts'
import type { Ending } from '../setup/start-program.ts'
import { connect, type Environment, hostOptions, type KnownConfig, selectTarget } from './connection.ts'
import { type HostPlace, homeOf, sourceWords } from './place.ts'
import type { RunSetupOptions, SetupOptions, SetupPlan, SetupResult } from './setup.ts'

/** A server that runs answers at once. */
const probeMs = 1500
const defaultTimeoutMs = 60_000

interface Setup {
  readonly plan: SetupPlan
  readonly machine: Machine
  readonly place: HostPlace
  readonly backend: Backend
  readonly env: Environment
  /** OLLAMA_HOST for a server of ours; `undefined` where the environment has it, or the default is meant. */
  readonly listen: string | undefined
}

/** As `planSetup` says. */
export async function makePlan(config: KnownConfig | undefined, options: SetupOptions): Promise<SetupPlan> {
  return (await look(config, options)).plan
}

async function look(given: KnownConfig | undefined, options: SetupOptions): Promise<Setup> {
  const { env = process.env, signal } = options
  const config: KnownConfig | Config = given ?? { models: [] }
  const { place, source } = selectTarget(config, options)
  if (place.kind !== 'host') throw new OllamaConfigError('usage', 'A store needs no server', { hint: 'leave it out' })
  const machine = options.machine ?? describeMachine(env, platform())
  const backend = await connect(place, config, options)
  const program = findOllama(env, machine.platform) ?? null
  const listen = source === 'flag' || source === 'config' ? hostOf(place) : undefined
  const common = { address: backend.address, source: sourceWords[source], program }
  const found = { machine, place, backend, env, listen }
  const answer = await versionAt(backend, signal)
  const ready = (serverVersion: string | null): Setup => ({
    ...found,
    plan: { ...common, state: 'ready', serverVersion, methods: [], start: null, stay: null },
  })
  if ('version' in answer) return ready(answer.version)
  if (answer.error.code === 'host-error') {
    // One that cannot list its models is there all the same: a second one would find its port taken.
    const { version } = await probeServer({ ...hostOptions(place.address, config, options), limitMs: probeMs, signal })
    if ('value' in version) return ready(version.value)
  }
  assertStartable(place, answer.error)
  const methods =
    program === null ? choose(methodsFor(machine), options.method).map((method) => atPort(method, place)) : []
  const unit = await unitFor(place, machine, options)
  // One that is active starts just now.
  const way =
    methods[0]?.startsServer || unit === 'active' ? null : startWay({ machine, hasUnit: unit !== undefined, listen })
  const plan: SetupPlan = {
    ...common,
    state: program === null ? 'install' : 'start',
    serverVersion: null,
    methods,
    start: way,
    stay: way === null ? null : (stayCommand(machine, way) ?? null),
  }
  return { ...found, plan }
}

/** As `runSetup` says. */
export async function carryOut(config: KnownConfig | undefined, options: RunSetupOptions): Promise<SetupResult> {
  const { signal, onStep } = options
  const setup = await look(config, options)
  const { plan, machine, env } = setup
  if (plan.state === 'ready')
    return { installed: false, started: false, serverVersion: plan.serverVersion, logFile: null }
  const [method] = plan.methods
  if (method?.needsRoot) throw needsRoot(`Installing Ollama with ${method.title}`, method.rootCommand)
  if (plan.start?.needsRoot) throw needsRoot('Starting Ollama, which is a service here,', plan.start.command)
  if (method !== undefined) await install(method, setup, options)
  const program = findOllama(env, machine.platform)
  if (method !== undefined && method.name !== 'docker' && program === undefined)
    throw new OllamaConfigError('setup-failed', `${method.title} is done, but there is no ollama on PATH`, {
      hint: `look at what it printed; where it changed PATH, open a new terminal; or ${otherWay(plan)}`,
    })
  // A package may have brought a unit.
  const way = method === undefined || method.startsServer ? plan.start : await startAfterInstall(setup, options)
  if (way?.needsRoot) throw needsRoot('Ollama is installed; starting it, which is a service here,', way.command)
  let server: StartedServer | undefined
  if (way !== null) {
    onStep?.(`Starting: ${way.command}`)
    server = way.kind === 'systemd' ? await startUnit(setup, signal) : await serve(program ?? 'ollama', setup)
  }
  try {
    onStep?.(`Waiting for an answer at ${plan.address}`)
    const serverVersion = await answered(setup, server, options)
    return { installed: method !== undefined, started: true, serverVersion, logFile: server?.logFile ?? null }
  } catch (error) {
    // Nothing that nobody knows of is left running.
    await server?.stop()
    throw error
  }
}

async function startAfterInstall({ place, machine, listen }: Setup, options: SetupOptions): Promise<StartWay | null> {
  const unit = await unitFor(place, machine, options)
  return unit === 'active' ? null : startWay({ machine, hasUnit: unit !== undefined, listen })
}

async function install(method: Method, setup: Setup, { signal, onStep }: RunSetupOptions): Promise<void> {
  onStep?.(`Running: ${method.command}`)
  const { code, how } = await runOnPath(method.run, setup, signal)
  if (code === 0) return
  const docker = method.name === 'docker' ? '; if there is such a container already: docker start ollama;' : ','
  throw new OllamaConfigError('setup-failed', `The installation ${how}: ${method.command}`, {
    hint: `look at what it printed${docker} or ${otherWay(setup.plan)}`,
  })
}

async function startUnit(setup: Setup, signal: AbortSignal | undefined): Promise<undefined> {
  const { code, how } = await runOnPath(['systemctl', 'start', 'ollama'], setup, signal)
  if (code === 0) return undefined
  throw new OllamaConfigError('setup-failed', `The service ollama could not be started: systemctl ${how}`, {
    hint: unitLog,
  })
}

const unitLog = 'journalctl -e -u ollama'

async function runOnPath(
  [program, ...words]: Method['run'],
  { env, machine: { platform } }: Setup,
  signal: AbortSignal | undefined,
): Promise<Ending> {
  const file = findProgram(program, env, platform)
  if (file === undefined)
    return { code: null, how: `could not be run (there is no ${program} on PATH)`, interrupted: false }
  return runInTerminal(file, words, { env, platform, signal })
}

/** For whom the way that was taken leads nowhere. */
function otherWay({ methods: [, other] }: SetupPlan): string {
  return other === undefined ? downloadHint : `take another way, as in setup --run --with ${other.name}`
}

function serve(program: string, { env, listen, machine, place }: Setup): Promise<StartedServer> {
  const home = homeOf(env)
  const name = `serve-${portOf(place.address)}.log`
  const logFile = home === undefined ? undefined : path.join(stateFolder(env, machine.platform, home), name)
  return startServer(program, { env: listen === undefined ? env : { ...env, OLLAMA_HOST: listen }, logFile })
}

type Answer = { readonly version: string | null } | { readonly error: OllamaConfigError }

/** @throws {OllamaConfigError} when something else answers there */
async function versionAt(backend: Backend, signal: AbortSignal | undefined, limitMs = probeMs): Promise<Answer> {
  const late = AbortSignal.timeout(limitMs)
  try {
    const { serverVersion } = await backend.readState({
      signal: anySignal(signal, late),
    })
    return { version: serverVersion }
  } catch (error) {
    signal?.throwIfAborted()
    if (late.aborted) return { error: new OllamaConfigError('host-timeout', `${backend.address} does not answer`) }
    if (isPassing(error)) return { error }
    throw error
  }
}

const firstPauseMs = 50
const longestPauseMs = 1000

/** Waits until it answers, at growing intervals. @throws {OllamaConfigError} `host-timeout`; `setup-failed` when it has ended */
async function answered(
  setup: Setup,
  server: StartedServer | undefined,
  { signal, timeoutMs = defaultTimeoutMs }: RunSetupOptions,
): Promise<string | null> {
  const { backend, plan } = setup
  const deadlineMs = performance.now() + timeoutMs
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(longestPauseMs, pauseMs * 1.5)) {
    const leftMs = deadlineMs - performance.now()
    // Another one may have been quicker to take the port: whoever answers will do.
    const answer = await versionAt(backend, signal, Math.ceil(Math.max(1, Math.min(longestPauseMs * 5, leftMs))))
    if ('version' in answer) return answer.version
    if (performance.now() >= deadlineMs) {
      const message = `Ollama did not answer at ${plan.address} within ${timeoutMs / 1000} s`
      throw new OllamaConfigError('host-timeout', message, nextStep(setup, server, undefined))
    }
    const awake = new AbortController()
    const pause = sleep(pauseMs, anySignal(signal, awake.signal))
    const end = await Promise.race([pause, ...(server === undefined ? [] : [server.ended])])
    awake.abort()
    pause.catch(() => {})
    if (end === undefined) continue
    const last = await versionAt(backend, signal)
    if ('version' in last) return last.version
    const message = `"ollama serve" ${end.how} before it answered`
    throw new OllamaConfigError('setup-failed', message, nextStep(setup, server, end))
  }
}

/** Where to look, with the end of the log of a server of ours. */
function nextStep({ plan, machine }: Setup, server: StartedServer | undefined, ending: Ending | undefined) {
  const again = ending === undefined ? 'wait longer with --timeout' : 'mend what it says, and try again'
  if (server === undefined) {
    const docker = plan.methods[0]?.name === 'docker'
    const log = docker ? ': docker logs ollama' : machine.platform === 'linux' ? `: ${unitLog}` : ''
    return { hint: `${again}, or look at the log of the server${log}` }
  }
  const { logFile } = server
  const frame = logFile === undefined ? '' : endOfLog(logFile, { isComplete: typeof ending?.code === 'number' })
  if (frame !== '') return { hint: `${again}; all of its log: ${logFile}`, details: { frame } }
  const byHand = `run it yourself to see more: ${plan.start?.command ?? 'ollama serve'}`
  return { hint: ending === undefined ? `${again}, or ${byHand}` : byHand }
}

function choose(methods: readonly Method[], wanted: MethodName | undefined): readonly Method[] {
  const chosen = wanted === undefined ? methods[0] : methods.find(({ name }) => name === wanted)
  if (chosen !== undefined) return [chosen, ...methods.filter((method) => method !== chosen)]
  if (wanted !== undefined)
    throw new OllamaConfigError('usage', `Ollama cannot be installed with ${wanted} here: it is not on PATH`, {
      hint: methods.length === 0 ? downloadHint : `there is ${methods.map(({ name }) => name).join(', ')}`,
    })
  throw new OllamaConfigError('setup-failed', 'Nothing that installs Ollama was found on PATH', { hint: downloadHint })
}

const downloadHint = 'see https://ollama.com/download'

/** Docker alone can be told the port; what else starts a server starts it at Ollama's own. */
function atPort(method: Method, place: HostPlace): Method {
  const port = portOf(place.address)
  if (port === 11434) return method
  if (method.name !== 'docker') return { ...method, startsServer: false }
  const change = (text: string) => text.replace('11434:11434', `${port}:11434`)
  const [program, ...words] = method.run
  const command = change(method.command)
  return { ...method, command, rootCommand: command, run: [program, ...words.map(change)] }
}

/** @throws {OllamaConfigError} where no server of this machine can be meant */
function assertStartable({ address }: HostPlace, error: OllamaConfigError): void {
  if (!address.loopback)
    throw new OllamaConfigError(error.code, error.message, {
      hint: 'that is another machine: install and start Ollama there, or name this one with --host 127.0.0.1',
      cause: error,
    })
  const { protocol, pathname } = new URL(address.url)
  if (address.socketPath === undefined && protocol === 'http:' && pathname === '/') return
  throw new OllamaConfigError('usage', `A server cannot be started at ${address.origin}: nothing answers there`, {
    hint: 'start what listens there, or name a plain address such as --host 127.0.0.1:11434',
  })
}

function hostOf(place: HostPlace): string {
  return `${new URL(place.address.url).hostname}:${portOf(place.address)}`
}

/** A unit that listens elsewhere is none for this address. */
async function unitFor(
  place: HostPlace,
  machine: Machine,
  { env = process.env, signal }: SetupOptions,
): Promise<'active' | 'inactive' | undefined> {
  if (machine.platform !== 'linux') return undefined
  const service = await readService({ env, platform: machine.platform, names: [], signal })
  if (service === undefined) return undefined
  try {
    const address = parseAddress(service.environment['OLLAMA_HOST'] ?? '')
    if (portOf(address) !== portOf(place.address)) return undefined
    return service.active ? 'active' : 'inactive'
  } catch {
    return undefined
  }
}

function needsRoot(what: string, command: string): OllamaConfigError {
  return new OllamaConfigError('needs-root', `${what} needs root, and ollama-config never calls sudo`, {
    hint: `run it yourself: ${command}`,
  })
}
