/** One request and its answer: sends as the recorded server does, and lets a fault spoil it. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { type Faults, spoilListing, whenAborted } from './faults.ts'
import { goJson } from './json-body.ts'
import type { Fault, ServerRequest } from './options.ts'

/** The answer is over, by a fault or because the client left: the handler has nothing more to do. */
export class AnswerOver extends Error {}

export type Mutable<T> = { -readonly [K in keyof T]: T[K] }

/** Errors found before a stream starts; those that come as its first message have no charset. */
export const jsonType = 'application/json; charset=utf-8'
export const streamErrorType = 'application/json'

/** An error answer found before any stream: thrown by whoever finds it, sent in one place. */
export class Refusal extends Error {
  readonly status: number
  readonly contentType: string

  constructor(status: number, message: string, contentType = jsonType) {
    super(message)
    this.status = status
    this.contentType = contentType
  }
}

export interface LineWriter {
  line(value: object): Promise<void>
  end(): Promise<void>
}

/** For requests with `stream: false`: the same lines are made and thrown away. */
export const silentWriter: LineWriter = { line: async () => {}, end: async () => {} }

export class Exchange {
  readonly request: Mutable<ServerRequest>
  readonly #incoming: IncomingMessage
  readonly #response: ServerResponse
  readonly #faults: Faults
  #fault: Fault | undefined
  readonly #left = new AbortController()

  constructor(incoming: IncomingMessage, response: ServerResponse, request: Mutable<ServerRequest>, faults: Faults) {
    this.request = request
    this.#incoming = incoming
    this.#response = response
    this.#faults = faults
    response.on('close', () => {
      if (!response.writableFinished) this.#over()
    })
    response.on('error', () => this.#over())
  }

  /** Aborted when the client left or a fault ended the answer. */
  get signal(): AbortSignal {
    return this.#left.signal
  }

  #over(): void {
    this.request.aborted = !this.request.finished
    this.#left.abort()
  }

  /** True when the fault kept the request from the server. */
  async meet(fault: Fault | undefined): Promise<boolean> {
    this.#fault = fault
    if (fault === undefined) return false
    switch (fault.kind) {
      case 'refuse':
        this.#destroy()
        return true
      case 'status':
        this.#send(fault.status, fault.body ?? '', fault.contentType ?? 'text/plain; charset=utf-8')
        return true
      case 'body':
        this.#send(200, fault.body, fault.contentType ?? jsonType)
        return true
      case 'stall':
        if (isAtOnce(fault)) this.#probe()
        return isAtOnce(fault)
      case 'hold':
        if (isAtOnce(fault)) await this.#probing(this.#faults.hold(this.signal))
        return this.signal.aborted
      case 'slow':
        await delay(fault.msPerLine)
        return this.signal.aborted
      default:
        return false
    }
  }

  /** Takes in the body of an upload, at most until a fault stops that. */
  async receive(): Promise<void> {
    const fault = this.#fault
    const stopAt = fault !== undefined && 'afterBytes' in fault ? fault.afterBytes : undefined
    const chunks: Uint8Array[] = []
    let isStruck = false
    try {
      for await (const chunk of this.#incoming as AsyncIterable<Uint8Array>) {
        chunks.push(chunk)
        this.request.bodyBytes += chunk.length
        if (isStruck || fault === undefined || stopAt === undefined || this.request.bodyBytes < stopAt) continue
        isStruck = true
        await this.#probing(this.#strike(fault, ''))
      }
    } catch (error) {
      if (!(error instanceof AnswerOver)) this.#over()
      throw new AnswerOver()
    }
    if (this.signal.aborted) throw new AnswerOver()
    this.request.body = Buffer.concat(chunks)
  }

  /**
   * Sends interim answers, which clients ignore, until the answer is over: nothing else tells that the client of an upload
   * has left while its body is not read.
   */
  #probe(): NodeJS.Timeout | undefined {
    if (this.#incoming.complete) return undefined
    const timer = setInterval(() => this.#response.writeProcessing(), 20)
    whenAborted(this.signal, () => clearInterval(timer))
    return timer
  }

  async #probing(waits: Promise<void>): Promise<void> {
    const timer = this.#probe()
    await waits.finally(() => clearInterval(timer))
  }

  json(status: number, value: unknown, contentType = jsonType): void {
    this.#answer(status, goJson(this.#edited(value)), contentType)
  }

  error(status: number, message: string, contentType = jsonType): void {
    this.#answer(status, goJson({ error: message }), contentType)
  }

  text(status: number, text: string, contentType = 'text/plain', headers: Record<string, string> = {}): void {
    this.#answer(status, text, contentType, headers)
  }

