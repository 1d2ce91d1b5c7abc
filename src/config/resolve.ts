/** Config → desired state: names become references, patterns are parsed, and two declarations of one model are refused. */
import { type Pattern, parsePattern } from '../artifact/pattern.ts'
import { parseReference, referenceKey } from '../artifact/reference.ts'
import { quoted } from '../artifact/text.ts'
import { ConfigError, type Diagnostic, isOllamaConfigError } from '../errors.ts'
import type { DesiredModel, DesiredState } from '../plan/state.ts'
import type { Config } from './config.ts'
import { checkShape } from './schema.ts'

export interface ResolvedConfig {
  readonly config: Config
  readonly desired: DesiredState
}

/**
 * Checks a config as the user exported it and resolves it.
 *
 * @param origin What to call it in the error: its file, or "the config".
 * @throws {ConfigError} with every problem, not only the first
 */
export function resolveConfig(input: unknown, origin = 'the config'): ResolvedConfig {
  const { config, problems } = checkShape(input)
  const diagnostics = [...problems]
  // Also in a config of the wrong shape the names are checked, so that every problem is told at once.
  const written = config === undefined ? looseConfig(input) : { models: config.models, keep: config.keep ?? [] }
  const models = resolveModels(written.models, diagnostics)
  const keep = resolvePatterns(written.keep, diagnostics)
  if (config === undefined || diagnostics.length > 0) {
    const count = diagnostics.length === 1 ? '1 problem' : `${diagnostics.length} problems`
    throw new ConfigError(`Found ${count} in ${origin}`, diagnostics, {
      hint: 'mend the config and run the command again',
    })
  }
  return { config, desired: { models, keep, prune: config.prune ?? 'undeclared' } }
}

function resolveModels(list: readonly unknown[], diagnostics: Diagnostic[]): readonly DesiredModel[] {
  const models = new Map<string, DesiredModel & { readonly written: string }>()
  list.forEach((item, index) => {
    const isText = typeof item === 'string'
    const name = isText ? item : property(item, 'name')
    if (typeof name !== 'string') return
    const path = isText ? `models[${index}]` : `models[${index}].name`
    const parsed = attempt(() => parseReference(name), path, diagnostics)
    if (parsed === undefined) return
    const { scheme, ...reference } = parsed
    const declaredInsecure = property(item, 'insecure') === true
    if (scheme === 'https' && declaredInsecure) {
      diagnostics.push({
        severity: 'error',
        code: 'contradiction',
        path: `models[${index}].insecure`,
        message: `models[${index}] says https in its name and insecure: true, which means plain http`,
        hint: 'drop one of the two',
      })
    }
    const key = referenceKey(reference)
    const earlier = models.get(key)
    if (earlier !== undefined) {
      diagnostics.push({
        severity: 'error',
        code: 'duplicate-model',
        path,
        message: `${path} declares ${quoted(name)}, which is the same model as ${quoted(earlier.written)} in ${earlier.path}`,
        hint: 'drop one of the two',
      })
      return
    }
    // The server drops the scheme of a name, so `http://…` has to become the flag that it does read.
    models.set(key, { reference, path, insecure: declaredInsecure || scheme === 'http', written: name })
  })
  return [...models.values()].map(({ reference, path, insecure }) => ({ reference, path, insecure }))
}

function resolvePatterns(list: readonly unknown[], diagnostics: Diagnostic[]): readonly Pattern[] {
  return list.flatMap((text, index) => {
    const pattern =
      typeof text === 'string' ? attempt(() => parsePattern(text), `keep[${index}]`, diagnostics) : undefined
    return pattern === undefined ? [] : [pattern]
  })
}

function attempt<T>(parse: () => T, path: string, diagnostics: Diagnostic[]): T | undefined {
  try {
    return parse()
  } catch (error) {
    if (!isOllamaConfigError(error)) throw error
    const { code, message, hint } = error
    diagnostics.push({
      severity: 'error',
      code,
      path,
      message: `${path}: ${message}`,
      ...(hint === undefined ? {} : { hint }),
    })
    return undefined
  }
}

function looseConfig(input: unknown): { readonly models: readonly unknown[]; readonly keep: readonly unknown[] } {
  const models = property(input, 'models')
  const keep = property(input, 'keep')
  return { models: Array.isArray(models) ? models : [], keep: Array.isArray(keep) ? keep : [] }
}

function property(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, key) ? Reflect.get(value, key) : undefined
}
