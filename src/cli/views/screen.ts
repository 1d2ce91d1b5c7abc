/** The last lines of a terminal, redrawn in place. Knows escape sequences, and nothing of what the lines say. */
import { stripVTControlCharacters } from 'node:util'
import { textWidth } from './text.ts'

/** The part of a terminal's stream that is used. */
export interface ScreenStream {
  write(text: string): unknown
  readonly columns?: number | undefined
  readonly rows?: number | undefined
}

export interface Screen {
  /** Columns a line may take: one less than there are, since some terminals wrap when the last one is filled. */
  columns(): number
  /** Lines a frame may take: one less than there are, for the cursor below it. */
  rows(): number
  /** Replaces the lines on the screen. Hides the cursor. */
  paint(lines: readonly string[]): void
  /** Replaces them for good, by as many as it takes, and shows the cursor. */
  finish(lines: readonly string[]): void
  /** Shows the cursor again if it is hidden. */
  release(): void
}

// For a stream that does not say. Zero is what a pseudo terminal without a size says.
const defaultSize = { columns: 80, rows: 24 }
const codes = { hide: '\x1b[?25l', show: '\x1b[?25h', clearLineEnd: '\x1b[K', clearBelow: '\x1b[J' }

export function createScreen(stream: ScreenStream): Screen {
  let shown: readonly string[] = []
  let size = { columns: 0, rows: 0 }
  let hidden = false

  const measure = () => ({
    columns: stream.columns || defaultSize.columns,
    rows: stream.rows || defaultSize.rows,
  })

  /** Back to the first line of the frame. */
  const rewind = (columns: number): string => {
    const height =
      columns === size.columns ? shown.length : shown.reduce((sum, line) => sum + heightAt(line, columns), 0)
    // To the first column as well: a terminal shows ^C where the cursor is, and puts it behind that.
    return height === 0 ? '\r' : `\r\x1b[${height}A`
  }

  const draw = (lines: readonly string[], before: string, after: string): void => {
    const now = measure()
    // After a resize nobody knows what is where: terminals wrap long lines anew.
    const whole = now.columns !== size.columns || now.rows !== size.rows
    const body = lines.map((line, index) => (!whole && line === shown[index] ? '\n' : `${line}${codes.clearLineEnd}\n`))
    // One write a frame, so that no terminal shows half of it.
    stream.write(
      `${before}${rewind(now.columns)}${whole ? codes.clearBelow : ''}${body.join('')}${codes.clearBelow}${after}`,
    )
    shown = lines
    size = now
  }

  return {
    columns: () => measure().columns - 1,
    rows: () => Math.max(1, measure().rows - 1),
    paint(lines) {
      const now = measure()
      const same = lines.length === shown.length && lines.every((line, index) => line === shown[index])
      if (same && now.columns === size.columns && now.rows === size.rows) return
      draw(lines, hidden ? '' : codes.hide, '')
      hidden = true
    },
    finish(lines) {
      draw(lines, '', hidden ? codes.show : '')
      hidden = false
      shown = []
    },
    release() {
      if (hidden) stream.write(codes.show)
      hidden = false
    },
  }
}

/** Rows that a line takes after the terminal became narrower. */
function heightAt(line: string, columns: number): number {
  return Math.max(1, Math.ceil(textWidth(stripVTControlCharacters(line)) / columns))
}
