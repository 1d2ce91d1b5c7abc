/** What lies between our texts and a stream: lines that fit, and ASCII for terminals and ears that know nothing else. */
import { columnsOf, type Output } from '../context.ts'
import { fold } from './text.ts'

/** Breaks lines where the terminal would, but at words. */
export function writeFolded(output: Output, text: string): void {
  output.write(fold(text, columnsOf(output)))
}

/** What our own sentences hold; names and paths of others stay as they are. */
const figures: Readonly<Record<string, string>> = { '→': '->', '…': '...', '│': '|', '·': '-' }

/** The few figures that our texts have are written as ASCII. */
export function asciiOutput(output: Output): Output {
  return {
    get isTTY() {
      return output.isTTY
    },
    get columns() {
      return output.columns
    },
    get rows() {
      return output.rows
    },
    write: (text) => output.write(inAscii(text, columnsOf(output))),
  }
}

/** @param columns Lines that got longer are broken there. */
function inAscii(text: string, columns: number | undefined): string {
  // What moves the cursor counts on the width of its lines.
  if (/\x1b\[[\d;?]*[A-Za-ln-z]/.test(text)) return text
  const written = text.replaceAll(/[→…│·]/g, (figure) => figures[figure] ?? figure)
  return written === text ? text : fold(written, columns)
}
