/** `createModelManager` and `listPlugins`: the plugins of a config, and those that are found in a folder. */
import { dirname, resolve } from 'node:path'
import { type Diagnostic, OllamaConfigError } from '../errors.ts'
import { type AnyPluginFactory, isPlugin, isPluginFactory, type Plugin } from '../plugin.ts'
import type { GivenPlugin, ModelManager } from '../plugins/manager.ts'
import type { HookName } from '../plugins/spec.ts'
import type { ConnectOptions, LoadedConfig } from './connection.ts'
import { assertGiven } from './given.ts'
import { hostFacts } from './host-facts.ts'
import { selectPlace } from './place.ts'

interface CommonManagerOptions extends Omit<ConnectOptions, 'registryUrl'> {
  /** What plugins are told of as the folder of the config, and what `discover` is relative to. Default: the working directory. */
  readonly cwd?: string | undefined
}

/** Plugins, as they are or their factories; or the folder that they are found in. */
export type ModelManagerOptions = CommonManagerOptions &
  (
    | { readonly plugins: readonly (Plugin | AnyPluginFactory)[]; readonly discover?: undefined }
    | { readonly discover: string; readonly plugins?: undefined }
  )

/**
 * Makes a model manager of plugins. Of a folder, files that are no plugin are told in its `problems`.
 *
 * @throws {OllamaConfigError} `usage` without plugins; `invalid-plugin` for a plugin that does not keep to the contract or a name that two have, with all
 * `details.diagnostics`; for a folder that cannot be searched
 */
export async function createModelManager(options: ModelManagerOptions): Promise<ModelManager> {
  const wanted = `plugins: [team], or their folder as discover: './plugins'`
  assertGiven(options, 'list of plugins', wanted, options?.discover === undefined ? 'plugins' : undefined)
  const cwd = resolve(options.cwd ?? process.cwd())
  const { ModelManager } = await import('../plugins/manager.ts')
  const { given, problems } =
    options.plugins === undefined
      ? await discovered(options.discover, { ...options, cwd })
      : await checked(options.plugins)
  const unusable = problems.filter(({ path }) => path === 'discover')
  if (unusable.length > 0) throw invalid(unusable)
  const context = {
    cwd,
    get host() {
      return hostFacts(selectPlace(options, undefined).place, null)
    },
  }
  return new ModelManager(given, problems, context, options)
}

interface Given {
  readonly given: readonly GivenPlugin[]
  readonly problems: readonly Diagnostic[]
}

async function checked(plugins: readonly unknown[]): Promise<Given> {
  const [{ specProblems }, { duplicateProblems }] = await Promise.all([
    import('../plugins/spec.ts'),
    import('../plugins/check.ts'),
  ])
  const places = new Map<string, string>()
  const given: GivenPlugin[] = []
  const problems = plugins.flatMap((plugin, index): readonly Diagnostic[] => {
    const path = `plugins[${index}]`
    if (!isPlugin(plugin) && !isPluginFactory(plugin)) {
      const message = `${path} is no plugin`
      return [{ severity: 'error', code: 'wrong-type', path, message }]
    }
    given.push({ plugin, path })
    const wrong = specProblems(plugin.spec, path)
    return wrong.length > 0 ? wrong : duplicateProblems(plugin.spec, path, places)
  })
  if (problems.length > 0) throw invalid(problems)
  return { given, problems }
}

async function discovered(folder: string, options: ConnectOptions & { readonly cwd: string }): Promise<Given> {
  const [{ discoverPlugins }, { duplicateProblems }] = await Promise.all([
    import('../plugins/discover.ts'),
    import('../plugins/check.ts'),
  ])
  const { found, problems } = await discoverPlugins(folder, options)
  const places = new Map<string, string>()
  const all = [...problems]
  const given = found.filter(({ plugin: { spec }, path }) => {
    const duplicates = duplicateProblems(spec, path, places)
    all.push(...duplicates)
    return duplicates.length === 0
  })
  return { given, problems: all }
}

function invalid(problems: readonly Diagnostic[]): OllamaConfigError {
  const [first] = problems
  return new OllamaConfigError('invalid-plugin', problems.map(({ message }) => message).join('; '), {
    hint: first?.hint,
    details: { diagnostics: problems },
  })
}

export interface PluginList {
  /** Those of the config in its order, then those of the folder by path. */
  readonly plugins: readonly ListedPlugin[]
  /** Files of the folder that are no plugin. */
  readonly diagnostics: readonly Diagnostic[]
}

export interface ListedPlugin {
  readonly name: string
  /** `config`, or the file it was found in, relative to the config's folder. */
  readonly from: string
  /** As it names them. */
  readonly models: readonly string[]
  /** In the order of the contract. */
  readonly hooks: readonly HookName[]
}

/**
 * The plugins that a config lists, and those of its folder `discover`. One that both have counts for the config.
 *
 * @throws `options.signal.reason`
 */
export async function listPlugins(config: LoadedConfig, options: ConnectOptions = {}): Promise<PluginList> {
  assertGiven(config, 'loaded config', 'what loadConfig() returned', 'plugins')
  const { plugins, file } = config
  const { discover } = config.config
  const { hooksOf } = await import('../plugins/spec.ts')
  const listed = (spec: Plugin['spec'], from: string): ListedPlugin => {
    const { name, models = [] } = spec
    return { name, from, models, hooks: hooksOf(spec) }
  }
  const own = plugins.map(({ spec }) => listed(spec, 'config'))
  if (discover === undefined) return { plugins: own, diagnostics: [] }
  const names = new Set(own.map(({ name }) => name))
  const { given, problems } = await discovered(discover, { ...options, cwd: dirname(file) })
  const others = given.filter(({ plugin: { spec } }) => !names.has(spec.name))
  return { plugins: [...own, ...others.map(({ plugin, path }) => listed(plugin.spec, path))], diagnostics: problems }
}
