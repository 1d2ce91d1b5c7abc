/** The report as text: one summary line, and what is left. */
import { countResults, type Report } from '../../apply/report.ts'
import { counted, printable } from '../../artifact/text.ts'
import { isErrorCode } from '../../errors.ts'
import { formatDiagnostic, moreText } from './problems.ts'
import type { Style } from './style.ts'
import { fold } from './text.ts'
import { past, verbOf } from './words.ts'

export interface ReportViewOptions {
  readonly style: Style
  /** The errors of changes stand above already. */
  readonly told: boolean
  /** Of the terminal that it is shown on. Default: lines are not broken. */
  readonly columns?: number | undefined
  /** How the command is called here, to name where more is told of errors. */
  readonly program: string
}

export function formatReport(report: Report, { style, told, columns, program }: ReportViewOptions): string {
  const deleted = countResults(report, 'delete', 'done')
  const results = report.targets.flatMap((target) => target.results)
  const failed = results.filter(({ outcome }) => outcome === 'failed')
  const left = results.filter(({ outcome, skipReason }) => outcome === 'cancelled' || skipReason === 'interrupted')
  const lines = (told ? [] : failed).flatMap(({ action, reference, error }) => [
    `  ${style.words ? 'failed:' : style.red('x')} ${failureText(verbOf(action), reference, printable(error?.message ?? 'failed', 1000))}`,
    ...(error?.hint === undefined ? [] : [`    ${style.dim(style.hint(printable(error.hint)))}`]),
  ])
  const diagnostics = report.targets.flatMap((target) => target.diagnostics)
  for (const diagnostic of diagnostics) {
    lines.push(formatDiagnostic(diagnostic, style, columns))
  }
  if (left.length > 0) {
    lines.push(
      ['  Left to do:', ...left.map(({ action, reference }) => `    ${verbOf(action)} ${reference}`)].join('\n'),
    )
  }
  if (results.some(({ skipReason }) => skipReason === 'earlier-failure')) {
    lines.push(`  Nothing ${deleted > 0 ? 'more ' : ''}was deleted, since something failed`)
  }
  const dependent = results.filter(({ skipReason }) => skipReason === 'dependency-failed')
  if (dependent.length > 0) {
    const names = dependent.map(({ reference }) => reference).join(', ')
    lines.push(`  Not made, since what they start from failed: ${names}`)
  }
  const spared = results.filter(({ skipReason }) => skipReason === 'irreplaceable').map(({ reference }) => reference)
  if (spared.length > 0)
    lines.push(`  Kept, since no registry can give it back and no person approved it: ${spared.join(', ')}`)
  const unapproved = results.filter(
    ({ action, skipReason }) => action === 'delete' && skipReason === 'not-approved',
  ).length
  if (unapproved > 0)
    lines.push(
      `  Left alone: ${unapproved === 1 ? '1 model that is' : `${unapproved} models that are`} not in the config`,
    )
  const locked = report.targets.flatMap(({ lockUpdated }) => lockUpdated).length
  if (locked > 0) lines.push(`  Written to the lock file: ${counted(locked, 'model')}`)
  const title = { done: style.green('Done:'), failed: style.red('Failed:'), interrupted: style.yellow('Interrupted:') }[
    report.outcome
  ]
  const next = left.length > 0 ? '\nRun the same command again to go on from here' : ''
  // Several errors of one run mostly have one cause: a line for each code would be many.
  const codes = [
    ...failed.flatMap(({ error }) => error?.code ?? []),
    ...diagnostics.flatMap(({ severity, code }) => (severity === 'error' && isErrorCode(code) ? [code] : [])),
  ]
  const [more] = codes.flatMap((code) => moreText(code, program) ?? [])
  const end = more === undefined ? '' : `\n${style.dim(more)}`
  return fold(
    `${[...lines, `${title} ${countsText(report, failed.length + diagnostics.filter(({ severity }) => severity === 'error').length)}`].join('\n')}${next}${end}\n`,
    columns,
  )
}

function countsText(report: Report, failed: number): string {
  const counts = (['pull', 'update', 'derive', 'rebuild', 'alias', 'restore', 'delete'] as const).flatMap((action) => {
    const count = countResults(report, action, 'done')
    return count > 0 ? [`${count} ${past[action]}`] : []
  })
  return [...counts, ...(failed > 0 ? [`${failed} failed`] : [])].join(', ') || 'nothing changed'
}

function failureText(action: string, reference: string, message: string): string {
  return message.includes(reference) ? message : `${action} ${reference}: ${message}`
}
