/** Has an Ollama server load a model into memory, by a request that asks the model nothing. */
import { readText } from '../runtime/body.ts'
import type { HttpClient } from '../runtime/http.ts'
import { answerError, lateError, readFailed } from './answer-errors.ts'
import type { CallOptions } from './backend.ts'
import { type CallContext, toHostError } from './errors.ts'
import { connectHost, type HostBackendOptions, placeOf } from './http.ts'
import { maxJsonBytes, parseJson } from './responses.ts'
import { secretsOf, withoutSecrets } from './secrets.ts'

/** `name`: in the spelling of the server. `keepAlive`: seconds, or text such as `10m`; `undefined` leaves it to the server. */
export type LoadModel = (name: string, keepAlive: string | number | undefined, options?: CallOptions) => Promise<void>

/**
 * Makes the function that loads. It returns once the model is in memory, which may take minutes: only the server has a limit of time, and
 * `silenceMs` and `totalMs` do not count. What has to leave the memory for it is the server's decision.
 *
 * @throws {OllamaConfigError} from that function: `model-not-found`, `host-error` and others
 */
export function createModelLoader(options: HostBackendOptions): LoadModel {
  const { address, headers } = options
  const http = connectHost(options)
  const secrets = secretsOf(address.headers, headers)
  return async (name, keepAlive, { signal } = {}) => {
    let context: CallContext = {
      ...placeOf(address),
      method: 'POST',
      path: '/api/generate',
      model: name,
      serverVersion: null,
    }
    const body = { model: name, ...(keepAlive === undefined ? {} : { keep_alive: keepAlive }) }
    try {
      // Without a prompt it only loads, and answers `done_reason: "load"`. Models that only embed are refused there.
      if ((await ask(http, body, context, signal)) === 'loaded') return
      context = { ...context, path: '/api/embed' }
      await ask(http, body, context, signal)
    } catch (error) {
      if (signal?.aborted) throw signal.reason
      throw withoutSecrets(toHostError(error, context), secrets)
    }
  }
}

async function ask(
  http: HttpClient,
  body: object,
  context: CallContext,
  signal: AbortSignal | undefined,
): Promise<'loaded' | 'only-embeds'> {
  const { method, path } = context
  const headers = { 'content-type': 'application/json' }
  const response = await http.send({ method, path, headers, body: JSON.stringify(body), signal })
  const { status } = response
  if (status === 200) {
    const answer = parseJson(await readText(response, maxJsonBytes), context)
    const { error } = answer
    // As in a stream, an error may come with a status that promised none.
    if (typeof error === 'string') throw lateError(error, context)
    return 'loaded'
  }
  const failed = await readFailed(response)
  const embeds = status === 400 && path === '/api/generate' && failed.body.includes('does not support generate')
  if (embeds) return 'only-embeds'
  throw answerError(failed, context)
}