  /** A status with no body at all; HEAD of a blob that is there has not even a length. */
  empty(status: number): void {
    this.#answer(status, '', undefined)
  }

  #edited(value: unknown): unknown {
    if (this.#fault?.kind === 'edit') return this.#fault.edit(structuredClone(value))
    if (this.#fault?.kind === 'corrupt-listing') return spoilListing(value, this.#fault.defect)
    return value
  }

  #answer(status: number, text: string, contentType: string | undefined, headers: Record<string, string> = {}): void {
    const fault = this.#fault
    if (fault?.kind === 'reset') {
      const bytes = Buffer.from(text)
      if (fault.afterBytes === undefined) {
        this.#destroy()
        return
      }
      this.#head(status, contentType, { ...headers, 'Content-Length': String(bytes.length) })
      this.#response.write(bytes.subarray(0, fault.afterBytes), () => this.#destroy())
      return
    }
    const cut = fault?.kind === 'truncate' || fault?.kind === 'end'
    this.#send(status, cut ? text.slice(0, Math.floor(text.length / 2)) : text, contentType, headers)
  }

  #send(status: number, text: string, contentType: string | undefined, headers: Record<string, string> = {}): void {
    const length = Buffer.byteLength(text)
    // Go gives a length only to what fits its buffer.
    this.#head(status, contentType, { ...headers, ...(length > 2048 ? {} : { 'Content-Length': String(length) }) })
    this.#finish(text)
  }

  #head(status: number, contentType: string | undefined, headers: Record<string, string>): void {
    if (this.#response.headersSent || this.#response.destroyed) return
    this.request.status = status
    this.#response.writeHead(status, {
      ...(contentType === undefined ? {} : { 'Content-Type': contentType }),
      ...headers,
    })
  }

  #finish(text = ''): void {
    this.request.finished = true
    this.#response.end(text)
  }

  #destroy(): void {
    this.#incoming.socket.destroy()
    this.#over()
  }

  /** One JSON value a line. The header goes out with the first line, as in the recordings. */
  stream(): LineWriter {
    let written = 0
    let bytesLeft = this.#fault?.kind === 'reset' ? (this.#fault.afterBytes ?? Number.POSITIVE_INFINITY) : undefined
    const start = () => {
      this.#head(200, 'application/x-ndjson', {})
      this.#response.flushHeaders()
    }
    const put = (text: string) => {
      start()
      const bytes = Buffer.from(text)
      if (bytesLeft !== undefined && bytes.length > bytesLeft) {
        this.#response.write(bytes.subarray(0, bytesLeft), () => this.#destroy())
        throw new AnswerOver()
      }
      if (bytesLeft !== undefined) bytesLeft -= bytes.length
      const size = this.#fault?.kind === 'pieces' ? this.#fault.bytes : bytes.length
      for (let at = 0; at < bytes.length; at += size) this.#response.write(bytes.subarray(at, at + size))
    }
    const beforeLine = async (next: string) => {
      if (this.signal.aborted) throw new AnswerOver()
      const fault = this.#fault
      if (fault?.kind === 'slow') await delay(fault.msPerLine)
      if (fault !== undefined && 'afterLines' in fault && fault.afterLines === written) {
        start()
        await this.#strike(fault, next)
      }
      if (fault?.kind === 'line' && fault.afterLines === undefined) await this.#strike(fault, next)
      if (fault?.kind === 'pieces') await delay(0)
      if (this.signal.aborted) throw new AnswerOver()
    }
    return {
      line: async (value) => {
        const text = `${goJson(value)}\n`
        await beforeLine(text)
        written++
        put(text)
      },
      end: async () => {
        await beforeLine('')
        if (this.#fault?.kind === 'reset' && this.#fault.afterLines === undefined) return this.#destroy()
        start()
        this.#finish()
      },
    }
  }

  async #strike(fault: Fault, next: string): Promise<void> {
    switch (fault.kind) {
      case 'reset':
        // A turn of the event loop, so that what was written is sent before the socket goes.
        await delay(5)
        this.#destroy()
        break
      case 'stall':
        await new Promise<void>((resolve) => whenAborted(this.signal, resolve))
        break
      case 'hold':
        return await this.#faults.hold(this.signal)
      case 'end':
        this.#finish()
        break
      case 'truncate':
        this.#finish(next.slice(0, Math.floor(next.length / 2)))
        break
      case 'line':
        this.#head(200, 'application/x-ndjson', {})
        this.#finish(`${fault.line}\n`)
        break
      default:
        return
    }
    this.#left.abort()
    throw new AnswerOver()
  }
}

function isAtOnce(fault: { afterBytes?: number; afterLines?: number }): boolean {
  return fault.afterLines === undefined && fault.afterBytes === undefined
}
