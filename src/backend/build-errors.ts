/** Why a build or an upload failed, from the text that the server gives (v0.33 and its recordings). */
import { printable } from '../artifact/text.ts'
import type { OllamaConfigError } from '../errors.ts'
import { type CallContext, callOf, fail } from './errors.ts'
import { type Meaning, storeMeaning } from './pull-errors.ts'

/** What the text of a failed create means. */
export function buildError(text: string, context: CallContext): OllamaConfigError {
  const said = printable(text)
  const { code, problem, hint } = meaningOf(text)
  const model = printable(context.model ?? '')
  return fail(code, `Model "${model}" cannot be built: ${problem}`, hint, context, undefined, { serverMessage: said })
}

function meaningOf(text: string): Meaning {
  const said = printable(text, 300)
  const failed = (problem: string, hint: string): Meaning => ({ code: 'build-failed', problem, hint })
  // Before the disk: its text holds paths that were looked at.
  if (/llama-quantize/.test(text))
    return failed(
      `the server cannot work on GGUF files (${said})`,
      'the server needs llama-quantize, which is part of a full installation of Ollama 0.30 or later',
    )
  const store = storeMeaning(text)
  if (store !== undefined) return store
  const template = /^template error: (.*)$/s.exec(text)?.[1]
  if (template !== undefined)
    return failed(`its template is wrong: ${printable(template, 300)}`, 'mend "template" in the config')
  if (/quantization is only supported/.test(text))
    return failed('only weights in F16, BF16 or F32 can be quantized', 'drop "quantize", or start from such weights')
  if (/unsupported quantization type|unknown quantization/.test(text))
    return failed(`the server does not know this quantization (${said})`, 'choose another "quantize"')
  if (/not in GGUF format|^unknown type|no files provided/.test(text))
    return failed('a file that was given is no GGUF file', 'check "gguf" and "adapters" in the config')
  if (/only one adapter/.test(text)) return failed('the server takes one adapter', 'drop all "adapters" but one')
  if (/^open .*(no such file|cannot find)/is.test(text))
    return failed('a part that was on the server a moment ago is gone', 'try again: it is uploaded anew')
  return failed(said, 'look at the log of the server')
}

/** What an upload was answered with. */
export function uploadError(
  { status, body }: { readonly status: number; readonly body: string },
  context: CallContext,
): OllamaConfigError | undefined {
  if (status !== 400 || !/digest mismatch/.test(body)) return undefined
  return fail(
    'digest-mismatch',
    `What ${context.origin} received at ${callOf(context)} is not what was read when the plan was made`,
    'the file changed meanwhile: plan again',
    context,
    undefined,
    { status },
  )
}
