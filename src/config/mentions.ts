/**
 * Which models a config names, as far as its text tells without running it: for what happens while somebody types, when nothing of a
 * folder must be executed. What a config computes is not found.
 */

export interface Mentions {
  /** As written, in the order of the text. */
  readonly models: readonly string[]
  /** It has a key `host`: its models are perhaps on another server than flag and environment lead to. */
  readonly hasHost: boolean
}

/**
 * Comments, texts in each kind of quotes (templates only without `${…}`), words, and every other character by itself. What a backslash
 * stands before never begins a text: after a quote that nothing ends, each of those that are escaped would look for its end again.
 */
const token =
  /\/\/[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|\\[\s\S]|'((?:[^'\\\n]|\\.)*)'|"((?:[^"\\\n]|\\.)*)"|`((?:[^`\\$]|\\.)*)`|([\w$]+)|[^\s]/g

interface Token {
  readonly kind: 'text' | 'word' | 'sign'
  readonly value: string
}

/** What an open bracket holds: its key, also when it stands in brackets or parentheses below that key. */
interface Bracket {
  readonly sign: string
  readonly key: string | undefined
}

/** TypeScript, JavaScript or JSON; what is none of them has few mentions, and is no error. */
export function mentionsIn(text: string): Mentions {
  const tokens = tokensOf(text)
  const models: string[] = []
  const open: Bracket[] = []
  let hasHost = false
  /** The one before a colon or an equals sign, until its value is over. */
  let key: string | undefined
  for (const [at, { kind, value }] of tokens.entries()) {
    const before = tokens[at - 1]
    const next = tokens[at + 1]
    const inside = open.at(-1)
    if (kind === 'sign') {
      if (value === ',' || value === ';') key = undefined
      if (/[[{(]/.test(value)) {
        open.push({ sign: value, key: key ?? (inside?.sign === '{' ? undefined : inside?.key) })
        key = undefined
      }
      if (/[\]})]/.test(value)) {
        open.pop()
        key = undefined
      }
    } else if (isSign(next, /[:=]/)) {
      key = value
      hasHost ||= value === 'host' && isSign(next, /:/)
    } else if (kind === 'text' && inside?.key === 'models') {
      const isElement = inside.sign === '[' && isSign(before, /[[,]/) && isSign(next, /[\],]/)
      if (isElement || (inside.sign === '{' && key === 'name')) models.push(value)
    }
  }
  return { models, hasHost }
}

function tokensOf(text: string): readonly Token[] {
  return [...text.matchAll(token)].flatMap(([whole, single, double, template, word]): Token[] => {
    const quoted = single ?? double ?? template
    if (quoted !== undefined) return [{ kind: 'text', value: quoted }]
    if (word !== undefined) return [{ kind: 'word', value: word }]
    return /^(?:\/[/*]|\\)/.test(whole) ? [] : [{ kind: 'sign', value: whole }]
  })
}

function isSign(given: Token | undefined, signs: RegExp): boolean {
  return given?.kind === 'sign' && signs.test(given.value)
}
