/** What doctor found: a line for each fact, and what to do below those that are wrong. */
import { printable } from '../../artifact/text.ts'
import type { Examination, Finding, FindingStatus } from '../../runner.ts'
import type { Paint, Style } from './style.ts'
import { fold, padEnd } from './text.ts'

export interface ExaminationViewOptions {
  readonly style: Style
  /** Figures such as ✔; else ASCII. */
  readonly unicode: boolean
  /** Of the terminal; where it is left out, lines may have any length. */
  readonly columns: number | undefined
}

const labelColumns = 'program'.length
/** Below this labels and texts have no room beside each other. */
const narrowBelow = 60

export function formatExamination({ findings }: Examination, options: ExaminationViewOptions): string {
  const { columns } = options
  const count = (status: FindingStatus) => findings.filter((finding) => finding.status === status).length
  const lines = [...findings.flatMap((finding) => linesOf(finding, options)), '', endLine(count, options.style)]
  return fold(`${lines.join('\n')}\n`, columns)
}

function linesOf(finding: Finding, { style, unicode, columns }: ExaminationViewOptions): readonly string[] {
  const { subject, status, message, hint } = finding
  const marks: Readonly<Record<FindingStatus, readonly [figure: string, ascii: string, paint: Paint]>> = {
    ok: ['✔', '+', style.green],
    warning: ['!', '!', style.yellow],
    error: ['✖', 'x', style.red],
    unknown: ['?', '?', style.dim],
  }
  const [figure, ascii, paint] = marks[status]
  const narrow = columns !== undefined && columns < narrowBelow
  const label = narrow ? `${subject}:` : `${padEnd(subject, labelColumns)} `
  const text = printable(message, 1000)
  const line = `${paint(unicode ? figure : ascii)} ${label} ${status === 'unknown' ? style.dim(text) : text}`
  if (hint === undefined || status === 'ok') return [line]
  const indent = ' '.repeat(narrow ? 2 : labelColumns + 4)
  return [line, `${indent}${style.cyan(unicode ? '→' : '->')} ${printable(hint, 1000)}`]
}

function endLine(count: (status: FindingStatus) => number, style: Style): string {
  const [errors, warnings] = [count('error'), count('warning')]
  const parts = [
    ...(errors === 0 ? [] : [style.red(errors === 1 ? '1 problem' : `${errors} problems`)]),
    ...(warnings === 0 ? [] : [style.yellow(warnings === 1 ? '1 warning' : `${warnings} warnings`)]),
  ]
  return parts.length === 0 ? 'Nothing is wrong.' : `${parts.join(', ')}.`
}
