/** The model manager: which plugin speaks for a model, for programs that load models by name. Asks no host. */
import { matchesPattern, type Pattern, parsePattern } from '../artifact/pattern.ts'
import { formatReference, parseReference, type Reference, referenceKey } from '../artifact/reference.ts'
import { printable, quoted } from '../artifact/text.ts'
import { type Diagnostic, OllamaConfigError } from '../errors.ts'
import { type AnyPluginFactory, isPlugin, type Plugin, type PluginModelDetails, type PluginSpec } from '../plugin.ts'
import { suggest } from '../suggest.ts'
import { checkConfig } from './check.ts'
import { type HookOptions, runHook } from './hooks.ts'
import { readModelDetails } from './results.ts'
import { type ContextBase, contextFor } from './run.ts'

/** What plugins tell of a model that they name. What is not known is left out. */
export interface AvailableModel extends PluginModelDetails {
  /** Name of the plugin that speaks for it. */
  readonly plugin: string
  /** Why there are no details: the plugin's hook failed. */
  readonly problem?: Diagnostic
}

/** A model and the plugin that speaks for it. */
export interface ManagedModel {
  readonly plugin: PluginSpec
  /** The shortest spelling, with tag. */
  readonly reference: string
  /** What the plugin's schema made of the config. */
  readonly config: unknown
  /**
   * Asks the plugin.
   *
   * @throws {OllamaConfigError} `plugin-failed`, `plugin-timeout`
   */
  details(): Promise<PluginModelDetails>
}

/** Plugins that passed the check, with the place where each was given. */
export interface GivenPlugin {
  readonly plugin: Plugin | AnyPluginFactory
  readonly path: string
}

interface Entry extends GivenPlugin {
  readonly spec: PluginSpec
  readonly references: readonly Reference[]
  readonly patterns: readonly Pattern[]
}

export class ModelManager {
  /** What of `discover` could not be used; it does not hide the others. */
  readonly problems: readonly Diagnostic[]
  readonly #entries: readonly Entry[]
  readonly #byReference = new Map<string, Entry>()
  readonly #context: ContextBase
  readonly #options: HookOptions

