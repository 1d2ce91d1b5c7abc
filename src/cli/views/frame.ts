/** One frame of the task tree: the rows that fit on the screen, and the total. Pure. */
import { formatBytes } from '../../artifact/bytes.ts'
import { formatByteShare, formatRate, formatRemaining } from './format.ts'
import { type Layout, type Look, layoutFor } from './layout.ts'
import type { ChangeState, Progress } from './progress.ts'
import { changeRow, numbersRow } from './row.ts'
import { textWidth, truncate } from './text.ts'
import { type Totals, totalsOf } from './totals.ts'

/** Lines for the whole run; a live frame has at most `rows`, the final one has them all. */
export function composeFrame(progress: Progress, rows: number, look: Look): string[] {
  if (progress.changes.length === 0) return []
  const totals = totalsOf(progress, look.nowMs)
  const label = totalLabel(totals, look.final)
  const layout = layoutFor(look, Math.max(widestName(progress), look.final ? 0 : textWidth(label)))
  const total = totalRow(label, totals, layout)
  if (look.final) return [...progress.changes.flatMap((state) => changeRow(state, layout)), ...total]
  return [...clamp(progress.changes, rows - total.length, layout), ...total].slice(-Math.max(1, rows))
}

/** Who is shown first when not everybody fits. */
const order: Readonly<Record<ChangeState['phase'], number>> = {
  active: 0,
  failed: 1,
  waiting: 2,
  cancelled: 3,
  skipped: 4,
  done: 5,
}

function clamp(changes: readonly ChangeState[], room: number, layout: Layout): string[] {
  if (changes.length <= room) {
    const lines = changes.flatMap((state) => changeRow(state, layout))
    if (lines.length <= room) return lines
  }
  const shown = new Map<number, readonly string[]>()
  let free = room - 1 // for the line that counts the rest
  const take = (indexes: readonly number[], least: number): void => {
    for (const index of indexes) {
      const state = changes[index]
      if (state === undefined || shown.has(index)) continue
      const lines = free > least ? changeRow(state, layout) : []
      if (lines.length === 0 || free - lines.length < least) return
      free -= lines.length
      shown.set(index, lines)
    }
  }
  const indexes = [...changes.keys()]
  // A failure stays in sight while many are at work, but leaves them two thirds of the screen.
  take(indexes.filter((index) => changes[index]?.phase === 'failed').reverse(), Math.ceil((free * 2) / 3))
  take(
    indexes.sort((a, b) => rank(changes[a]) - rank(changes[b])),
    0,
  )
  const rest = changes.filter((_, index) => !shown.has(index))
  // In the order of the plan, so that rows do not jump.
  const rows = [...shown].sort(([a], [b]) => a - b).flatMap(([, lines]) => lines)
  return [...rows, restLine(rest, layout)]
}

function rank(state: ChangeState | undefined): number {
  return state === undefined ? Number.POSITIVE_INFINITY : order[state.phase]
}

/** `… 180 more waiting, 12 done`. */
function restLine(rest: readonly ChangeState[], { columns, style, unicode }: Layout): string {
  const words = (['active', 'failed', 'waiting', 'cancelled', 'skipped', 'done'] as const)
    .map((phase) => ({ phase, count: rest.filter((state) => state.phase === phase).length }))
    .filter(({ count }) => count > 0)
    .map(({ phase, count }) =>
      phase === 'waiting' || phase === 'active' ? `${count} more ${phase}` : `${count} ${phase}`,
    )
  return `  ${style.dim(truncate(`${unicode ? '…' : '...'} ${words.join(', ')}`, columns - 2, ''))}`
}

function totalLabel({ counts, changes, finished }: Totals, final: boolean): string {
  const others = (['failed', 'skipped', 'cancelled'] as const).filter((phase) => counts[phase] > 0)
  const problems = others.map((phase) => `, ${counts[phase]} ${phase}`).join('')
  return `${final || problems !== '' ? counts.done : finished} of ${changes} done${problems}`
}

function totalRow(label: string, totals: Totals, layout: Layout): string[] {
  const { style, columns, final } = layout
  const { completedBytes, totalBytes, remainingMs } = totals
  const known = totalBytes !== null && totalBytes > 0
  if (final || (!known && completedBytes === 0)) return [`  ${style.bold(truncate(label, columns - 2, ''))}`]
  return numbersRow(
    { text: '  ' },
    label,
    {
      fraction: known ? completedBytes / totalBytes : null,
      bytes: known ? formatByteShare(completedBytes, totalBytes) : formatBytes(completedBytes),
      rate: formatRate(totals.bytesPerSecond),
      left: formatRemaining(remainingMs),
    },
    layout,
  )
}

// References never change while a run goes on, and the map of ids is replaced when changes are announced.
const widest = new WeakMap<Progress['indexes'], number>()

function widestName({ changes, indexes }: Progress): number {
  const known = widest.get(indexes)
  if (known !== undefined) return known
  const width = changes.reduce((max, { reference }) => Math.max(max, textWidth(reference)), 0)
  widest.set(indexes, width)
  return width
}
