/** A few lines of a file around a position, the same on every runtime. */

const linesAround = 2

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
    const content = lines[number - 1] ?? ''
    frame.push(`${number === line ? '>' : ' '} ${String(number).padStart(width)} | ${content}`.trimEnd())
    if (number === line && column !== undefined) {
      // Tabs stay tabs, so that the caret stands below its character whatever a tab's width is.
      const indent = content.slice(0, column - 1).replace(/[^\t]/g, ' ')
      frame.push(`  ${' '.repeat(width)} | ${indent}^`)
    }
  }
  return frame.join('\n')
}
