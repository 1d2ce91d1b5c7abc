/** What `docs/errors.md` says of an error: the file comes with the package, so that it can be read where there is no network. */
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { type ErrorCode, errorCodes, isNotPermitted, OllamaConfigError } from '../errors.ts'
import { wrap } from './views/text.ts'

/** As far from dist/chunks/ as from src/cli/. */
const page = new URL('../../docs/errors.md', import.meta.url)

/** All codes, a line each. */
export function listErrors(program: string): string {
  const codes = errorCodes.map((code) => `  ${code}\n`).join('')
  return `Codes of errors:\n${codes}\nMore of one: ${program} help CODE\nAll of it:   ${fileURLToPath(page)}\n`
}

/** @throws {OllamaConfigError} `internal` when the page is not where it belongs */
export async function explain(code: ErrorCode, columns = 80): Promise<string> {
  const file = fileURLToPath(page)
  const text = await readFile(page, 'utf8').catch((cause: unknown) => {
    if (isNotPermitted(cause)) throw cause
    throw new OllamaConfigError('internal', `The page "${file}" cannot be read`, { hint: 'install it anew', cause })
  })
  const section = text.split(/^## /m).find((part) => part.startsWith(`${code}\n`)) ?? code
  const [title = code, ...lines] = section.trim().split('\n')
  const paragraphs = lines
    .join('\n')
    .trim()
    .split(/\n{2,}/)
    .map((paragraph) =>
      wrap(paragraph.replaceAll('\n', ' ').replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1'), columns).join('\n'),
    )
  return `${[title, ...paragraphs, `All errors: ${file}`].join('\n\n')}\n`
}
