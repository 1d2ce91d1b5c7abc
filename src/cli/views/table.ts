/** A table for people; on a narrow terminal a list. */
import type { Style } from './style.ts'
import { padEnd, textWidth } from './text.ts'

export interface TableOptions {
  readonly style: Style
  /** Of the terminal; where it is left out, lines may have any length. */
  readonly columns: number | undefined
}

/** The lines of a table whose first column names the row. `-` stands for what is not known: a column of it alone is left out. */
export function formatTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  { style, columns }: TableOptions,
): readonly string[] {
  // A column in which nothing is known takes room for nothing.
  const used = header.flatMap((_, column) => (rows.every((row) => row[column] === '-') ? [] : [column]))
  const widths = header.map((title, column) =>
    rows.reduce((width, row) => Math.max(width, textWidth(row[column] ?? '')), textWidth(title)),
  )
  const lineOf = (row: readonly string[]) =>
    used
      .map((column) => padEnd(row[column] ?? '', widths[column] ?? 0))
      .join('  ')
      .trimEnd()
  const lines = [style.bold(lineOf(header)), ...rows.map(lineOf)]
  if (used.reduce((sum, column) => sum + (widths[column] ?? 0) + 2, -2) <= (columns ?? Number.POSITIVE_INFINITY))
    return lines
  return rows.flatMap((row) => [
    row[0] ?? '',
    ...used.slice(1).map((column) => `  ${(header[column] ?? '').toLowerCase()}: ${row[column] ?? '-'}`),
  ])
}
