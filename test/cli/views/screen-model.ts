/** A terminal as far as the tree uses one: a fake stream, and what a person would see. */
import { textWidth } from '../../../src/cli/views/text.ts'

const token = /\x1b\[(\??)([0-9;]*)([A-Za-z])|\n|\r|[^\x1b\n\r]+|\x1b/g

export class ScreenModel {
  readonly isTTY = true
  columns: number
  rows: number
  /** Lines that left the screen at the top. */
  readonly history: string[] = []
  readonly writes: string[] = []
  cursorShown = true
  #lines: string[] = ['']
  #row = 0
  #column = 0

  constructor(columns: number, rows: number) {
    this.columns = columns
    this.rows = rows
  }

  get lines(): readonly string[] {
    return this.#lines.map((line) => line.trimEnd())
  }

  get text(): string {
    return [...this.history, ...this.lines].join('\n').trimEnd()
  }

  write(text: string): boolean {
    this.writes.push(text)
    for (const [whole, mark, numbers = '', letter] of text.matchAll(token)) {
      if (letter !== undefined) this.#control(mark === '?', numbers, letter)
      else if (whole === '\n') this.#newline()
      else if (whole === '\r') this.#column = 0
      else this.#print(whole)
    }
    return true
  }

  #control(isPrivate: boolean, numbers: string, letter: string): void {
    const current = this.#lines[this.#row] ?? ''
    if (isPrivate && numbers === '25') this.cursorShown = letter === 'h'
    else if (letter === 'A') this.#row = Math.max(0, this.#row - Number(numbers || 1))
    else if (letter === 'K') this.#lines[this.#row] = current.slice(0, this.#column)
    else if (letter === 'J') {
      this.#lines[this.#row] = current.slice(0, this.#column)
      this.#lines.length = this.#row + 1
    } else if (letter !== 'm') throw new Error(`Unexpected control sequence ${numbers}${letter}`)
  }

  #newline(): void {
    this.#column = 0
    this.#row += 1
    if (this.#row >= this.#lines.length) this.#lines.push('')
    if (this.#lines.length > this.rows) {
      this.history.push((this.#lines.shift() ?? '').trimEnd())
      this.#row -= 1
    }
  }

  #print(text: string): void {
    if (text === '\x1b') throw new Error('Unknown escape sequence')
    const line = (this.#lines[this.#row] ?? '').padEnd(this.#column)
    const next = line.slice(0, this.#column) + text + line.slice(this.#column + text.length)
    if (textWidth(next) > this.columns) throw new Error(`Wider than ${this.columns} columns: ${next}`)
    this.#lines[this.#row] = next
    this.#column += text.length
  }
}
