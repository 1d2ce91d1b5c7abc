/** Colours of the terminal's own palette, which suits light and dark backgrounds alike. */
import { styleText } from 'node:util'

type Format = Parameters<typeof styleText>[0]
export type Paint = (text: string) => string

export interface Style {
  /** Words instead of signs: a screen reader may leave out a `!`. */
  readonly words: boolean
  readonly bold: Paint
  readonly dim: Paint
  readonly red: Paint
  readonly green: Paint
  readonly yellow: Paint
  readonly cyan: Paint
  /** A hint as it is shown: the commands that it names are those for the place that was asked for. */
  readonly hint: (hint: string) => string
}

/** When `enabled` is false every function returns its text unchanged. */
export function createStyle(enabled: boolean, hint: Style['hint'] = (text) => text, words: boolean = false): Style {
  const paint = (format: Format): Paint => {
    if (!enabled) return (text) => text
    // By default `styleText` looks at stdout and NO_COLOR from Node 22.13 on; what counts is the decision of `terminal.ts`.
    const [open = '', close = ''] = styleText(format, '|', { validateStream: false }).split('|')
    return (text) => (text === '' ? '' : open + text + close)
  }
  return {
    words,
    bold: paint('bold'),
    dim: paint('dim'),
    red: paint('red'),
    green: paint('green'),
    yellow: paint('yellow'),
    cyan: paint('cyan'),
    hint,
  }
}
