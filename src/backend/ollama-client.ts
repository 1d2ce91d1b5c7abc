/**
 * The npm client `ollama`, on our transport. The only file that imports it; it is imported when a host is to be changed or
 * asked about one model, since loading it costs 24 ms on Node 20 and a plan needs none of it.
 */
// The other entry point adds only a check that refuses a create whose base is also the name of a local file.

import { Ollama } from 'ollama/browser'
import type { StoredMessage } from '../artifact/derived.ts'
import { isRecord } from '../artifact/json-text.ts'
import { anySignal } from '../runtime/abortable.ts'
import { type Line, readLines, readText } from '../runtime/body.ts'
import type { HttpClient, HttpResponse } from '../runtime/http.ts'
import { answerError, lateError, readFailed } from './answer-errors.ts'
import type { CreateRequest } from './backend.ts'
import { type CallContext, streamEnded } from './errors.ts'
import { maxJsonBytes, notJson, parseJson, wrongShape } from './responses.ts'

/** Far above any line of a pull; an error line may hold what a registry answered. */
const maxLineLength = 1_048_576

/** The client as programs know it. */
export type OllamaClient = Ollama

export interface ClientCall {
  /** For one call. */
  readonly client: Ollama
  /** Ends the call wherever it is; without effect afterwards. The client does not do it when its iterator is left. */
  close(): void
  /** The text of the `{"error"}` line that ended the stream: the client throws it as a plain `Error`. */
  readonly streamError: string | undefined
}

/** As of `HttpRequest`: what is left out is unlimited. */
export interface Limits {
  readonly silenceMs?: number
  readonly totalMs?: number
}

export interface ClientCallOptions {
  readonly context: CallContext
  readonly signal?: AbortSignal | undefined
  readonly limits: Limits
}

/** A client whose only call is described by the options: the client's own methods take no signal. */
export function createClientCall(http: HttpClient, { context, signal, limits }: ClientCallOptions): ClientCall {
  let response: HttpResponse | undefined
  let streamError: string | undefined

  async function send(input: string | URL | Request, init: RequestInit = {}): Promise<Response> {
    const { pathname } = new URL(input instanceof Request ? input.url : input)
    response = await http.send({
      method: init.method,
      path: pathname,
      headers: Object.fromEntries(new Headers(init.headers)),
      body: typeof init.body === 'string' ? init.body : undefined,
      signal,
      ...limits,
    })
    const { status } = response
    if (status < 200 || status > 299) {
      // The client would print to the console for every body that is not JSON.
      throw answerError(await readFailed(response), context)
    }
    if (context.path === '/api/pull' || context.path === '/api/create')
      return new Response(streamOf(checkedLines(response)))
    const text = await readText(response, maxJsonBytes)
    // The answers to a delete and a copy are empty. Everything else is JSON, and what is not is told here with its place.
    if (context.path !== '/api/delete' && context.path !== '/api/copy') parseJson(text, context)
    return new Response(text)
  }

  /** The client prints a line that is no JSON as a warning and goes on; here it ends the call. */
  async function* checkedLines({ body }: HttpResponse): AsyncGenerator<Uint8Array<ArrayBuffer>, undefined> {
    const encoder = new TextEncoder()
    for await (const line of readLines(body, maxLineLength)) {
      streamError = checkLine(line, context)
      yield encoder.encode(`${line.text}\n`)
    }
    // The client would say this too, in an error that only its text tells apart.
    if (streamError === undefined) throw streamEnded(context)
  }

  return {
    // A placeholder: the transport knows the address, and the client reads some addresses otherwise than Ollama does.
    client: new Ollama({ host: 'http://localhost', fetch: send }),
    close: () => response?.cancel(),
    get streamError() {
      return streamError
    },
  }
}

/** The client's type lacks `files` and others, and wants lists that it may change; it sends what it is given. */
export function startCreate(client: Ollama, model: string, request: CreateRequest) {
  const { messages, license, ...rest } = request
  return client.create({
    model,
    stream: true,
    ...rest,
    ...(license === undefined ? {} : { license: [...license] }),
    ...(messages === undefined ? {} : { messages: messages.map(copyOf) }),
  })
}

