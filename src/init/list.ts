/** Lists of models as text: one name a line with `#` comments, as in an `Ollamafile`, or what `ollama list` prints. */
import { nameOfPage, parseReference, referenceKey } from '../artifact/reference.ts'
import { counted, printable, quotedPath } from '../artifact/text.ts'
import { ConfigError, type Diagnostic, isOllamaConfigError, OllamaConfigError } from '../errors.ts'
import type { DraftItem } from './draft.ts'

/** Names under which people keep such a list, in the order in which they are looked for. */
export const listNames = ['Ollamafile', 'ollama-models.txt'] as const

/**
 * Reads a list. Comments and blank lines stay where they are; a model that is named twice counts once.
 *
 * @param file What to call it in messages
 * @throws {ConfigError} with every line that is none
 * @throws {OllamaConfigError} `usage` for a Modelfile
 */
export function readModelList(text: string, file: string): readonly DraftItem[] {
  const lines = text.split(/\r\n|\n|\r/)
  const isTable = /^NAME\s+ID\s+SIZE\b/.test(lines.find((line) => line.trim() !== '') ?? '')
  const items: DraftItem[] = []
  const problems: Diagnostic[] = []
  const known = new Set<string>()
  lines.forEach((line, index) => {
    const [, before = '', comment = ''] = /^(.*?)(?:(?:^|\s)#+\s*(.*))?$/s.exec(line) ?? []
    const name = isTable ? before.trim().split(/\s+/)[0] : nameIn(before)
    if (isTable && name === 'NAME') return
    if (name === undefined || name === '') {
      const last = items.at(-1)
      const isBlank = comment === '' && last !== undefined && 'comment' in last && last.comment === ''
      if (!isBlank && (comment !== '' || items.length > 0)) items.push({ comment })
      return
    }
    try {
      const key = referenceKey(parseReference(name))
      if (!known.has(key)) items.push({ declaration: name, note: comment })
      known.add(key)
    } catch (error) {
      if (!isOllamaConfigError(error)) throw error
      const path = `line ${index + 1}`
      const { code, message, hint } = error
      problems.push({
        severity: 'error',
        code,
        path,
        message: `${path}: ${message}`,
        ...(hint === undefined ? {} : { hint }),
      })
    }
  })
  const first = lines.find((line) => !/^\s*(#|$)/.test(line)) ?? ''
  const isModelfile = /^\s*(?:FROM|PARAMETER|SYSTEM|TEMPLATE|ADAPTER|MESSAGE|LICENSE)\s+\S/i.test(first)
  if (problems.length > 0 && isModelfile && lines.some((line) => /^\s*FROM\s+\S/i.test(line)))
    throw new OllamaConfigError('usage', `${quotedPath(file)} is a Modelfile, and no list of models`, {
      hint: `declare what it builds in a config: { name: 'my-model', modelfile: './${file}' }`,
    })
  if (problems.length > 0) {
    const count = counted(problems.length, 'line')
    throw new ConfigError(
      `Found ${count} in ${quotedPath(file)} that ${problems.length === 1 ? 'is' : 'are'} no model name`,
      problems,
      {
        hint: 'write one name a line, and comments after "#"',
      },
    )
  }
  if (known.size === 0) {
    throw new ConfigError(`There is no model in ${quotedPath(file)}`, [], { hint: 'write one name a line' })
  }
  while (isEmpty(items.at(-1))) items.pop()
  return items
}

function isEmpty(item: DraftItem | undefined): boolean {
  return item !== undefined && 'comment' in item && printable(item.comment) === ''
}

/** Also of a line of a script, and of an address that was copied; without its scheme that may be a name of its own. */
function nameIn(line: string): string {
  const name = line.trim().replace(/^(?:ollama\s+(?:pull|run)|[-*])\s+/, '')
  // What lies below the page of a model may be one file of it: then it is only suggested.
  return (/:\/\/[^/]+\/[^/]+\/[^/]+(?:\/tree\/main)?\/?$/.test(name) ? nameOfPage(name) : undefined) ?? name
}
