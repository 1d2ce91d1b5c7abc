/** Text by the columns it takes on a terminal: width, truncation, wrapping. Pure; text without colour codes, unless said otherwise. */

const plainAscii = /^[\x20-\x7e]*$/
const zeroWidth = /^[\p{Mn}\p{Me}\p{Cf}]$/u
const wide =
  /^[\p{Emoji_Presentation}\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}]$/u
/** Columns the text takes. */
export function textWidth(text: string): number {
  if (plainAscii.test(text)) return text.length
  let width = 0
  for (const character of text) width += characterWidth(character)
  return width
}

function characterWidth(character: string): number {
  if (zeroWidth.test(character)) return 0
  return wide.test(character) ? 2 : 1
}

/** Cuts the end: `pulling mani…`. */
export function truncate(text: string, columns: number, ellipsis = '…'): string {
  if (textWidth(text) <= columns) return text
  const room = columns - textWidth(ellipsis)
  return room < 1 ? takeStart(text, columns) : takeStart(text, room) + ellipsis
}

/** Cuts the middle, since the ends of a model's name tell it apart: `hf.co/unsl…GGUF:Q4_K_M`. */
export function truncateMiddle(text: string, columns: number, ellipsis = '…'): string {
  if (textWidth(text) <= columns) return text
  const room = columns - textWidth(ellipsis)
  if (room < 2) return takeStart(text, columns)
  const end = takeEnd(text, Math.ceil(room / 2))
  return takeStart(text, room - textWidth(end)) + ellipsis + end
}

/** Fills up with spaces to the right. */
export function padEnd(text: string, columns: number): string {
  return text + ' '.repeat(Math.max(0, columns - textWidth(text)))
}

/** Lines of at most `columns`, broken at spaces where possible. */
export function wrap(text: string, columns: number): string[] {
  const room = Math.max(1, columns)
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    const joined = line === '' ? word : `${line} ${word}`
    if (textWidth(joined) <= room) {
      line = joined
      continue
    }
    if (line !== '') lines.push(line)
    line = word
    for (;;) {
      // A single character may be wider than the room: take one at least, so that this ends.
      const head = takeStart(line, room) || firstCharacter(line)
      if (head.length === line.length) break
      lines.push(head)
      line = line.slice(head.length)
    }
  }
  if (line !== '') lines.push(line)
  return lines
}

/**
 * Lines that are too wide, broken at spaces; what follows is indented further than its line. Colour codes take no room, and go on
 * over the break.
 *
 * @param columns Default: lines are not broken.
 */
export function fold(text: string, columns: number | undefined): string {
  if (columns === undefined) return text
  return text
    .split('\n')
    .map((line) => (widthWithoutCodes(line) <= columns ? line : foldLine(line, columns)))
    .join('\n')
}

function foldLine(line: string, columns: number): string {
  const [start = ''] = /^ */.exec(line) ?? []
  const indent = ' '.repeat(Math.min(start.length + 4, Math.floor(columns / 2)))
  const lines: string[] = []
  let current = start
  for (const word of line.slice(start.length).split(/(?<=\S) (?=.)/)) {
    const joined = current.trim() === '' ? current + word : `${current} ${word}`
    if (widthWithoutCodes(joined.trimEnd()) <= columns || current.trim() === '') {
      current = joined
    } else {
      lines.push(current.trimEnd())
      current = indent + word.trimStart()
    }
  }
  return [...lines, current.trimEnd()].join('\n')
}

function widthWithoutCodes(text: string): number {
  return textWidth(text.replaceAll(/\x1b\[[\d;]*m/g, ''))
}

function firstCharacter(text: string): string {
  for (const character of text) return character
  return ''
}

function takeStart(text: string, columns: number): string {
  let width = 0
  let taken = ''
  for (const character of text) {
    width += characterWidth(character)
    if (width > columns) break
    taken += character
  }
  return taken
}

function takeEnd(text: string, columns: number): string {
  let width = 0
  let taken = ''
  for (const character of [...text].reverse()) {
    width += characterWidth(character)
    if (width > columns) break
    taken = character + taken
  }
  return taken
}
