/** Reading the body of an answer, never more than asked for. */
import type { HttpResponse } from './http.ts'
import { TransportError } from './transport-error.ts'

/**
 * The whole body as text.
 *
 * @throws {TransportError} `too-large` when it has more than `maxBytes`; the rest is not fetched
 */
export async function readText(response: HttpResponse, maxBytes: number): Promise<string> {
  return new TextDecoder().decode(await readBytes(response, maxBytes))
}

/**
 * The whole body as it came.
 *
 * @throws {TransportError} `too-large` when it has more than `maxBytes`; the rest is not fetched
 */
export async function readBytes(response: HttpResponse, maxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of response.body) {
    bytes += chunk.byteLength
    if (bytes > maxBytes) throw new TransportError('too-large', `The answer is longer than ${maxBytes} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/**
 * The beginning of a body that is only shown: at most about `maxBytes`. A connection that breaks off ends it early, since what
 * is known by then, the status, matters more.
 *
 * @throws what the connection throws because it was aborted
 */
export async function readBeginning(response: HttpResponse, maxBytes: number): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  let bytes = 0
  try {
    for await (const chunk of response.body) {
      bytes += chunk.byteLength
      text += decoder.decode(chunk, { stream: true })
      if (bytes >= maxBytes) break
    }
  } catch (error) {
    if (!(error instanceof TransportError)) throw error
  }
  return text
}

export interface Line {
  readonly text: string
  /** False for a last line without line end: it may be only the beginning of one. */
  readonly ended: boolean
}

/**
 * The lines of a body, blank ones left out.
 *
 * @throws {TransportError} `too-large` when one line has more than `maxLength` UTF-16 units
 */
export async function* readLines(body: AsyncIterable<Uint8Array>, maxLength: number): AsyncGenerator<Line, undefined> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of body) {
    const text = decoder.decode(chunk, { stream: true })
    const lines = text.split('\n')
    const last = lines.pop() ?? ''
    for (const line of lines) {
      const whole = rest + line
      rest = ''
      if (whole.trim() !== '') yield { text: whole, ended: true }
    }
    rest += last
    if (rest.length > maxLength) throw new TransportError('too-large', `A line is longer than ${maxLength} characters`)
  }
  rest += decoder.decode()
  if (rest.trim() !== '') yield { text: rest, ended: false }
}
