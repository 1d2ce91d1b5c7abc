/** What a person would see of the bytes that a program writes to a terminal: enough of one for our own output. */

export type Color = 'red' | 'green' | 'yellow' | 'cyan'

export interface Look {
  readonly color?: Color | undefined
  readonly bold?: boolean
  readonly dim?: boolean
}

/** Neighbours that look the same, from this column on. */
export interface Run extends Look {
  readonly column: number
  readonly text: string
}

interface Cell {
  readonly character: string
  readonly look: Look
}

const token = /\x1b\[(\??)([0-9;]*)([A-Za-z])|\x1b[()=>].?|\r|\n|[^\x1b]/gu
const colors: Readonly<Record<string, Color>> = { 31: 'red', 32: 'green', 33: 'yellow', 36: 'cyan' }

export class Screen {
  readonly #lines: Cell[][] = [[]]
  #row = 0
  #column = 0
  #look: Look = {}

  write(text: string): void {
    for (const [whole, mark, numbers = '', letter] of text.matchAll(token)) {
      if (letter !== undefined) this.#control(mark === '?', numbers, letter)
      else if (whole === '\r') this.#column = 0
      else if (whole === '\n') this.#newline()
      else if (!whole.startsWith('\x1b')) this.#print(whole)
    }
  }

  /** Without empty lines at the end. */
  rows(): readonly (readonly Run[])[] {
    const rows = this.#lines.map(runsOf)
    while (rows.at(-1)?.length === 0) rows.pop()
    return rows
  }

  get text(): string {
    return this.#lines
      .map((line) =>
        line
          .map(({ character }) => character)
          .join('')
          .trimEnd(),
      )
      .join('\n')
  }

  #control(isPrivate: boolean, numbers: string, letter: string): void {
    const line = this.#lines[this.#row] ?? []
    if (isPrivate) return
    if (letter === 'm') this.#look = numbers.split(';').reduce(changed, this.#look)
    else if (letter === 'A') this.#row = Math.max(0, this.#row - Number(numbers || 1))
    else if (letter === 'K') line.length = Math.min(line.length, this.#column)
    else if (letter === 'J') {
      line.length = Math.min(line.length, this.#column)
      this.#lines.length = this.#row + 1
    } else throw new Error(`The screen knows no ${numbers}${letter}`)
  }

  #newline(): void {
    this.#column = 0
    this.#row++
    if (this.#row >= this.#lines.length) this.#lines.push([])
  }

  #print(character: string): void {
    const line = this.#lines[this.#row] ?? []
    while (line.length < this.#column) line.push({ character: ' ', look: {} })
    line[this.#column++] = { character, look: this.#look }
  }
}

function changed(look: Look, code: string): Look {
  if (code === '' || code === '0') return {}
  if (code === '1') return { ...look, bold: true }
  if (code === '2') return { ...look, dim: true }
  if (code === '22') return { color: look.color }
  if (code === '39') return { ...look, color: undefined }
  const color = colors[code]
  if (color === undefined) throw new Error(`The screen knows no colour ${code}`)
  return { ...look, color }
}

function runsOf(line: readonly Cell[]): readonly Run[] {
  const runs: Run[] = []
  for (const [column, { character, look }] of line.entries()) {
    const last = runs.at(-1)
    const goesOn = last !== undefined && sameLook(last, look)
    if (goesOn) runs[runs.length - 1] = { ...last, text: last.text + character }
    else runs.push({ ...look, column, text: character })
  }
  return runs.flatMap((run) => (run.text.trim() === '' ? [] : [{ ...run, text: run.text.trimEnd() }]))
}

function sameLook(a: Look, b: Look): boolean {
  return a.color === b.color && (a.bold ?? false) === (b.bold ?? false) && (a.dim ?? false) === (b.dim ?? false)
}
