/** Answers of an Ollama server, or of what stands in front of it, that are no success. */
import { printable } from '../artifact/text.ts'
import type { OllamaConfigError } from '../errors.ts'
import { readBeginning } from '../runtime/body.ts'
import type { HttpResponse } from '../runtime/http.ts'
import { buildError } from './build-errors.ts'
import { type CallContext, callOf, fail, notOllamaHint } from './errors.ts'
import { pullError, storeError } from './pull-errors.ts'
import { maxErrorBytes } from './responses.ts'

/** An answer that is no success, of which only the beginning matters. */
export interface FailedAnswer {
  readonly status: number
  /** Its beginning. */
  readonly body: string
  readonly location: string | undefined
}

export async function readFailed(response: HttpResponse): Promise<FailedAnswer> {
  const body = await readBeginning(response, maxErrorBytes)
  return { status: response.status, body, location: response.header('location') }
}

/** Too many requests, and what a proxy says while the server behind it starts. */
const passing: ReadonlySet<number> = new Set([429, 502, 503, 504])

/** What an answer with another status than 200 means. */
export function answerError({ status, body, location }: FailedAnswer, context: CallContext): OllamaConfigError {
  const text = errorText(body)
  const { origin } = context
  const shown = `${origin} answered ${callOf(context)} with status ${status}`
  const said = text === undefined ? shown : `${shown}: ${printable(text)}`
  // What a proxy says on a page of its own is no word of the server.
  const own = text === undefined ? {} : { said: printable(text, 200) }
  const answer = (code: Parameters<typeof fail>[0], message: string, hint?: string) =>
    fail(code, message, hint, context, undefined, { status, retryable: passing.has(status), ...own })

  if (status < 300 || status === 304) return answer('host-not-ollama', `${shown}, where Ollama says 200`, notOllamaHint)
  if (status < 400) {
    const target = location === undefined ? '' : ` that leads to ${withoutUserInfo(location)}`
    return answer('host-not-ollama', `${shown}, a redirect${target}`, 'use the address of the Ollama server itself')
  }
  switch (status) {
    case 400:
      if (text !== undefined && context.path === '/api/create' && !isNameProblem(text)) return buildError(text, context)
      return badRequest(text, said, context)
    case 401:
    case 407:
      return answer(
        'host-unauthorized',
        said,
        'give the credentials that it, or the proxy in front of it, wants under "headers" in the config',
      )
    case 403:
      return forbidden(text, said, context)
    case 404:
      return notFound(text, shown, context)
    case 405:
      return answer('host-not-ollama', said, notOllamaHint)
    case 429:
      return answer('host-error', said, 'wait a little and try again')
    case 502:
    case 504:
      // Ollama answers these only for its cloud, in JSON; anything else is a proxy that finds no server behind it.
      if (text === undefined)
        return answer(
          'host-unreachable',
          `${shown}: the proxy there does not reach Ollama`,
          'check that Ollama runs behind the proxy',
        )
      break
    case 503:
      return answer(
        'host-error',
        said,
        'the server is busy or starting: try again, or raise OLLAMA_MAX_QUEUE where it runs',
      )
  }
  if (text !== undefined && context.path === '/api/pull') return pullError(text, context)
  if (text !== undefined && context.path === '/api/create') return buildError(text, context)
  return (
    storeError(text ?? '', context) ??
    answer('host-error', said, status >= 500 ? 'look at the log of the server' : undefined)
  )
}

/** What the `{"error": "…"}` means that comes after a status which promised none, as in a stream. */
export function lateError(text: string, context: CallContext): OllamaConfigError {
  if (context.path === '/api/pull') return pullError(text, context)
  if (context.path === '/api/create') return buildError(text, context)
  const said = `${callOf(context)} failed: ${printable(text)}`
  return storeError(text, context) ?? fail('host-error', said, 'look at the log of the server', context)
}

/** The text of `{"error": "…"}`; undefined for anything else, such as the page of a proxy. */
function errorText(body: string): string | undefined {
  let value: unknown
  try {
    value = JSON.parse(body)
  } catch {
    return undefined
  }
  const error = typeof value === 'object' && value !== null && 'error' in value ? value.error : undefined
  return typeof error === 'string' ? error : undefined
}

function isNameProblem(text: string): boolean {
  return /^(invalid model name|name ".*" is invalid|model is required|use either :local or :cloud)/s.test(text)
}

/** `invalid model name` (show, pull, create), `name "x" is invalid` (delete), `model is required`. */
function badRequest(text: string | undefined, said: string, context: CallContext): OllamaConfigError {
  if (text !== undefined && context.model !== undefined && isNameProblem(text)) {
    const message = `${context.origin} does not accept the model name "${printable(context.model)}"`
    return fail(
      'invalid-reference',
      message,
      'the tag or name may have a meaning of its own, such as ":local"',
      context,
      undefined,
      { status: 400 },
    )
  }
  const hint =
    text === 'missing request body' ? `a proxy in front of the server drops the body of ${callOf(context)}` : undefined
  return storeError(text ?? '', context) ?? fail('host-error', said, hint, context, undefined, { status: 400 })
}

/** The server's guard against DNS rebinding answers with nothing at all when it does not know the name in the Host header. */
function forbidden(text: string | undefined, said: string, context: CallContext): OllamaConfigError {
  const hint =
    text === undefined
      ? 'an Ollama that listens on loopback takes no foreign Host header: let the reverse proxy set it to "localhost", or check what the proxy allows'
      : /cloud is disabled/.test(text)
        ? 'cloud models are switched off on the server (OLLAMA_NO_CLOUD)'
        : undefined
  return fail('host-forbidden', said, hint, context, undefined, { status: 403 })
}

/** `model 'x' not found`, `model "x" not found` and `…, try pulling it first`, all in JSON. Ollama's other 404s are text. */
function notFound(text: string | undefined, shown: string, context: CallContext): OllamaConfigError {
  const { model } = context
  if (model !== undefined && text !== undefined && /not found|file does not exist/.test(text)) {
    return context.path === '/api/show'
      ? // The same answer when a blob is gone: the listing still has the model then.
        fail(
          'model-not-found',
          `Model "${printable(model)}" is not on ${context.origin}, or a part of it is missing`,
          'pull it, again if it is listed',
          context,
          undefined,
          { status: 404 },
        )
      : fail(
          'model-not-found',
          `Model "${printable(model)}" is not on ${context.origin}`,
          'it may have been deleted meanwhile: plan again',
          context,
          undefined,
          { status: 404 },
        )
  }
  return fail(
    'host-not-ollama',
    `${shown}: it does not look like an Ollama server`,
    `${notOllamaHint}; behind a proxy, the address needs its path prefix`,
    context,
    undefined,
    { status: 404 },
  )
}

/** Whatever looks like user info goes, wherever it stands: what is no proper URL is shown too. */
function withoutUserInfo(location: string): string {
  const parts = location.replace(/[?#].*$/s, '').split('/')
  return printable(parts.map((part) => part.slice(part.lastIndexOf('@') + 1)).join('/'), 200)
}
