/** What doctor found: a line for each fact, and what to do below those that are wrong. */
import { counted, printable } from '../../artifact/text.ts'
import type { Examination, Finding, FindingStatus } from '../../runner.ts'
import type { Paint, Style } from './style.ts'
import { fold, padEnd, wrap } from './text.ts'

export interface ExaminationViewOptions {
  readonly style: Style
  /** Figures such as ✔; else ASCII. */
  readonly unicode: boolean
  /** Of the terminal; where it is left out, lines may have any length. */
  readonly columns: number | undefined
}

const labelColumns = 'program'.length
/** Of what is found: after the mark and the label. */
const textColumn = labelColumns + 4
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
  const marks: Readonly<Record<FindingStatus, readonly [figure: string, ascii: string, word: string, paint: Paint]>> = {
    ok: ['✔', '+', 'ok', style.green],
    warning: ['!', '!', 'warning', style.yellow],
    error: ['✖', 'x', 'problem', style.red],
    unknown: ['?', '?', 'unknown', style.dim],
  }
  const [figure, ascii, word, paint] = marks[status]
  if (style.words) return wordLines(finding, word, style)
  const narrow = columns !== undefined && columns < narrowBelow
  const label = narrow ? `${subject}:` : `${padEnd(subject, labelColumns)} `
  const text = printable(message, 1000)
  const mark = `${paint(unicode ? figure : ascii)} ${label} `
  const tint: Paint = status === 'unknown' ? style.dim : (words) => words
  const arrow = unicode ? '→' : '->'
  const advice = hint === undefined || status === 'ok' ? undefined : style.hint(printable(hint, 1000))
  if (narrow || columns === undefined) {
    const indent = ' '.repeat(narrow ? 2 : textColumn)
    const line = `${mark}${tint(text)}`
    return advice === undefined ? [line] : [line, `${indent}${style.cyan(arrow)} ${advice}`]
  }
  const lines = (words: string, column: number) => wrap(words, columns - column)
  const [first = '', ...rest] = lines(text, textColumn).map(tint)
  const hints = advice === undefined ? [] : lines(advice, textColumn + arrow.length + 1)
  return [
    `${mark}${first}`,
    ...rest.map((words) => ' '.repeat(textColumn) + words),
    ...hints.map((words, at) => {
      const start = at === 0 ? `${style.cyan(arrow)} ` : ' '.repeat(arrow.length + 1)
      return `${' '.repeat(textColumn)}${start}${words}`
    }),
  ]
}

/** Read aloud, what it is about comes first. */
function wordLines({ subject, status, message, hint }: Finding, word: string, style: Style): readonly string[] {
  const line = `${subject}: ${word}: ${printable(message, 1000)}`
  return hint === undefined || status === 'ok' ? [line] : [line, `  To do: ${style.hint(printable(hint, 1000))}`]
}

function endLine(count: (status: FindingStatus) => number, style: Style): string {
  const [errors, warnings] = [count('error'), count('warning')]
  const parts = [
    ...(errors === 0 ? [] : [style.red(counted(errors, 'problem'))]),
    ...(warnings === 0 ? [] : [style.yellow(counted(warnings, 'warning'))]),
  ]
  return parts.length === 0 ? 'Nothing is wrong.' : `${parts.join(', ')}.`
}
