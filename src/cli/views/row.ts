/** One row of the task tree: a change, or the total. Pure. */
import { formatBytes } from '../../artifact/bytes.ts'
import { formatBar, formatByteShare, formatPercent, formatRate, formatRemaining } from './format.ts'
import { type Layout, line, type Segment, widths } from './layout.ts'
import { type ChangeState, expectedBytes, fractionOf, isFinished, rateOf, remainingOf } from './progress.ts'
import type { Paint } from './style.ts'
import { padEnd, textWidth, truncateMiddle, wrap } from './text.ts'
import { activityText, errorTexts, outcomeText } from './words.ts'

/** What a row with a bar says; empty texts and `null` for what is unknown. */
export interface Numbers {
  readonly fraction: number | null
  readonly bytes: string
  readonly rate: string
  readonly left: string
}

const spinners = { unicode: [...'⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏'], ascii: [...'-\\|/'] }
const spinnerMs = 100
/** While other rows need the room. */
const liveErrorLines = 2

export function changeRow(state: ChangeState, layout: Layout): string[] {
  const { style, final, nowMs } = layout
  if (isFinished(state)) {
    return [
      ...textRow(state, outcomeText(state), layout, state.phase === 'done' ? style.dim : undefined),
      ...errorRows(state, layout),
    ]
  }
  if (final) return textRow(state, state.phase === 'active' ? 'not finished' : 'not begun', layout)
  if (state.phase === 'waiting') {
    // A build takes none, as a rule.
    return textRow(state, state.plannedBytes ? formatBytes(state.plannedBytes) : '', layout, style.dim)
  }
  const numbers = numbersOf(state, nowMs)
  if (numbers === null) return textRow(state, activityText(state), layout)
  return numbersRow(iconOf(state, layout), state.reference, numbers, layout)
}

/** A name, a bar and numbers: as many of them as there is room for. */
export function numbersRow(icon: Segment, name: string, numbers: Numbers, layout: Layout): string[] {
  const { columns, narrow, nameColumns, barColumns, withRate, style, unicode } = layout
  const { fraction, bytes, rate, left } = numbers
  const bar = fraction === null ? ' '.repeat(barColumns) : formatBar(fraction, barColumns, unicode)
  const parts: Segment[] = [
    { text: bar, paint: style.cyan },
    { text: barColumns === 0 ? '' : ' ' },
    { text: (fraction === null ? '' : formatPercent(fraction)).padStart(widths.percent) },
    { text: `  ${padEnd(bytes, widths.bytes)}` },
    { text: withRate ? `  ${padEnd(rate, widths.rate)}` : '', paint: style.dim },
  ]
  if (!narrow) {
    const label = padEnd(shortName(name, nameColumns, layout), nameColumns)
    return [line([icon, { text: `${label}  ` }, ...parts, { text: `  ${left}` }], columns)]
  }
  if (fraction === null) return [line([icon, { text: `${name}  ${bytes}` }], columns)]
  const room = nameColumns - widths.gap - textWidth(left)
  const label = padEnd(shortName(name, room, layout), room)
  return [line([icon, { text: `${label}  ${left}` }], columns), line([{ text: '  ' }, ...parts], columns)]
}

/** A name and some words: beside it, or below when a narrow terminal has no room for both. */
function textRow(state: ChangeState, text: string, layout: Layout, paint?: Paint): string[] {
  const { columns, narrow, nameColumns } = layout
  const icon = iconOf(state, layout)
  const name = shortName(state.reference, nameColumns, layout)
  if (text === '') return [line([icon, { text: name, paint }], columns)]
  if (!narrow) return [line([icon, { text: `${padEnd(name, nameColumns)}  ` }, { text, paint }], columns)]
  if (widths.icon + textWidth(name) + widths.gap + textWidth(text) <= columns) {
    return [line([icon, { text: `${name}  ` }, { text, paint }], columns)]
  }
  return [line([icon, { text: name }], columns), line([{ text: '  ' }, { text, paint }], columns)]
}

function errorRows(state: ChangeState, { style, columns, final }: Layout): string[] {
  const error = errorTexts(state, style.hint)
  if (error === null) return []
  const message = wrap(error.message, columns - widths.icon)
  const hint = final && error.hint !== null ? wrap(error.hint, columns - widths.icon) : []
  const shown = final ? message : message.slice(0, liveErrorLines)
  return [...shown.map((text) => `  ${style.red(text)}`), ...hint.map((text) => `  ${style.dim(text)}`)]
}

function numbersOf(state: ChangeState, nowMs: number): Numbers | null {
  const fraction = fractionOf(state)
  // Once all bytes are there, what the server does with them is the news.
  const idle = fraction === 1 && !state.status.startsWith('pulling ')
  if (fraction === null || idle || state.waitsForOther || state.retry !== null) return null
  return {
    fraction,
    bytes: formatByteShare(state.completedBytes ?? 0, expectedBytes(state) ?? 0),
    rate: formatRate(rateOf(state, nowMs)),
    left: formatRemaining(remainingOf(state, nowMs)),
  }
}

function iconOf(state: ChangeState, { style, unicode, nowMs, final }: Layout): Segment {
  const icon = (figure: string, ascii: string, paint: Paint): Segment => ({
    text: `${unicode ? figure : ascii} `,
    paint,
  })
  switch (state.phase) {
    case 'done':
      return icon('✔', '+', style.green)
    case 'failed':
      return icon('✖', 'x', style.red)
    case 'skipped':
      return icon('↓', '-', style.yellow)
    case 'cancelled':
      return icon('◼', '!', style.yellow)
    case 'waiting':
      return icon('·', '.', style.dim)
    case 'active':
      if (final) return icon('◼', '!', style.yellow)
      return icon(spin(spinners.unicode, nowMs), spin(spinners.ascii, nowMs), style.cyan)
  }
}

function spin(frames: readonly string[], nowMs: number): string {
  return frames[Math.floor(Math.max(0, nowMs) / spinnerMs) % frames.length] ?? ''
}

function shortName(name: string, columns: number, { unicode }: Layout): string {
  return truncateMiddle(name, Math.max(0, columns), unicode ? '…' : '...')
}