  constructor(
    plugins: readonly GivenPlugin[],
    problems: readonly Diagnostic[],
    context: ContextBase,
    options: HookOptions,
  ) {
    this.problems = problems
    this.#context = context
    this.#options = options
    // Without models a plugin speaks for none.
    this.#entries = plugins.map(entryOf)
    for (const entry of this.#entries) {
      for (const reference of entry.references) {
        const key = referenceKey(reference)
        // The first in the list speaks for it.
        if (!this.#byReference.has(key)) this.#byReference.set(key, entry)
      }
    }
  }

  /**
   * The models that plugins name, sorted; what only a pattern covers has no name here. A plugin that fails does not hide the others.
   *
   * @returns by reference, in the shortest spelling with tag
   */
  async availableModels(): Promise<ReadonlyMap<string, AvailableModel>> {
    const named = new Map<string, readonly [string, Entry]>()
    for (const entry of this.#entries) {
      for (const reference of entry.references) {
        const key = referenceKey(reference)
        if (!named.has(key)) named.set(key, [formatReference(reference), entry])
      }
    }
    const models = new Map<string, AvailableModel>()
    for (const [reference, entry] of [...named.values()].sort(([a], [b]) => (a < b ? -1 : 1))) {
      const outcome = await this.#askDetails(entry, reference)
      const told = 'problem' in outcome ? { problem: outcome.problem } : outcome.value
      models.set(reference, { plugin: entry.spec.name, ...told })
    }
    return models
  }

  /**
   * Finds the plugin that speaks for a model and has it check the config. One that names the model goes before one whose pattern
   * covers it; of several the first in the list.
   *
   * @param config Default: what the plugin was given where it was listed, else `{}`.
   * @throws {OllamaConfigError} `invalid-reference`; `no-plugin-for-model`; `invalid-plugin-config`, whose `details.issues` has
   * every problem with its path; `plugin-failed`, `plugin-timeout`
   */
  async loadModel(name: string, config?: unknown): Promise<ManagedModel> {
    const parsed = parseReference(name)
    const entry =
      this.#byReference.get(referenceKey(parsed)) ??
      this.#entries.find(({ patterns }) => patterns.some((pattern) => matchesPattern(pattern, parsed)))
    if (entry === undefined) throw this.#noPlugin(name)
    const { spec, plugin } = entry
    const given = config ?? (isPlugin(plugin) ? plugin.config : undefined)
    // Where there is no schema, an empty config is none.
    const isEmpty =
      spec.configSchema === undefined && typeof given === 'object' && given !== null && Object.keys(given).length === 0
    const checked = await checkConfig(spec, isEmpty ? undefined : given, 'config', this.#options)
    if ('problems' in checked) throw invalidConfig(spec, checked.problems)
    const reference = formatReference(parsed)
    return {
      plugin: spec,
      reference,
      config: checked.value,
      details: async () => {
        const outcome = await this.#askDetails(entry, reference)
        if ('value' in outcome) return outcome.value
        throw failureOf(outcome.problem)
      },
    }
  }

  async #askDetails({ spec, path }: Entry, reference: string) {
    const { name, timeoutMs } = spec
    return runHook<PluginModelDetails>(
      { name, path },
      {
        what: 'its details hook',
        // A function is asked with a config, and this hook has none.
        timeoutMs: typeof timeoutMs === 'number' ? timeoutMs : undefined,
        call: (signal) =>
          spec.details?.(reference, contextFor({ name }, this.#context, signal, this.#options.logger)) ?? {},
        read: readModelDetails,
      },
      this.#options,
    )
  }

  #noPlugin(name: string): OllamaConfigError {
    const known = this.#entries.flatMap(({ spec }) => spec.models ?? []).map((text) => printable(text))
    const near = closest(name, known)
    const hint =
      known.length === 0
        ? 'no plugin of the manager has "models"'
        : `${near.length === 0 ? 'there are plugins for' : 'the closest are'} ${(near.length === 0 ? known.slice(0, 5) : near).join(', ')}`
    return new OllamaConfigError('no-plugin-for-model', `No plugin speaks for ${quoted(name)}`, {
      hint,
      details: { closest: near, known },
    })
  }
}

function entryOf({ plugin, path }: GivenPlugin): Entry {
  const { spec } = plugin
  const texts = (spec.models ?? []).map((text) => text.trim())
  const named = texts.filter((text) => !text.includes('*'))
  const hasTag = (text: string) => text.lastIndexOf(':') > text.lastIndexOf('/')
  // A name without a tag is `:latest`, and as a pattern every other tag.
  const patterns = texts.filter((text) => text.includes('*') || !hasTag(text)).map(parsePattern)
  return { plugin, path, spec, references: named.map(parseReference), patterns }
}

/** At most three, the nearest first. */
function closest(name: string, known: readonly string[]): readonly string[] {
  const left = [...new Set(known)]
  const found: string[] = []
  const next = () => suggest(name, left) ?? left.find((text) => text.split(':')[0] === name.split(':')[0])
  for (let near = next(); near !== undefined && found.length < 3; near = next()) {
    found.push(near)
    left.splice(left.indexOf(near), 1)
  }
  return found
}

function invalidConfig({ name }: PluginSpec, problems: readonly Diagnostic[]): OllamaConfigError {
  const [first] = problems
  // Its schema threw, or took for ever: that is not the fault of the config.
  if (first !== undefined && first.code !== 'invalid-plugin-config') return failureOf(first)
  const texts = problems.map(({ message }) => message)
  const issues = problems.map(({ path = '', message }) => ({ path, message }))
  return new OllamaConfigError(
    'invalid-plugin-config',
    `The config for ${quoted(name)} is not valid: ${texts.join('; ')}`,
    {
      hint: 'mend the config',
      details: { plugin: name, issues },
    },
  )
}

function failureOf({ code, message, hint }: Diagnostic): OllamaConfigError {
  return new OllamaConfigError(code === 'plugin-timeout' ? code : 'plugin-failed', message, { hint })
}
