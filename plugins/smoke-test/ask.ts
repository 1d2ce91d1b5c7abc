/**
 * One request to a model, and what is wrong with its answer. With `keep_alive: 0` the server unloads the model by itself when the
 * request has ended, and also when the client has left.
 */
import { type ProbeContext, quoted } from '../../src/plugin.ts'
import type { EmbeddingTest, PromptTest } from './config.ts'

type Client = ProbeContext['client']

/** `null` when all is well. */
export type Verdict = readonly [problem: string, hint: string] | null

export async function answer(test: PromptTest, model: string, client: Client): Promise<Verdict> {
  const { prompt, expect, json, think, options } = test
  const reply = await client.generate({
    model,
    prompt,
    keep_alive: 0,
    options: { temperature: 0, ...options },
    ...(json ? { format: 'json' } : {}),
    ...(think === undefined ? {} : { think }),
  })
  const { response = '', thinking = '', done_reason } = reply
  const said = `answered ${quoted(response)}`
  const hint =
    done_reason === 'length'
      ? 'its answer was cut: raise options.num_predict or num_ctx'
      : 'try the same prompt with "ollama run"'
  if (response === '' && thinking === '') return ['answered nothing', hint]
  if (json && !isJson(response)) return [`${said}, which is no JSON`, hint]
  if (typeof expect === 'string' && !response.includes(expect)) return [`${said}, without ${quoted(expect)}`, hint]
  // Not test(): with the flag g that goes on where the last match ended.
  if (expect instanceof RegExp && response.search(expect) < 0)
    return [`${said}, which ${String(expect)} does not match`, hint]
  return null
}

export async function embed(test: EmbeddingTest, model: string, client: Client): Promise<Verdict> {
  const { input, dimensions, options } = test
  const { embeddings } = await client.embed({
    model,
    input,
    keep_alive: 0,
    ...(options === undefined ? {} : { options }),
  })
  const length = embeddings[0]?.length ?? 0
  if (length > 0 && length === (dimensions ?? length)) return null
  return [
    `gave a vector of ${length} numbers: expected ${dimensions ?? 'some'}`,
    'look whether it is the model that you mean: other versions have other dimensions',
  ]
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
