/** Config → desired state: names become references, patterns are parsed, models know what they start from. */
import { type Pattern, parsePattern } from '../artifact/pattern.ts'
import { parseReference, referenceKey } from '../artifact/reference.ts'
import { counted, quoted } from '../artifact/text.ts'
import { ConfigError, type Diagnostic, isOllamaConfigError } from '../errors.ts'
import type { DesiredState, KeepAlive } from '../plan/state.ts'
import type { Config } from './config.ts'
import { makingOf } from './declaration.ts'
import { connectModels, type WrittenModel } from './graph.ts'
import { asRead, itemsAt, problemOf, property } from './loose.ts'
import type { DeclarationContext, Making } from './origin.ts'
import { checkParameters } from './parameters.ts'
import { checkShape } from './schema.ts'

export interface ResolvedConfig {
  readonly config: Config
  readonly desired: DesiredState
}

export interface ResolveOptions {
  /** What to call the config in an error. Default: `the config`. */
  readonly origin?: string | undefined
  /** Relative paths in declarations start from here. Default: the working directory. */
  readonly folder?: string | undefined
  /** Declared by plugins, after those of the config. */
  readonly declared?: readonly Declared[] | undefined
  /** Found elsewhere, such as in plugins: told along with those of the config. */
  readonly problems?: readonly Diagnostic[] | undefined
}

export interface Declared {
  readonly declaration: unknown
  /** Where it comes from, for messages: `models[2]`, `plugins[0] (persona)`. */
  readonly path: string
}

/**
 * Checks a config as the user exported it and resolves it. Looks whether the files that it names are there.
 *
 * @throws {ConfigError} with every problem, not only the first
 */
export function resolveConfig(input: unknown, options: ResolveOptions = {}): ResolvedConfig {
  const { origin = 'the config', folder = '', declared = [] } = options
  const { config, problems } = checkShape(input)
  const diagnostics = [...problems, ...(options.problems ?? []), ...shapeProblems(declared)]
  // Also in a config of the wrong shape the rest is checked, so that every problem is told at once.
  const written = config ?? input
  const list = itemsAt(written, 'models').map((declaration, index) => ({ declaration, path: `models[${index}]` }))
  const report = (problem: Diagnostic) => void diagnostics.push(problem)
  const defaults = checkParameters(asRead(property(property(written, 'defaults'), 'parameters')), {
    path: 'defaults.parameters',
    allowUnknown: undefined,
    report,
  })
  const models = connectModels(readModels([...list, ...declared], { report, defaults, folder }), report)
  const keep = resolvePatterns(itemsAt(written, 'keep'), diagnostics)
  const errors = diagnostics.filter(({ severity }) => severity === 'error')
  if (config === undefined || errors.length > 0) {
    const count = counted(errors.length, 'problem')
    throw new ConfigError(`Found ${count} in ${origin}`, errors, {
      hint: 'mend the config and run the command again',
    })
  }
  const prune = config.prune ?? 'undeclared'
  const keepAlive = keepAliveOf(config.defaults)
  return { config, desired: { models, keep, prune, ...keepAlive, warnings: diagnostics } }
}

/** Plugins may declare anything; told where it comes from. */
function shapeProblems(declared: readonly Declared[]): readonly Diagnostic[] {
  if (declared.length === 0) return []
  const { problems } = checkShape({ models: declared.map(({ declaration }) => declaration) })
  return problems.map((problem) => {
    const [place = '', index] = /^models\[(\d+)\]/.exec(problem.path ?? '') ?? []
    const path = declared[Number(index)]?.path ?? ''
    const moved = (text: string) => text.replace(place, path)
    return { ...problem, path: moved(problem.path ?? ''), message: moved(problem.message) }
  })
}

type ReadContext = Pick<DeclarationContext, 'report' | 'defaults' | 'folder'>

function readModels(list: readonly Declared[], context: ReadContext): ReadonlyMap<string, WrittenModel> {
  const models = new Map<string, WrittenModel>()
  for (const { declaration, path: place } of list) {
    const isText = typeof declaration === 'string'
    const name = isText ? declaration : property(declaration, 'name')
    const { recipe, source }: Making =
      typeof declaration === 'object' && declaration !== null ? makingOf(declaration, { ...context, path: place }) : {}
    if (typeof name !== 'string') continue
    const path = isText ? place : `${place}.name`
    const parsed = attempt(() => parseReference(name), path, context.report)
    if (parsed === undefined) continue
    const { scheme, ...reference } = parsed
    const declaredInsecure = property(declaration, 'insecure') === true
    const problem = (code: string, at: string, message: string, hint: string) =>
      context.report({ severity: 'error', code, path: at, message, hint })
    if (scheme === 'https' && declaredInsecure) {
      const message = `${place} says https in its name and insecure: true, which means plain http`
      problem('contradiction', `${place}.insecure`, message, 'drop one of the two')
    }
    if (recipe !== undefined && (scheme !== undefined || reference.cloud)) {
      const what = reference.cloud ? 'the name of a cloud model' : 'a name with a scheme'
      problem(
        'wrong-value',
        path,
        `${path} is ${what}, which cannot be made here: ${quoted(name)}`,
        'choose another name',
      )
    }
    const key = referenceKey(reference)
    const earlier = models.get(key)
    if (earlier !== undefined) {
      const message = `${path} declares ${quoted(name)}, which is the same model as ${quoted(earlier.written)} in ${earlier.model.path}`
      problem('duplicate-model', path, message, 'drop one of the two')
      continue
    }
    // The server drops the scheme of a name, so `http://…` has to become the flag that it does read.
    const insecure = recipe === undefined && (declaredInsecure || scheme === 'http')
    const model = {
      reference,
      path,
      insecure,
      ...keepAliveOf(declaration),
      ...(recipe === undefined ? {} : { recipe }),
    }
    models.set(key, { key, written: name, model, source })
  }
  return models
}

/** Of a declaration, or of the defaults. Of what is wrong there the schema tells. */
function keepAliveOf(fields: unknown): { readonly keepAlive?: KeepAlive } {
  const keepAlive = property(fields, 'keepAlive')
  return typeof keepAlive === 'string' || typeof keepAlive === 'number' ? { keepAlive } : {}
}

function resolvePatterns(list: readonly unknown[], diagnostics: Diagnostic[]): readonly Pattern[] {
  return list.flatMap((text, index) => {
    const pattern =
      typeof text === 'string'
        ? attempt(
            () => parsePattern(text),
            `keep[${index}]`,
            (problem) => diagnostics.push(problem),
          )
        : undefined
    return pattern === undefined ? [] : [pattern]
  })
}

function attempt<T>(parse: () => T, path: string, report: (problem: Diagnostic) => void): T | undefined {
  try {
    return parse()
  } catch (error) {
    if (!isOllamaConfigError(error)) throw error
    report(problemOf(error, path))
    return undefined
  }
}
