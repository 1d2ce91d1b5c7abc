/** Text from servers and registries, made fit for a terminal: it may come from anyone who can push a model. */

/** Enough for the longest message of a server that helps; a proxy's error page is longer. */
const defaultMaxLength = 500

// More input than this cannot change the result by much, and bounds the work on hostile text.
const readAtMost = 16_384

// CSI, then the string sequences OSC, DCS, SOS, PM and APC, each in its 7-bit and 8-bit form; then two-character escapes.
// A string sequence that never ends is not one: only its introducer goes, or it would swallow the rest of the text. Another
// introducer ends the search: without that, text of nothing but introducers takes quadratic time.
const escapeSequences =
  /(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x90\x98\x9c-\x9f]*(?:\x07|\x1b\\|\x9c)|\x1b[ -/]*[0-~]/g

// What breaks a line or separates words becomes a space. A byte order mark counts as white space in JavaScript only.
const whitespace = /(?:[^\S\ufeff]|\x85)+/g

// C0 and C1 controls but the tab, and DEL; soft hyphen; zero-width characters, line separators and bidi controls (they hide,
// break or reorder what follows); language tags; lone surrogates.
const invisible =
  /[\x00-\x08\x0a-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]|\p{Surrogate}/gu

/**
 * One line of visible text: no escape sequences, no control, zero-width or bidi characters, runs of white space as one
 * space, cut with `…` after `maxLength` UTF-16 units (default 500).
 */
export function printable(text: string, maxLength: number = defaultMaxLength): string {
  const line = text
    .slice(0, readAtMost)
    .replace(escapeSequences, '')
    .replace(whitespace, ' ')
    .replace(invisible, '')
    // Removing an invisible character between two spaces joins them.
    .replace(/ {2,}/g, ' ')
    .trim()
  if (line.length <= maxLength) return line
  // Never half of a surrogate pair.
  return `${line.slice(0, Math.max(0, maxLength - 1)).replace(/[\ud800-\udbff]$/, '')}…`
}

/**
 * One line as it was written, as for a code frame: no escape sequences, no control, zero-width or bidi characters. Tabs and
 * spaces stay, and nothing is cut. Line ends are control characters too.
 */
export function visible(line: string): string {
  return line.replace(escapeSequences, '').replace(invisible, '')
}

/** Whether there is anything that acts on a terminal. What only hides is shown without it, as by {@link printable}. */
export function hasControl(text: string): boolean {
  return /\p{Cc}/u.test(text)
}

// What JSON may hold as it is; the rest is an escape sequence there already. A pair of surrogates is one character.
const invisibleInJson =
  /[\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu

/** JSON in which nothing acts on a terminal, hides or reorders: it says the same. */
export function escapedInvisible(json: string): string {
  return json.replace(invisibleInJson, (character) =>
    character
      .split('')
      .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
      .join(''),
  )
}

/** `1 model`, `2 models`. */
export function counted(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? '' : 's'}`
}

/** A value of the user's or of a server's, in quotes, for a message. */
export function quoted(text: string): string {
  return inQuotes(printable(text, 100))
}

/** As {@link quoted}, for a file or a folder: whole and with its spaces, since people copy it. */
export function quotedPath(path: string): string {
  return inQuotes(visible(path).replaceAll('\t', ' '))
}

/** Backslashes alone are those of paths on Windows, and to be copied as they are. */
function inQuotes(text: string): string {
  return `"${text.includes('"') ? text.replaceAll(/["\\]/g, '\\$&') : text}"`
}

/** As {@link quoted}, for a name that may have been written with a user and a password in front of an `@`. */
export function quotedName(text: string): string {
  const at = text.lastIndexOf('@')
  return quoted(at < 0 || text.startsWith('sha256:', at + 1) ? text : `…${text.slice(at)}`)
}

/**
 * Without these characters at its end. A loop: a regular expression that ends with `$` looks again from each character of a run, which
 * takes the square of its length.
 */
export function withoutEnd(text: string, characters: string): string {
  let end = text.length
  while (end > 0 && characters.includes(text.charAt(end - 1))) end--
  return text.slice(0, end)
}

/** A setting as Ollama reads it from the environment: without spaces and quotes around it. */
export function settingOf(text: string): string {
  return withoutEnd(text.trim().replace(/^["']+/, ''), `"'`)
}

/** Half of a surrogate pair is no character: in its place Go, and so the server, reads and stores U+FFFD. */
export function wellFormed(text: string): string {
  return text.replace(/\p{Surrogate}/gu, '\ufffd')
}
