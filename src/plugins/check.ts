/** Plugins as they were given → plugins that can be run, with their config as their own schema made it; or every problem. */
import { printable } from '../artifact/text.ts'
import { formatPath } from '../config/key-path.ts'
import type { Diagnostic } from '../errors.ts'
import { isPlugin, type PluginSpec, type SchemaResult } from '../plugin.ts'
import { listAt, textAt, wrong as wrongShape } from '../shape.ts'
import { type HookOptions, runHook } from './hooks.ts'
import { specProblems } from './spec.ts'

/** A plugin that keeps to the contract. */
export interface CheckedPlugin {
  readonly name: string
  readonly spec: PluginSpec
  /** What its schema made of it. */
  readonly config: unknown
  /** Where it was given, such as `plugins[0]`. */
  readonly path: string
}

export interface CheckResult {
  /** In the order in which they were given. */
  readonly plugins: readonly CheckedPlugin[]
  readonly problems: readonly Diagnostic[]
}

/**
 * Checks the value of `plugins` in a config. What is no plugin is left out: the schema of the config tells of it.
 *
 * @throws `options.signal.reason`
 */
export async function checkPlugins(values: readonly unknown[], options: HookOptions): Promise<CheckResult> {
  const plugins: CheckedPlugin[] = []
  const problems: Diagnostic[] = []
  const places = new Map<string, string>()
  for (const [index, value] of values.entries()) {
    if (!isPlugin(value)) continue
    const path = `plugins[${index}]`
    const { spec, config } = value
    const wrong = specProblems(spec, path)
    problems.push(...(wrong.length > 0 ? wrong : duplicateProblems(spec, path, places)))
    if (wrong.length > 0) continue
    const checked = await checkConfig(spec, config, path, options)
    if ('problems' in checked) problems.push(...checked.problems)
    else plugins.push({ name: spec.name, spec, config: checked.value, path })
  }
  return { plugins, problems }
}

/** Of plugins whose description is fine. Notes the name, and tells when another place has it already. */
export function duplicateProblems({ name }: PluginSpec, path: string, places: Map<string, string>): Diagnostic[] {
  const earlier = places.get(name)
  if (earlier === undefined) {
    places.set(name, path)
    return []
  }
  const message = `${path} is called "${printable(String(name), 80)}", as ${earlier} is: the name of a plugin has to be its own`
  return [
    {
      severity: 'error',
      code: 'duplicate-plugin',
      path,
      message,
      hint: 'leave one of the two out, or give one of them both configs where it takes a list',
    },
  ]
}

export type ConfigResult = { readonly value: unknown } | { readonly problems: readonly Diagnostic[] }

/**
 * Has the plugin's own schema check its config.
 *
 * @param config `undefined`: none was given
 * @throws `options.signal.reason`
 */
export async function checkConfig(
  spec: PluginSpec,
  config: unknown,
  path: string,
  options: HookOptions,
): Promise<ConfigResult> {
  const { name, configSchema } = spec
  if (configSchema === undefined) {
    if (config === undefined) return { value: undefined }
    return { problems: [configProblem(`${path}: ${name} takes no config`, path)] }
  }
  const validate = async (value: unknown) =>
    runHook(
      { name, path },
      { what: 'its configSchema', call: () => configSchema['~standard'].validate(value), read: readSchemaResult },
      options,
    )
  let outcome = await validate(config)
  // A factory may be called with nothing also where every part of the config may be left out.
  if (config === undefined && 'value' in outcome && outcome.value.issues !== undefined) outcome = await validate({})
  if ('problem' in outcome) return { problems: [outcome.problem] }
  const { value: result } = outcome
  if (result.issues === undefined) return { value: result.value }
  return {
    problems: result.issues.map(({ message, path: keys = [] }) => {
      const at = formatPath(keys.map(keyOf), path)
      return configProblem(`${at}: ${printable(message)} (config of ${name})`, at)
    }),
  }
}

function configProblem(message: string, path: string): Diagnostic {
  return { severity: 'error', code: 'invalid-plugin-config', message, path }
}

function readSchemaResult(value: unknown): SchemaResult<unknown> {
  // That of arktype is a list with fields.
  if (typeof value !== 'object' || value === null) throw wrongShape('the result', 'an object')
  const issues: unknown = Reflect.get(value, 'issues')
  if (issues === undefined) return { value: Reflect.get(value, 'value') }
  const read = listAt(issues, 'the result.issues', (issue, place) => {
    if (typeof issue !== 'object' || issue === null) throw wrongShape(place, 'an object')
    const { message, path }: { readonly message?: unknown; readonly path?: unknown } = issue
    const keys = path === undefined ? [] : listAt(path, `${place}.path`, keyOf)
    return { message: textAt(message, `${place}.message`), path: keys }
  })
  // Neither right nor wrong: the plugin would be left out, and nobody told.
  if (read.length === 0) throw wrongShape('the result.issues', 'absent, or a list of at least one problem')
  return { issues: read }
}

/** Schemas give a key as it is, or as an object that holds it. */
function keyOf(item: unknown): PropertyKey {
  const key: unknown = typeof item === 'object' && item !== null && 'key' in item ? item.key : item
  return typeof key === 'number' || typeof key === 'symbol' ? key : String(key)
}
