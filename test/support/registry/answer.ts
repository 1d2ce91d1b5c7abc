/** One answer: sends what the registry says, or what a fault makes of it. */
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises'
import type { Mutable } from '../ollama-server/exchange.ts'
import { type Faults, whenAborted } from '../ollama-server/faults.ts'
import { type BlobBytes, type ByteRange, filledBytes, keptBytes } from './blob-bytes.ts'
import { manifestType } from './headers.ts'
import type { RegistryFault, RegistryMatch, RegistryRequest } from './options.ts'

export type RegistryFaults = Faults<RegistryMatch, RegistryFault, RegistryRequest>

export interface Reply {
  status: number
  headers: Record<string, string>
  body: BlobBytes
  /** The part of the body that is sent; all of it where there is none. */
  range?: ByteRange
}

export function textReply(
  status: number,
  text: string,
  contentType: string,
  headers: Record<string, string> = {},
): Reply {
  return { status, headers: { ...headers, 'Content-Type': contentType }, body: keptBytes(Buffer.from(text)) }
}

export class Answer {
  readonly request: Mutable<RegistryRequest>
  readonly #incoming: IncomingMessage
  readonly #response: ServerResponse
  readonly #left = new AbortController()

  constructor(incoming: IncomingMessage, response: ServerResponse, request: Mutable<RegistryRequest>) {
    this.request = request
    this.#incoming = incoming
    this.#response = response
    response.on('finish', () => {
      request.finished = true
    })
    response.on('close', () => {
      request.aborted = !request.finished
      this.#left.abort()
    })
    response.on('error', () => {})
  }

  /** `usual` is what the registry answers; it is not asked where a fault answers instead. */
  async give(usual: () => Reply, fault: RegistryFault | undefined, faults: RegistryFaults): Promise<void> {
    if (fault === undefined) return await this.#send(usual())
    switch (fault.kind) {
      case 'stall':
        return await new Promise<void>((resolve) => whenAborted(this.#left.signal, resolve))
      case 'hold':
        await faults.hold(this.#left.signal)
        return await this.#send(usual())
      case 'slow':
        await delay(fault.ms)
        return await this.#send(usual())
      case 'huge':
        return await this.#sendWithoutEnd()
      case 'reset':
      case 'truncate':
      case 'drip':
        return await this.#send(usual(), fault)
      case 'lie':
        return await this.#send(this.#lie(usual()))
      default:
        return await this.#send(this.#instead(fault))
    }
  }

  #instead(
    fault: Extract<RegistryFault, { kind: 'status' | 'redirect' | 'redirect-loop' | 'html' | 'garbage' }>,
  ): Reply {
    const { path, query, headers } = this.request
    switch (fault.kind) {
      case 'status': {
        const reply = textReply(fault.status, fault.body ?? '', 'text/plain; charset=utf-8')
        return { ...reply, headers: { ...reply.headers, ...fault.headers } }
      }
      case 'redirect':
        return textReply(fault.status ?? 307, '', 'text/html; charset=utf-8', { Location: fault.to })
      case 'redirect-loop': {
        const self = `http://${headers['host']}${path}${query === '' ? '' : `?${query}`}`
        return textReply(fault.status ?? 307, '', 'text/html; charset=utf-8', { Location: self })
      }
      case 'html':
        return textReply(200, '<!doctype html><title>Sign in to the network</title>\n', 'text/html; charset=utf-8')
      case 'garbage':
        return textReply(200, '{"schemaVersion":2,"lay', manifestType)
    }
  }

  #lie(reply: Reply): Reply {
    if (this.request.kind !== 'manifest') return { ...reply, body: filledBytes(reply.body.size, { byte: 1 }) }
    const text = Buffer.concat([...reply.body.read(0, reply.body.size)]).toString()
    const other = text.replace(
      /(sha256:[0-9a-f]{63})([0-9a-f])/,
      (_, start, last) => start + (last === '0' ? '1' : '0'),
    )
    return { ...reply, body: keptBytes(Buffer.from(other)) }
  }

  async #send({ status, headers, body, range }: Reply, fault?: RegistryFault): Promise<void> {
    const { from, to } = range ?? { from: 0, to: body.size }
    if (fault?.kind === 'reset' && fault.afterBytes === undefined) {
      this.#incoming.socket.resetAndDestroy()
      return
    }
    this.#head(status, { ...headers, 'Content-Length': String(to - from) })
    const end = this.request.method === 'HEAD' ? from : endOf(from, to, fault)
    for (const chunk of body.read(from, end)) {
      const step = fault?.kind === 'drip' ? (fault.bytes ?? 1) : chunk.length
      for (let at = 0; at < chunk.length; at += step) {
        await this.#write(chunk.subarray(at, at + step))
        if (fault?.kind === 'drip') await nextTurn()
        if (this.#left.signal.aborted) return
      }
    }
    // What was written goes out before the connection does.
    if (fault?.kind === 'reset' || fault?.kind === 'truncate') this.#incoming.socket.destroySoon()
    else this.#response.end()
  }

  async #sendWithoutEnd(): Promise<void> {
    this.#head(200, { 'Content-Type': 'application/json' })
    await this.#write(Buffer.from('{"schemaVersion":2,"padding":"'))
    const chunk = new Uint8Array(64 * 1024).fill(97)
    while (!this.#left.signal.aborted) {
      await this.#write(chunk)
      await nextTurn()
    }
  }

  #head(status: number, headers: Record<string, string>): void {
    if (this.#left.signal.aborted) return
    this.request.status = status
    this.request.responseHeaders = headers
    this.#response.writeHead(status, headers)
    this.#response.flushHeaders()
  }

  async #write(bytes: Uint8Array): Promise<void> {
    if (this.#left.signal.aborted) return
    this.request.bytesSent += bytes.length
    if (this.#response.write(bytes)) return
    await once(this.#response, 'drain', { signal: this.#left.signal }).catch(() => {})
  }
}

function endOf(from: number, to: number, fault: RegistryFault | undefined): number {
  if (fault?.kind === 'truncate') return from + Math.floor((to - from) / 2)
  if (fault?.kind === 'reset') return Math.min(to, from + (fault.afterBytes ?? 0))
  return to
}
