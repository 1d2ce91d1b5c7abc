/** Carries out `examine`: gathers the facts, each within its time. Imported only by it. */

import { platform } from 'node:os'
import { printable } from '../artifact/text.ts'
import { portOf } from '../backend/address.ts'
import { modelFolderOf } from '../backend/model-folder.ts'
import { probeServer, type ServerAnswers } from '../backend/probe.ts'
import type { Config } from '../config/config.ts'
import { checkAll } from '../doctor/check.ts'
import { type Facts, type ServerFacts, versionOf } from '../doctor/facts.ts'
import { findGpus } from '../doctor/gpu.ts'
import { lookAtFolder } from '../doctor/model-folder.ts'
import { proxiesOf } from '../doctor/proxies.ts'
import { readServerEnvironment } from '../doctor/server-environment.ts'
import { isConfigError, isOllamaConfigError, OllamaConfigError, toErrorData } from '../errors.ts'
import { formatVersion } from '../plan/plan.ts'
import { abortable, anySignal } from '../runtime/abortable.ts'
import { describeMachine, findOllama } from '../setup/machine.ts'
import { methodsFor } from '../setup/methods.ts'
import { holdsModels } from '../store/holds-models.ts'
import { layoutOf } from '../store/layout.ts'
import { examineConfig, type Loaded } from './config-facts.ts'
import { connect, hostOptions, type KnownConfig, selectTarget } from './connection.ts'
import type { Examination, ExamineOptions } from './doctor.ts'
import { memoryOfThisMachine } from './host-facts.ts'
import { loadConfig } from './load.ts'
import { type HostPlace, homeOf, sourceWords } from './place.ts'

const defaultLimitMs = 1000
/** A config may ask the network for what it declares. */
const configLimits = 5
/** For all models that are asked where they lie; and for reading there, which may be a disk in a network. */
const folderLimits = 0.5

/** As `examine` says. */
export async function examineAll(options: ExamineOptions): Promise<Examination> {
  const { env = process.env, signal, limitMs = defaultLimitMs } = options
  const known: Known = { hookTimeoutMs: configLimits * limitMs, ...options, env, limitMs }
  const loaded = await load(known)
  const config: KnownConfig | Config = 'value' in loaded ? loaded.value : { models: [] }
  const target = select(config, known)
  const [server, local] = await Promise.all([askServer(target, config, known), lookAtMachine(target, known)])
  const place = 'place' in target ? target.place : undefined
  const named = place?.address.loopback ? await folderNamed(place, server.answers, config, known) : null
  const listed = server.answers !== null && 'value' in server.answers.listing ? server.answers.listing.value.models : []
  const folder = await lookAtFolder({
    env,
    platform: platform(),
    home: homeOf(env),
    named,
    environment: local.environment,
    // What cannot be read may well be the server's.
    holds: (folder) =>
      abortable(holdsModels(layoutOf(folder), listed, { signal }), AbortSignal.timeout(folderLimits * limitMs)).catch(
        () => null,
      ),
  })
  signal?.throwIfAborted()
  const facts: Facts = {
    platform: platform(),
    server,
    ...local,
    folder,
    config: await examineConfig(loaded, place, known),
  }
  return examinationOf(facts)
}

function examinationOf(facts: Facts): Examination {
  const { server, config, program, folder, memoryBytes, gpus } = facts
  const loaded = server.answers?.loaded
  return {
    formatVersion,
    address: server.address,
    serverVersion: versionOf(server),
    file: config.error === null ? config.file : null,
    findings: checkAll(facts),
    facts: {
      program,
      modelFolder: folder.folder,
      freeBytes: folder.freeBytes,
      memoryBytes,
      gpus,
      loaded: loaded !== undefined && 'value' in loaded ? loaded.value : null,
    },
  }
}

type Known = ExamineOptions & { readonly env: NonNullable<ExamineOptions['env']>; readonly limitMs: number }