function copyOf({ role, content, thinking, images, tool_calls, tool_name, tool_call_id }: StoredMessage) {
  return {
    role,
    content,
    ...(thinking === undefined ? {} : { thinking }),
    ...(images === undefined ? {} : { images: [...images] }),
    ...(tool_calls === undefined ? {} : { tool_calls: [...tool_calls] }),
    ...(tool_name === undefined ? {} : { tool_name }),
    ...(tool_call_id === undefined ? {} : { tool_call_id }),
  }
}

export interface HostClientOptions {
  /** Ends every call, whether it is answered or read. */
  readonly signal: AbortSignal
  /** What a call is to messages. */
  readonly contextOf: (method: string, path: string, model: string | undefined) => CallContext
  /** What to throw for whatever went wrong. */
  readonly failureOf: (error: unknown, context: CallContext) => unknown
}

/** A client for any number of calls, streams included. No limit of time but the signal: loading a model takes minutes. */
export function createHostClient(http: HttpClient, { signal, contextOf, failureOf }: HostClientOptions): OllamaClient {
  async function send(input: string | URL | Request, init: RequestInit = {}): Promise<Response> {
    const { pathname } = new URL(input instanceof Request ? input.url : input)
    const { method = 'GET', headers, body } = init
    const text = typeof body === 'string' ? body : undefined
    const context = contextOf(method, pathname, modelIn(text))
    // A stream brings a signal of its own, which goes up when the program ends it.
    const own = init.signal ?? undefined
    const failure = (error: unknown) => (own?.aborted ? own.reason : failureOf(error, context))
    try {
      const response = await http.send({
        method,
        path: pathname,
        headers: Object.fromEntries(new Headers(headers)),
        body: text,
        signal: anySignal(signal, own),
      })
      const { status } = response
      if (status >= 200 && status <= 299) return new Response(streamOf(piecesOf(response, context, failure)))
      throw answerError(await readFailed(response), context)
    } catch (error) {
      throw failure(error)
    }
  }

  return new Ollama({ host: 'http://localhost', fetch: send })
}

async function* piecesOf(
  { body, header }: HttpResponse,
  context: CallContext,
  failure: (error: unknown) => unknown,
): AsyncGenerator<Uint8Array<ArrayBuffer>, undefined> {
  try {
    if (/ndjson/.test(header('content-type') ?? '')) {
      const encoder = new TextEncoder()
      for await (const { text } of readLines(body, maxJsonBytes)) {
        // The client would throw its words as they are.
        const error = errorIn(text)
        if (error !== undefined) throw lateError(error, context)
        yield encoder.encode(`${text}\n`)
      }
    } else for await (const piece of body) yield new Uint8Array(piece)
  } catch (error) {
    throw failure(error)
  }
}

/** Of a line of a stream. What is no JSON the client tells of. */
function errorIn(line: string): string | undefined {
  try {
    const value: unknown = JSON.parse(line)
    return isRecord(value) && typeof value['error'] === 'string' ? value['error'] : undefined
  } catch {
    return undefined
  }
}

/** Whom a request is about: the client says `name` for a pull, a push and a deletion, and `source` for a copy. */
function modelIn(body: string | undefined): string | undefined {
  const fields: unknown = body === undefined ? undefined : JSON.parse(body)
  if (!isRecord(fields)) return undefined
  return [fields['model'], fields['name'], fields['source']].find((value) => typeof value === 'string')
}

/** As `ReadableStream.from`, which TypeScript's DOM library does not know. */
function streamOf(pieces: AsyncGenerator<Uint8Array<ArrayBuffer>, undefined>): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await pieces.next()
      if (done === true) controller.close()
      else controller.enqueue(value)
    },
    async cancel() {
      await pieces.return(undefined)
    },
  })
}

/** Returns the error that the line tells. */
function checkLine({ text, ended }: Line, context: CallContext): string | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    // Half a line at the end is what a server leaves that stopped.
    throw ended ? notJson(text, context) : streamEnded(context)
  }
  if (!isRecord(value)) throw notJson(text, context)
  if (!('error' in value)) return undefined
  if (typeof value['error'] !== 'string') throw wrongShape('"error"', 'a text', context)
  return value['error']
}
