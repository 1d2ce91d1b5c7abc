/** Errors and diagnostics as text: what is wrong, where, and the next thing to try. */
import { ConfigError, type Diagnostic, isOllamaConfigError, toErrorData } from '../../errors.ts'
import type { Style } from './style.ts'

/** For stderr; ends with a newline. */
export function formatError(
  error: unknown,
  { style, debug }: { readonly style: Style; readonly debug: boolean },
): string {
  const { message, hint } = toErrorData(error)
  const lines = [`${style.red('Error:')} ${message}`]
  const frame = isOllamaConfigError(error) ? error.details?.['frame'] : undefined
  if (typeof frame === 'string') lines.push('', frame, '')
  if (error instanceof ConfigError)
    lines.push(...error.diagnostics.map((diagnostic) => formatDiagnostic(diagnostic, style)))
  if (hint !== undefined) lines.push(`${style.cyan('Next:')} ${hint}`)
  if (debug) lines.push('', stackOf(error))
  return `${lines.join('\n')}\n`
}

export function formatDiagnostic({ severity, message, hint }: Diagnostic, style: Style): string {
  const sign = severity === 'error' ? style.red('x') : style.yellow('!')
  return hint === undefined ? `  ${sign} ${message}` : `  ${sign} ${message}\n    ${style.dim(hint)}`
}

function stackOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const stack = error.stack ?? String(error)
  return error.cause === undefined ? stack : `${stack}\nCaused by: ${stackOf(error.cause)}`
}