/** One that never ends loading is given up. */
async function load(options: Known): Promise<Loaded> {
  const { signal } = options
  const limitMs = configLimits * options.limitMs
  const late = AbortSignal.timeout(limitMs)
  try {
    const both = anySignal(signal, late)
    return { value: await loadConfig({ ...options, signal: both }) }
  } catch (error) {
    signal?.throwIfAborted()
    // A slip of whoever named it, and nothing to find out.
    if (options.configFile !== undefined && isOllamaConfigError(error) && error.code === 'config-not-found') throw error
    if (late.aborted) {
      const message = `The config does not finish loading within ${limitMs / 1000} s`
      const slow = new OllamaConfigError('config-load-failed', message, {
        hint: 'look at what it and its plugins wait for',
      })
      return { file: null, error: toErrorData(slow) }
    }
    const diagnostics = isConfigError(error) ? { diagnostics: error.diagnostics } : {}
    const file = isOllamaConfigError(error) ? error.details?.['file'] : undefined
    return { file: typeof file === 'string' ? file : null, error: { ...toErrorData(error), ...diagnostics } }
  }
}

type Target = { readonly place: HostPlace; readonly source: string } | { readonly error: OllamaConfigError }

/** @throws {OllamaConfigError} for what was written on the command line */
function select(config: KnownConfig | Config, { host, env }: Known): Target {
  try {
    const { place, source } = selectTarget(config, { host, env })
    // Without a store it is always a host.
    if (place.kind === 'host') return { place, source: sourceWords[source] }
    throw new OllamaConfigError('internal', 'A store was chosen where none was asked for')
  } catch (error) {
    if (!isOllamaConfigError(error) || (host ?? '').trim() !== '') throw error
    return { error }
  }
}

async function askServer(target: Target, config: KnownConfig | Config, options: Known): Promise<ServerFacts> {
  if ('error' in target) {
    const nothing = { address: null, source: '', loopback: true, warning: null, answers: null }
    return { ...nothing, error: toErrorData(target.error) }
  }
  const { address } = target.place
  const { limitMs, signal } = options
  const facts = {
    address: printable(address.origin, 200),
    source: target.source,
    loopback: address.loopback,
    warning: address.warning ?? null,
  }
  try {
    const answers = await probeServer({ ...hostOptions(address, config, options), limitMs, signal })
    return { ...facts, answers, error: null }
  } catch (error) {
    signal?.throwIfAborted()
    // A header whose variable is not set: nothing was asked.
    if (!isOllamaConfigError(error)) throw error
    return { ...facts, address: null, answers: null, error: toErrorData(error) }
  }
}

/** What does not depend on the answers of the server. */
async function lookAtMachine(target: Target, { env, signal }: Known) {
  const place = 'place' in target ? target.place : undefined
  const loopback = place?.address.loopback ?? true
  const machine = describeMachine(env, platform())
  const [method] = methodsFor(machine)
  const [environment, gpus] = await Promise.all([
    readServerEnvironment({
      env,
      platform: platform(),
      port: loopback && place !== undefined ? portOf(place.address) : null,
      socket: place?.address.socketPath !== undefined,
      signal,
    }),
    loopback ? findGpus({ env, platform: platform(), arch: process.arch, signal }) : null,
  ])
  return {
    program: findOllama(env, platform()) ?? null,
    upgrade: method?.upgrade ?? 'see https://ollama.com/download',
    proxies: proxiesOf(env),
    environment,
    memoryBytes: loopback ? memoryOfThisMachine() : null,
    gpus,
  }
}

/** Where the server says that its models lie: a model with weights tells. */
async function folderNamed(
  place: HostPlace,
  answers: ServerAnswers | null,
  config: KnownConfig | Config,
  options: Known,
): Promise<string | null> {
  if (answers === null || !('value' in answers.listing)) return null
  const backend = await connect(place, config, options)
  const late = AbortSignal.timeout(folderLimits * options.limitMs)
  const signal = anySignal(options.signal, late)
  const found = await modelFolderOf(backend, answers.listing.value, { signal }).catch(() => undefined)
  options.signal?.throwIfAborted()
  return found ?? null
}
