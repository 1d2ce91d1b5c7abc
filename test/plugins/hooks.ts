/** Calls the hooks of a plugin as a run does: with a checked config, and with what a server says. */
import { Ollama } from 'ollama/browser'
import type { Diagnostic, Plan } from '../../src/index.ts'
import type { HostFacts, Plugin, ProbeContext, ProbedModel, SchemaResult, ShownModel } from '../../src/plugin.ts'

export interface Host extends Partial<HostFacts> {
  /** What the server would tell, by reference; all else is not installed. */
  readonly shown?: Readonly<Record<string, ShownModel>>
  readonly signal?: AbortSignal
  readonly logged?: string[]
}

/** What the schema makes of the config, or its problems as `path: message`. */
export async function check({ spec, config }: Plugin): Promise<unknown> {
  const result: SchemaResult<unknown> = (await spec.configSchema?.['~standard'].validate(config)) ?? { value: config }
  if (result.issues === undefined) return result.value
  const pathOf = (path: (typeof result.issues)[number]['path'] = []) =>
    path.map((item) => String(typeof item === 'object' ? item.key : item)).join('.')
  throw new Error(result.issues.map(({ message, path }) => `${pathOf(path)}: ${message}`).join('\n'))
}

export async function review(plugin: Plugin, plan: Plan, host: Host = {}): Promise<readonly Diagnostic[]> {
  return (await plugin.spec.review?.(await check(plugin), plan, contextOf(host))) ?? []
}

export async function probe(
  plugin: Plugin,
  models: readonly Partial<ProbedModel>[],
  host: Host = {},
): Promise<readonly Diagnostic[]> {
  const context = contextOf(host)
  const defaults = { reference: '', digest: '', changed: true, cloud: false }
  const target = { address: context.host.address, models: models.map((model) => ({ ...defaults, ...model })) }
  return (await plugin.spec.probe?.(await check(plugin), target, context)) ?? []
}

export function contextOf(host: Host = {}): ProbeContext {
  const { shown, logged, signal = new AbortController().signal, ...facts } = host
  const log = (message: string) => void logged?.push(message)
  const address = facts.address ?? 'http://127.0.0.1:11434'
  const clientFor = (own: AbortSignal) =>
    new Ollama({
      host: address,
      fetch: (input, init) => fetch(input, { ...init, signal: AbortSignal.any([signal, own]) }),
    })
  return {
    signal,
    cwd: '/',
    logger: { debug: log, info: log, warn: log, error: log },
    host: { loopback: true, serverVersion: null, memoryBytes: null, ...facts, address },
    show: async (reference) => shown?.[reference] ?? null,
    client: clientFor(signal),
    clientFor,
  }
}

/** Asks a server, as `show` of a context does. */
export async function askShow(address: string, model: string): Promise<ShownModel> {
  const client = new Ollama({ host: address })
  const { models } = await client.list()
  const listed = models.find(({ name }) => name === model)
  const { capabilities, model_info, parameters, details } = await client.show({ model })
  const info: unknown = model_info
  const lines = String(parameters ?? '').split('\n')
  return {
    name: model,
    digest: listed?.digest ?? '',
    sizeBytes: listed?.size ?? 0,
    capabilities,
    family: details.family,
    parameterSize: details.parameter_size,
    quantization: details.quantization_level,
    parameters: Object.fromEntries(
      lines.map((line) => /^(\S+)\s+(.*)$/.exec(line)?.slice(1) ?? []).map(([name, value]) => [name, Number(value)]),
    ),
    modelInfo: Object.fromEntries(Object.entries(info ?? {})),
  }
}

export function shownModel(overrides: Partial<ShownModel> = {}): ShownModel {
  const names = { name: 'x', digest: '', family: null, parameterSize: null, quantization: null }
  return { ...names, sizeBytes: 1e9, capabilities: ['completion'], parameters: {}, modelInfo: {}, ...overrides }
}
