/** A screen as an SVG, in the reader's colours: light or dark. */
import type { Run } from './screen.ts'

const size = { font: 14, column: 8.4, line: 20, margin: 16 } as const

const style = `
svg{color-scheme:light dark}
.b{fill:#f6f8fa;stroke:#d0d7de}
text{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:14px;fill:#1f2328;white-space:pre}
.bold{font-weight:700}.dim{fill:#59636e}.red{fill:#c1121f}.green{fill:#116329}.yellow{fill:#7d4e00}.cyan{fill:#0b5f8a}
@media(prefers-color-scheme:dark){
.b{fill:#0d1117;stroke:#3d444d}text{fill:#e6edf3}
.dim{fill:#9198a1}.red{fill:#ff7b72}.green{fill:#56d364}.yellow{fill:#e3b341}.cyan{fill:#56d4dd}
}`

/** @param title Read aloud in its place */
export function svgOf(rows: readonly (readonly Run[])[], columns: number, title: string): string {
  const width = Math.ceil(columns * size.column + 2 * size.margin)
  const height = rows.length * size.line + 2 * size.margin
  const texts = rows.flatMap((runs, row) => runs.map((run) => textOf(run, row)))
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" xml:space="preserve" role="img" aria-label="${escaped(title)}">
<style>${style}</style>
<rect class="b" x=".5" y=".5" width="${width - 1}" height="${height - 1}" rx="8"/>
${texts.join('\n')}
</svg>
`
}

/** With its length: fonts differ, and columns stay columns. */
function textOf({ column, text, color, bold, dim }: Run, row: number): string {
  const start = column + text.length - text.trimStart().length
  const shown = text.trimStart()
  const x = round(size.margin + start * size.column)
  const y = size.margin + row * size.line + size.font
  const classes = [...(bold ? ['bold'] : []), ...(dim ? ['dim'] : []), ...(color === undefined ? [] : [color])]
  const look = classes.length === 0 ? '' : ` class="${classes.join(' ')}"`
  return `<text${look} x="${x}" y="${y}" textLength="${round([...shown].length * size.column)}">${escaped(shown)}</text>`
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
}
