/** What to throw for a part of a store that the system does not let us read. */
import { quoted } from '../artifact/text.ts'
import { isNotPermitted, OllamaConfigError } from '../errors.ts'
import { reasonOf } from '../runtime/atomic-file.ts'

/** What Deno did not permit passes untouched: its own error says how to. */
export function notReadable(file: string, error: unknown): unknown {
  if (isNotPermitted(error)) return error
  return new OllamaConfigError('store-unreadable', `The store cannot be read: ${quoted(file)}: ${reasonOf(error)}`, {
    hint: 'check the owner and the mode of the folder, or run as the user that Ollama runs as',
    cause: error,
  })
}
