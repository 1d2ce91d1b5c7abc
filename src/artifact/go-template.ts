/**
 * Which facts of a Go template a server goes by: the fields that it names, and whether it has marks around thoughts (template/template.go
 * and thinking/template.go in v0.33). Nothing is run, and what a server would refuse to parse gives something all the same.
 */

export interface GoTemplate {
  /** In lower case: a server does not mind it here. */
  readonly fields: ReadonlySet<string>
  /** There is text before and behind the thoughts of a message. */
  readonly marksThoughts: boolean
}

/** Text without space around it; `null` for an action. */
type Piece = string | null

/** What is between two actions that belong together, such as `if` and `else`. */
interface List {
  readonly pieces: Piece[]
  /** Whether the innermost `range` around it goes through the messages; absent outside of the template's main part. */
  readonly overMessages: boolean | undefined
  /** Of `else if`, which the same `end` closes. */
  readonly isChained: boolean
}

interface Token {
  readonly text: string
  readonly isAction: boolean
}

export function readGoTemplate(text: string): GoTemplate {
  const fields = new Set<string>()
  const root: List = { pieces: [], overMessages: false, isChained: false }
  const open: List[] = [root]
  const thoughts: List[] = []
  const list = () => open.at(-1) ?? root
  for (const { text: token, isAction } of tokensOf(text)) {
    if (!isAction) {
      list().pieces.push(token.trim())
      continue
    }
    const word = /^[a-z]+\b/.exec(token)?.[0] ?? ''
    if (word === 'end') {
      let closed = open.length > 1 ? open.pop() : undefined
      while (closed?.isChained) closed = open.pop()
      continue
    }
    const begin = (overMessages: boolean | undefined, isChained = false) =>
      open.push({ pieces: [], overMessages, isChained })
    const chained = /^else\s+(?:if|with)\b/.test(token)
    if (word === 'else') {
      // The list that ends here; its `range` goes on.
      const { overMessages, isChained } = (open.length > 1 ? open.pop() : undefined) ?? root
      begin(overMessages, isChained)
    }
    if (word !== 'else' || chained) list().pieces.push(null)
    const named = fieldsOf(token)
    for (const { names } of named) for (const name of names) fields.add(name.toLowerCase())
    const firsts = named.flatMap(({ isVariable, names: [first = ''] }) => (isVariable ? [] : [first]))
    const { overMessages } = list()
    const inside = word === 'range' && overMessages !== undefined ? firsts.includes('Messages') : overMessages
    if (inside === true && firsts.includes('Thinking')) thoughts.push(list())
    if (/^(?:if|with|range)$/.test(word)) begin(inside)
    else if (/^(?:define|block)$/.test(word)) begin(undefined)
    else if (chained) begin(overMessages, true)
  }
  return { fields, marksThoughts: haveMarks(thoughts) }
}

/** Of several, the last one counts that has text there. */
function haveMarks(thoughts: readonly List[]): boolean {
  const last = (at: number) =>
    thoughts
      .map(({ pieces }) => pieces.at(at))
      .filter((piece) => typeof piece === 'string')
      .at(-1) ?? ''
  return last(0) !== '' && last(-1) !== ''
}

/** Texts in an action are left out, and comments: neither names anything. */
function* tokensOf(text: string): Generator<Token, void> {
  let trims = false
  for (let at = 0; at < text.length; ) {
    const found = text.indexOf('{{', at)
    const start = found < 0 ? text.length : found
    const isTrimmed = /^\{\{-\s/.test(text.slice(start, start + 4))
    const kept = trimmed(text.slice(at, start), trims, isTrimmed)
    if (kept !== '') yield { text: kept, isAction: false }
    if (found < 0) return
    const action = actionAt(text, start + (isTrimmed ? 3 : 2))
    trims = /\s-$/.test(action.text)
    if (action.text.trim() !== '' && action.text.trim() !== '-') yield { text: action.text.trim(), isAction: true }
    at = action.end
  }
}

function trimmed(text: string, atStart: boolean, atEnd: boolean): string {
  const rest = atStart ? text.trimStart() : text
  return atEnd ? rest.trimEnd() : rest
}

/** To its `}}`, which may also be in a text. One that nobody closes goes on to the end. */
function actionAt(text: string, start: number): { readonly text: string; readonly end: number } {
  const pieces: string[] = []
  for (let at = start; at < text.length; ) {
    const rest = /[^"`'}/]*/y
    rest.lastIndex = at
    const [plain = ''] = rest.exec(text) ?? []
    pieces.push(plain)
    at += plain.length
    const character = text.charAt(at)
    if (text.startsWith('}}', at)) return { text: pieces.join(''), end: at + 2 }
    const quoted = text.startsWith('/*', at) ? endOf('*/', text, at + 2) : endOfText(character, text, at + 1)
    pieces.push(quoted === undefined ? character : '""')
    at = quoted ?? at + 1
  }
  return { text: pieces.join(''), end: text.length }
}

function endOfText(quote: string, text: string, start: number): number | undefined {
  if (quote === '`') return endOf('`', text, start)
  if (quote !== '"' && quote !== "'") return undefined
  for (let at = start; at < text.length; at++) {
    if (text.charAt(at) === '\\') at++
    else if (text.charAt(at) === quote) return at + 1
  }
  return text.length
}

function endOf(mark: string, text: string, start: number): number {
  const found = text.indexOf(mark, start)
  return found < 0 ? text.length : found + mark.length
}

interface Named {
  readonly isVariable: boolean
  readonly names: readonly string[]
}

/** `.A.B` and `$m.A`. Of `(index .A 0).B` a server sees neither. */
function fieldsOf(action: string): readonly Named[] {
  const chain = /(?<![\p{L}\p{N}_)])(\$[\p{L}\p{N}_]*)?((?:\.[\p{L}_][\p{L}\p{N}_]*)+)/gu
  return [...withoutChains(action).matchAll(chain)].map(([, variable, names = '']) => ({
    isVariable: variable !== undefined,
    names: names.slice(1).split('.'),
  }))
}

/** Leaves out what is in brackets with a field behind them. */
function withoutChains(action: string): string {
  const kept: string[] = []
  const opened: number[] = []
  let closed: number | undefined
  for (const piece of action.split(/([()])/)) {
    if (closed !== undefined && /^\.[\p{L}_]/u.test(piece)) kept.splice(closed, kept.length, ')')
    closed = piece === ')' ? opened.pop() : undefined
    if (piece === '(') opened.push(kept.length)
    kept.push(piece)
  }
  return kept.join('')
}
