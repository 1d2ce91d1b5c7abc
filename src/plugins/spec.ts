/** The description of a plugin, checked against the contract. */
import { parsePattern } from '../artifact/pattern.ts'
import { parseReference } from '../artifact/reference.ts'
import { printable, quoted } from '../artifact/text.ts'
import { describe } from '../config/describe.ts'
import { type Diagnostic, isOllamaConfigError } from '../errors.ts'
import { type PluginSpec, pluginApiVersion } from '../plugin.ts'
import { suggest } from '../suggest.ts'

/** In the order of the contract. */
export const hookNames = ['details', 'declare', 'review', 'probe'] as const satisfies readonly (keyof PluginSpec)[]

export type HookName = (typeof hookNames)[number]

const knownKeys: readonly string[] = ['apiVersion', 'name', 'models', 'configSchema', 'timeoutMs', ...hookNames]

/** What the plugin does, in the order of the contract. */
export function hooksOf(spec: PluginSpec): readonly HookName[] {
  return hookNames.filter((hook) => spec[hook] !== undefined)
}

/** How a plugin is called as long as it is not known whether its name is one: `plugins[0] (persona)`. */
export function placeOf(spec: object, path: string): string {
  const name = 'name' in spec && typeof spec.name === 'string' ? printable(spec.name, 80) : ''
  return name === '' ? path : `${path} (${name})`
}

/** All that is wrong with it; none means that it can be used. Codes: `invalid-plugin`. */
export function specProblems(spec: PluginSpec, path: string): readonly Diagnostic[] {
  const found: Diagnostic[] = []
  // As of an import that was misspelled, in JavaScript.
  if (typeof spec !== 'object' || spec === null) {
    const message = `${path} has no description: found ${describe(spec)}`
    const hint = 'give definePlugin an object with apiVersion and name'
    return [{ severity: 'error', code: 'invalid-plugin', path, message, hint }]
  }
  const place = placeOf(spec, path)
  const report = (text: string, hint?: string) =>
    void found.push({
      severity: 'error',
      code: 'invalid-plugin',
      path,
      message: `${place} ${text}`,
      ...(hint === undefined ? {} : { hint }),
    })
  // Nothing of a plugin is as its type says before it was looked at.
  const { apiVersion, name, models, configSchema, timeoutMs, ...rest }: Readonly<Record<string, unknown>> = { ...spec }
  checkApiVersion(apiVersion, report)
  // Another version may well have other keys.
  if (found.length > 0) return found
  if (typeof name !== 'string' || !/^[A-Za-z0-9][\w.-]{0,79}$/.test(name)) {
    report(
      `must have a name of letters, digits, "-", "_" and ".": found ${describe(name)}`,
      'give it one, as in name: "smoke-test"',
    )
  }
  checkModels(models, report)
  if (configSchema !== undefined && !isStandardSchema(configSchema)) {
    report(
      'has a configSchema that is no Standard Schema',
      'valibot, zod and arktype make one; see https://standardschema.dev',
    )
  }
  if (timeoutMs !== undefined && typeof timeoutMs !== 'function' && !isTimeout(timeoutMs))
    report(
      `has a timeoutMs that is no time: found ${describe(timeoutMs)}`,
      'write a number of milliseconds, such as 120_000',
    )
  for (const hook of hookNames) {
    const value = rest[hook]
    if (value !== undefined && typeof value !== 'function')
      report(`has a ${hook} that is no function: found ${describe(value)}`)
  }
  for (const key of Object.keys(spec)) {
    if (knownKeys.includes(key)) continue
    const near = suggest(key, knownKeys)
    const hint = near === undefined ? `known are ${knownKeys.join(', ')}` : `did you mean "${near}"?`
    report(`has a key or hook that is not known: ${quoted(key)}`, hint)
  }
  return found
}

/** Milliseconds, at least one. */
export function isTimeout(value: unknown): value is number {
  return typeof value === 'number' && value >= 1
}

type Report = (text: string, hint?: string) => void

function checkApiVersion(apiVersion: unknown, report: Report): void {
  if (apiVersion === pluginApiVersion) return
  if (apiVersion === undefined) {
    report('has no apiVersion', `write apiVersion: ${pluginApiVersion}, the version of the contract that it keeps to`)
    return
  }
  const newer = typeof apiVersion === 'number' && apiVersion > pluginApiVersion
  report(
    `has apiVersion ${describe(apiVersion)}, and this version of ollama-config knows ${pluginApiVersion}`,
    newer ? 'update ollama-config, or take an older version of the plugin' : 'take a newer version of the plugin',
  )
}

function checkModels(models: unknown, report: Report): void {
  if (models === undefined) return
  if (!Array.isArray(models)) {
    report(`has models that are no list: found ${describe(models)}`)
    return
  }
  models.forEach((text: unknown, index) => {
    if (typeof text !== 'string') {
      report(`has models[${index}] that is no text: found ${describe(text)}`)
      return
    }
    try {
      parsePattern(text)
      if (!text.includes('*')) parseReference(text)
    } catch (error) {
      if (!isOllamaConfigError(error)) throw error
      report(`has models[${index}] that is no name and no pattern: ${error.message}`, error.hint)
    }
  })
}

/** The schemas of arktype are functions. */
function isStandardSchema(value: unknown): boolean {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return false
  const standard: unknown = Reflect.get(value, '~standard')
  return (
    typeof standard === 'object' &&
    standard !== null &&
    'version' in standard &&
    standard.version === 1 &&
    'validate' in standard &&
    typeof standard.validate === 'function'
  )
}
