/** Errors and diagnostics as text: what is wrong, where, and the next thing to try. */
import { printable, visible } from '../../artifact/text.ts'
import { type Diagnostic, type ErrorCode, isConfigError, isOllamaConfigError, toErrorData } from '../../errors.ts'
import type { Paint, Style } from './style.ts'
import { fold, wrap } from './text.ts'

/** These say all there is to say by themselves. */
const plainCodes: readonly ErrorCode[] = ['usage', 'interrupted', 'internal']

/**
 * Where more is told of an error; `undefined` where nothing is.
 *
 * @param program How the command is called here
 */
export function moreText(code: ErrorCode, program: string): string | undefined {
  return plainCodes.includes(code) ? undefined : `More: ${program} help ${code}`
}

export interface ErrorViewOptions {
  readonly style: Style
  /** With stack traces. */
  readonly debug: boolean
  readonly columns?: number | undefined
  /** Where more is told of it. */
  readonly more?: string | undefined
}

/** For stderr; ends with a newline. */
export function formatError(error: unknown, { style, debug, columns, more }: ErrorViewOptions): string {
  const { message, hint } = toErrorData(error)
  const lines = [fold(`${style.red('Error:')} ${printable(message, 1000)}`, columns)]
  const frame = isOllamaConfigError(error) ? error.details?.['frame'] : undefined
  if (typeof frame === 'string') lines.push('', frame, '')
  if (isConfigError(error)) lines.push(diagnosticsText(error.diagnostics, style, columns))
  if (hint !== undefined) lines.push(fold(`${style.cyan('Next:')} ${printable(style.hint(hint))}`, columns))
  if (more !== undefined) lines.push(fold(style.dim(more), columns))
  if (debug) lines.push('', stackOf(error))
  return `${lines.join('\n')}\n`
}

/** @param columns Of the terminal, to break lines at words; left out where there is none. */
export function formatDiagnostic({ severity, message, hint }: Diagnostic, style: Style, columns?: number): string {
  const sign = style.words ? `${severity}:` : severity === 'error' ? style.red('x') : style.yellow('!')
  const lines = (text: string) => (columns === undefined ? [printable(text)] : wrap(printable(text), columns - 4))
  const indented = (text: string, paint: Paint = (line) => line) => lines(text).map(paint).join('\n    ')
  return `  ${sign} ${indented(message)}${hint === undefined ? '' : `\n    ${indented(style.hint(hint), style.dim)}`}`
}

/** More than this many problems nobody reads. */
const diagnosticsShown = 50

function diagnosticsText(diagnostics: readonly Diagnostic[], style: Style, columns: number | undefined): string {
  const shown = diagnostics.slice(0, diagnosticsShown).map((diagnostic) => formatDiagnostic(diagnostic, style, columns))
  if (diagnostics.length > diagnosticsShown) shown.push(`  … and ${diagnostics.length - diagnosticsShown} more`)
  return shown.join('\n')
}

function stackOf(error: unknown): string {
  // Anything can be thrown, and not everything can be turned into text.
  if (!(error instanceof Error)) return `a value of type ${typeof error}`
  const stack = (error.stack ?? error.message).split('\n').map(visible).join('\n')
  return error.cause === undefined ? stack : `${stack}\nCaused by: ${stackOf(error.cause)}`
}
