/** How the columns of the task tree are shared out, and lines that never get wider than them. Pure. */
import type { Paint, Style } from './style.ts'
import { textWidth, truncate } from './text.ts'

export interface Look {
  /** Widest line allowed. */
  readonly columns: number
  readonly style: Style
  /** Else ASCII. */
  readonly unicode: boolean
  readonly nowMs: number
  /** The last frame: errors in full, nothing moves any more. */
  readonly final: boolean
}

export interface Layout extends Look {
  /** On a narrow terminal numbers and words stand below the name. */
  readonly narrow: boolean
  readonly nameColumns: number
  /** 0: no bar. */
  readonly barColumns: number
  readonly withRate: boolean
}

/** Columns of the other parts, so that nothing jumps while numbers change: `123 MB / 1.2 GB`, `118 MB/s`, `1m 20s left`. */
export const widths = { icon: 2, gap: 2, percent: 4, bytes: 15, rate: 8, left: 11 } as const

const narrowBelow = 60
/** For `cancelled at 1.2 GB, resumable`. */
const finalTextColumns = 31
const barColumns = 12
const minBarColumns = 4
/** A name is cut down to this before the bar has to go. */
const fairNameColumns = 20

export function layoutFor(look: Look, widestName: number): Layout {
  const { columns } = look
  if (columns < narrowBelow) {
    const bar = columns - widths.icon - 1 - widths.percent - widths.gap - widths.bytes
    return {
      ...look,
      narrow: true,
      nameColumns: columns - widths.icon,
      barColumns: bar < minBarColumns ? 0 : bar,
      withRate: false,
    }
  }
  if (look.final) {
    // Words only: names may take what the numbers took.
    const nameColumns = Math.min(widestName, columns - widths.icon - widths.gap - finalTextColumns)
    return { ...look, narrow: false, nameColumns, barColumns: 0, withRate: false }
  }
  const room =
    columns - widths.icon - widths.gap - widths.percent - widths.gap - widths.bytes - widths.gap - widths.left
  const besideBar = room - barColumns - 1
  const besideRate = besideBar - widths.gap - widths.rate
  const withBar = besideBar >= Math.min(widestName, fairNameColumns)
  // The total shows the rate as well, so it goes before a name is cut.
  const withRate = besideRate >= widestName
  const nameColumns = Math.min(widestName, withRate ? besideRate : withBar ? besideBar : room)
  return { ...look, narrow: false, nameColumns, barColumns: withBar ? barColumns : 0, withRate }
}

export interface Segment {
  readonly text: string
  readonly paint?: Paint | undefined
}

/** Joins, cuts at `columns`, and only then colours: codes take no room and must not be cut. */
export function line(segments: readonly Segment[], columns: number): string {
  let used = 0
  let result = ''
  for (const { text, paint } of segments) {
    const cut = truncate(text, Math.max(0, columns - used), '')
    used += textWidth(cut)
    result += paint === undefined ? cut : paint(cut)
  }
  return result.trimEnd()
}
