/**
 * Words for a batch file of Windows, which is how npm and most tools of Node are started there. cmd.exe reads its line by rules of its own, in
 * which quotes, percent signs and line ends in a word could begin another command. Pure.
 */
import { quoted } from '../artifact/text.ts'
import { OllamaConfigError } from '../errors.ts'

export function isBatchFile(file: string): boolean {
  return /\.(?:cmd|bat)$/i.test(file)
}

/**
 * What cmd.exe is given, word by word and verbatim, so that the batch file gets these words and nothing in them is run.
 *
 * @throws {OllamaConfigError} `usage` for a word that cannot be passed
 */
export function batchArguments(file: string, words: readonly string[]): string[] {
  const line = [file, ...words].map(batchWord).join(' ')
  // Extensions are what the trick with %cd% needs; without delayed expansion "!" means nothing. /c takes off the outer quotes.
  return ['/e:ON', '/v:OFF', '/d', '/s', '/c', `"${line}"`]
}

function batchWord(word: string): string {
  if (/[\0\r\n]/.test(word))
    throw new OllamaConfigError('usage', `${quoted(word)} cannot be given to a batch file, since it has a line end`, {
      hint: 'put it into a file, or run the program behind the batch file',
    })
  const escaped = word
    // Backslashes count only before a quote, and the closing one is such a quote. A quote is doubled: cmd.exe stays inside.
    .replace(/(\\*)"/g, '$1$1""')
    .replace(/\\+$/, '$&$&')
    // There is no escape for a percent sign: an empty piece of a variable that always is there keeps it from naming another.
    .replaceAll('%', '%%cd:~,%')
  return `"${escaped}"`
}
