/** Sends a recorded request again and notes the answer in the recording's own terms. */
import { type ClientRequest, type IncomingMessage, request } from 'node:http'

export interface RecordedExchange {
  note?: string
  started_ms_after_first?: number
  request: {
    method: string
    path: string
    headers: Record<string, string>
    body?: unknown
    body_text?: string
    body_base64?: string
  }
  response: {
    status: number
    headers: Record<string, string>
    ended: 'complete' | 'client-aborted' | 'server-closed'
    body?: unknown
    body_text?: string
    lines?: Line[]
  }
}

export interface Recording {
  scenario: string
  description: string
  setup: string[]
  exchanges: RecordedExchange[]
}

export type Line = Record<string, unknown>

export interface Answer {
  status: number
  contentType: string | undefined
  location: string | undefined
  text: string
}

/** Leaves as the recorded client did: as soon as a line says that more than this many bytes are there. */
export async function replay(
  url: string,
  { request: recorded, response }: RecordedExchange,
  onLine: (line: string) => void = () => {},
): Promise<Answer> {
  const { promise, outgoing } = send(url, recorded)
  const incoming = await promise
  const leaveAt = response.ended === 'client-aborted' ? 120e6 : Number.POSITIVE_INFINITY
  const chunks: string[] = []
  let partial = ''
  incoming.setEncoding('utf8')
  try {
    for await (const chunk of incoming as AsyncIterable<string>) {
      chunks.push(chunk)
      const lines = `${partial}${chunk}`.split('\n')
      partial = lines.pop() ?? ''
      for (const line of lines) {
        onLine(line)
        const completed = Number(/"completed":(\d+)/.exec(line)?.[1] ?? 0)
        if (completed > leaveAt) outgoing.destroy()
      }
    }
  } catch (error) {
    if (response.ended !== 'client-aborted') throw error
  }
  const { 'content-type': contentType, location } = incoming.headers
  return { status: incoming.statusCode ?? 0, contentType, location, text: chunks.join('') }
}

function send(
  url: string,
  { method, path, headers, body, body_text, body_base64 }: RecordedExchange['request'],
): { promise: Promise<IncomingMessage>; outgoing: ClientRequest } {
  const { hostname, port } = new URL(url)
  const text = body === undefined ? body_text : JSON.stringify(body)
  const bytes = body_base64 === undefined ? text && Buffer.from(text) : Buffer.from(body_base64, 'base64')
  const length = bytes === undefined ? {} : { 'Content-Length': String(bytes.length) }
  const outgoing = request({ hostname, port, method, path, headers: { ...headers, ...length }, agent: false })
  const promise = new Promise<IncomingMessage>((resolve, reject) => {
    outgoing.on('response', resolve)
    outgoing.on('error', reject)
  })
  outgoing.end(bytes)
  return { promise, outgoing }
}
