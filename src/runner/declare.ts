/** What a config's plugins are and declare. Imported only where there are plugins. */
import type { Declared } from '../config/resolve.ts'
import type { Diagnostic } from '../errors.ts'
import { type CheckedPlugin, checkPlugins } from '../plugins/check.ts'
import { readDeclarations } from '../plugins/results.ts'
import { type ContextBase, type HookRun, runHooks } from '../plugins/run.ts'
import { placeOf } from '../plugins/spec.ts'
import { hostFacts } from './host-facts.ts'
import type { ResolveKnownOptions } from './known.ts'
import { selectPlace } from './place.ts'

export interface PreparedPlugins {
  readonly plugins: readonly CheckedPlugin[]
  readonly declared: readonly Declared[]
  /** All of them errors: what would be declared is not known then, and what is not declared may be deleted. */
  readonly problems: readonly Diagnostic[]
}

/**
 * Checks the plugins of a config and, when all are fine, asks each what it declares.
 *
 * @param config as it was exported: nothing of it has been checked
 * @throws `options.signal.reason`
 */
export async function preparePlugins(
  given: readonly unknown[],
  config: unknown,
  options: ResolveKnownOptions,
): Promise<PreparedPlugins> {
  const { plugins, problems } = await checkPlugins(given, options)
  if (problems.length > 0) return { plugins, declared: [], problems }
  return { plugins, ...(await declareAll(plugins, contextOf(config, options), options)) }
}

async function declareAll(
  plugins: readonly CheckedPlugin[],
  context: ContextBase,
  options: ResolveKnownOptions,
): Promise<Omit<PreparedPlugins, 'plugins'>> {
  const declared: Declared[] = []
  const problems: Diagnostic[] = []
  const run: HookRun<readonly object[]> = {
    hook: 'declare',
    context,
    call: ({ spec, config }, ctx) => spec.declare?.(config, ctx),
    read: readDeclarations,
  }
  for await (const { plugin, outcome } of runHooks(plugins, run, options)) {
    if ('problem' in outcome) problems.push(outcome.problem)
    else for (const declaration of outcome.value) declared.push({ declaration, path: placeOf(plugin, plugin.path) })
  }
  return { declared, problems }
}

function contextOf(config: unknown, options: ResolveKnownOptions): ContextBase {
  const written = typeof config === 'object' && config !== null && 'host' in config ? config.host : undefined
  return {
    cwd: options.folder,
    // Looked up when a hook asks: an OLLAMA_HOST that is wrong is told where the host is needed.
    get host() {
      return hostFacts(selectPlace(options, typeof written === 'string' ? written : undefined).place, null)
    },
  }
}
