/** A few lines of a file around a position, the same on every runtime, and fit for a terminal whatever the file holds. */
import { visible } from '../artifact/text.ts'

const linesAround = 2

/** Of a longer line, such as of generated code, only what is near the position is shown. */
const maxWidth = 200

/**
 * Marks a position in a text.
 *
 * @param line from 1
 * @param column from 1, in UTF-16 units; without it only the line is marked
 * @returns lines without a final newline; empty when the text has no such line
 */
export function codeFrame(text: string, line: number, column?: number): string {
  const lines = text.split(/\r\n|\n|\r/)
  if (lines.length > 1 && lines.at(-1) === '') lines.pop()
  if (line < 1 || line > lines.length) return ''
  const first = Math.max(1, line - linesAround)
  const last = Math.min(lines.length, line + linesAround)
  const width = String(last).length
  const frame: string[] = []
  for (let number = first; number <= last; number++) {
    const isMarked = number === line && column !== undefined
    const { before, after } = cut(lines[number - 1] ?? '', isMarked ? column - 1 : 0)
    frame.push(`${number === line ? '>' : ' '} ${String(number).padStart(width)} | ${before}${after}`.trimEnd())
    // Tabs stay tabs, so that the caret stands below its character whatever a tab's width is.
    if (isMarked) frame.push(`  ${' '.repeat(width)} | ${before.replace(/[^\t]/g, ' ')}^`)
  }
  return frame.join('\n')
}

/** What is shown of a line, in two parts: before and from the offset. */
function cut(line: string, offset: number): { readonly before: string; readonly after: string } {
  const at = Math.min(Math.max(0, offset), line.length)
  const isLong = line.length > maxWidth
  const start = isLong ? Math.max(0, Math.min(at - maxWidth / 2, line.length - maxWidth)) : 0
  const end = isLong ? start + maxWidth : line.length
  return {
    before: `${start > 0 ? '…' : ''}${visible(line.slice(start, at))}`,
    after: `${visible(line.slice(at, end))}${end < line.length ? '…' : ''}`,
  }
}
