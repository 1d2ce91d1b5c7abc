/** Parameters as users write them, checked: Ollama's server stores any name and any type, and fails when it loads the model. */
import { type Parameter, type Parameters, parameterKinds, retiredParameters } from '../artifact/parameters.ts'
import type { Diagnostic } from '../errors.ts'
import { suggest } from '../suggest.ts'
import { describe } from './describe.ts'
import { formatPath } from './key-path.ts'

export interface ParameterRules {
  /** Where they are written, such as `models[2].parameters`. */
  readonly path: string
  /** `undefined`: it cannot be said beside them, as in `defaults`. */
  readonly allowUnknown: boolean | undefined
  readonly report: (problem: Diagnostic) => void
}

/** Those that are right; the others are reported. */
export function checkParameters(written: unknown, { path, allowUnknown, report }: ParameterRules): Parameters {
  if (typeof written !== 'object' || written === null || Array.isArray(written)) return {}
  const checked = new Map<string, Parameter>()
  for (const [name, value] of Object.entries(written)) {
    if (value === undefined) continue
    const place = formatPath([name], path)
    const problem = (code: string, message: string, hint?: string) =>
      report({ severity: 'error', code, path: place, message, ...(hint === undefined ? {} : { hint }) })
    const kind = Object.hasOwn(parameterKinds, name) ? parameterKinds[name] : undefined
    if (kind === undefined && allowUnknown !== true) {
      problem('unknown-parameter', unknownText(place, name), unknownHint(name, allowUnknown === undefined))
    } else if (kind === undefined ? isParameter(value) : fits[kind].test(value)) {
      checked.set(name, value)
    } else {
      const wanted = kind === undefined ? 'text, a number, true or false, or a list of these' : fits[kind].wanted
      problem('wrong-type', `${place} must be ${wanted}: found ${describe(value)}`)
    }
  }
  // Keys are anybody's: `__proto__` is one like any other.
  return Object.fromEntries(checked)
}

function unknownText(place: string, name: string): string {
  return retiredParameters.has(name)
    ? `${place} is a parameter that Ollama no longer has`
    : `${place} is no parameter that Ollama knows`
}

function unknownHint(name: string, areDefaults: boolean): string {
  if (retiredParameters.has(name)) return 'drop it: Ollama ignores it'
  const near = suggest(name, Object.keys(parameterKinds))
  if (near !== undefined) return `did you mean "${near}"?`
  return areDefaults
    ? 'check its name, or give it to a model that has allowUnknownParameters: true'
    : 'check its name, or write allowUnknownParameters: true beside "parameters" to pass it on unchecked'
}

interface Fit {
  readonly wanted: string
  readonly test: (value: unknown) => value is Parameter
}

/** What each kind of parameter has to be. */
export const fits: Readonly<Record<'integer' | 'number' | 'boolean' | 'texts', Fit>> = {
  integer: { wanted: 'a whole number', test: (value): value is number => Number.isSafeInteger(value) },
  number: { wanted: 'a number', test: (value): value is number => Number.isFinite(value) },
  boolean: { wanted: 'true or false', test: (value): value is boolean => typeof value === 'boolean' },
  texts: {
    wanted: 'a list of texts',
    test: (value): value is readonly string[] =>
      Array.isArray(value) && value.every((item: unknown) => typeof item === 'string'),
  },
}

function isParameter(value: unknown): value is Parameter {
  return isScalar(value) || (Array.isArray(value) && value.every(isScalar))
}

function isScalar(value: unknown): value is string | number | boolean {
  return typeof value === 'string' || typeof value === 'boolean' || Number.isFinite(value)
}
