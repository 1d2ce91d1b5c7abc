/** The public contract of plugins: what one is made of, and what its hooks are given. */

import type { OllamaClient } from './backend/ollama-client.ts'
import type { ModelDeclaration } from './config/config.ts'
import type { Diagnostic } from './errors.ts'
import type { Plan } from './plan/plan.ts'
import type { Logger } from './runtime/logger.ts'

export { quoted } from './artifact/text.ts'
export { matchesModel, type Selection, selectDeclared } from './plan/select.ts'

/** The version of this contract. */
export const pluginApiVersion = 1

/** What a plugin is. Every hook is optional, gets data and returns data; what changes the host is left to plan and apply. */
export interface PluginSpec<Input = unknown, Output = Input> {
  readonly apiVersion: typeof pluginApiVersion
  /** Unique among the plugins of a config; in messages and diagnostics. Letters, digits, `-`, `_` and `.`. */
  readonly name: string
  /**
   * Models that it speaks for in the model manager: references, or patterns as in `keep`. A reference goes before a pattern; one
   * without a tag means `:latest`, and as a pattern every other tag. Default: none, which leaves it out of the manager.
   */
  readonly models?: readonly string[] | undefined
  /** Checks its config: valibot, zod, arktype or anything else that speaks Standard Schema. Default: it takes no config. */
  readonly configSchema?: StandardSchema<Input, Output> | undefined
  /** How long each of its hooks may take, in milliseconds; a function is given the checked config. Default: 30 000. */
  readonly timeoutMs?: number | ((config: Output) => number) | undefined
  /** Tells of a model that `models` covers, without asking a host. */
  details?(reference: string, ctx: PluginContext): Awaitable<PluginModelDetails>
  /** Adds models to those of the config, when it is loaded. No host is known to be there. */
  declare?(config: Output, ctx: PluginContext): Awaitable<readonly ModelDeclaration[]>
  /** Judges a finished plan. An error makes it inapplicable. */
  review?(config: Output, plan: Plan, ctx: HostContext): Awaitable<readonly Diagnostic[]>
  /** Tries models after an apply that changed something. An error makes the apply a failure; nothing is undone. */
  probe?(config: Output, target: ProbeTarget, ctx: ProbeContext): Awaitable<readonly Diagnostic[]>
}

export type Awaitable<T> = T | Promise<T>

/** The part of Standard Schema (version 1) that a plugin's config needs. */
export interface StandardSchema<Input = unknown, Output = Input> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => Awaitable<SchemaResult<Output>>
    readonly types?: { readonly input: Input; readonly output: Output } | undefined
  }
}

export type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] }

export interface SchemaIssue {
  readonly message: string
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

/** What every hook is given. */
export interface PluginContext {
  /** Up when the user interrupts, and when the hook's time is over (`timeoutMs` of the plugin). */
  readonly signal: AbortSignal
  /** Folder of the config, absolute; the working directory where there is none. */
  readonly cwd: string
  readonly logger: Logger
  readonly host: HostFacts
}

export interface HostFacts {
  /** Origin of the server, without user info; of a store, its absolute path. */
  readonly address: string
  /** It is this machine, as that of a store. */
  readonly loopback: boolean
  /** `null` before the server was asked, when it does not say, and for a store. */
  readonly serverVersion: string | null
  /** Memory of the machine; `null` when the server is another machine. Graphics memory is not known. */
  readonly memoryBytes: number | null
}

/** For hooks that run when the host has been read. */
export interface HostContext extends PluginContext {
  /** What the server tells of an installed model; `null` when it is not installed. Asked once per model. */
  show(reference: string): Promise<ShownModel | null>
}

/** For hooks that run after an apply. */
export interface ProbeContext extends HostContext {
  /** The npm client `ollama` for the host of the plan. Its calls end with `signal`. */
  readonly client: OllamaClient
  /** The same client, whose calls end with the given signal as well: the client's own methods take none. */
  clientFor(signal: AbortSignal): OllamaClient
}

/** What a server tells of one model. */
export interface ShownModel {
  /** The spelling of the server. */
  readonly name: string
  readonly digest: string
  /** Nominal, shared layers included. */
  readonly sizeBytes: number
  /** Such as `completion`, `tools`, `vision`, `embedding`, `thinking`, `insert`. */
  readonly capabilities: readonly string[]
  readonly family: string | null
  readonly parameterSize: string | null
  readonly quantization: string | null
  /** By name; one that is given several times is a list. */
  readonly parameters: Readonly<Record<string, string | number | boolean | readonly (string | number | boolean)[]>>
  /** Keys of the GGUF, such as `llama.block_count`; long lists are left out. */
  readonly modelInfo: Readonly<Record<string, unknown>>
}

/** What was applied. */
export interface ProbeTarget {
  readonly address: string
  /** The declared models that are installed now. */
  readonly models: readonly ProbedModel[]
}

export interface ProbedModel {
  readonly reference: string
  readonly digest: string
  /** This apply brought or built it. */
  readonly changed: boolean
  /** It runs elsewhere: trying it may cost money. */
  readonly cloud: boolean
}

/** What a plugin tells of a model. What it does not know it leaves out. */
export interface PluginModelDetails {
  readonly sizeBytes?: number | undefined
  readonly capabilities?: readonly string[] | undefined
  /** In tokens. */
  readonly contextLength?: number | undefined
  readonly license?: string | undefined
  readonly parameters?: Readonly<Record<string, unknown>> | undefined
}

const brand: unique symbol = Symbol.for('ollama-config.plugin')

/** A plugin with its config, for `plugins` in `ollama.config.ts`. Made by a {@link PluginFactory}; checked when it is used. */
export interface Plugin {
  readonly spec: PluginSpec
  readonly config: unknown
  readonly [brand]: true
}

/** Takes the plugin's config; without a schema, nothing. */
export interface PluginFactory<Input = unknown> {
  (...config: ConfigArguments<Input>): Plugin
  readonly spec: PluginSpec
}

/** What a factory is called with: nothing where there is no config, and where every part of it may be left out, as one likes. */
export type ConfigArguments<Input> = [Input] extends [undefined]
  ? []
  : undefined extends Input
    ? [config?: Input]
    : Record<never, never> extends Input
      ? [config?: Input]
      : [config: Input]

/** A factory, whatever config its plugin takes. */
export interface AnyPluginFactory {
  (...config: never): Plugin
  readonly spec: PluginSpec
}

/**
 * Makes a plugin of its description. Nothing is checked before the plugin is used.
 *
 * @example
 * export default definePlugin({
 *   apiVersion: 1,
 *   name: 'only-small',
 *   review: (_config, plan) => [],
 * })
 */
export function definePlugin<Input = undefined, Output = Input>(spec: PluginSpec<Input, Output>): PluginFactory<Input> {
  // The hooks are called with what their own schema made of the config.
  const plain = spec as PluginSpec
  const make = (config?: unknown): Plugin => ({ spec: plain, config, [brand]: true })
  return Object.assign(make, { spec: plain })
}

/** True for what a factory returns, also one of another copy of this package. */
export function isPlugin(value: unknown): value is Plugin {
  return typeof value === 'object' && value !== null && brand in value
}

/** True for what {@link definePlugin} returns, also of another copy of this package. */
export function isPluginFactory(value: unknown): value is AnyPluginFactory {
  return typeof value === 'function' && 'spec' in value && typeof value.spec === 'object' && value.spec !== null
}
