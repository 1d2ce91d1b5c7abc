/** One blob on its way: what of it is still to be fetched, by which parts, and the hash that follows. */
import { OllamaConfigError } from '../errors.ts'
import type { Surroundings } from '../registry/problems.ts'
import { notWritten } from '../runtime/atomic-file.ts'
import type { GrowingHash, HashThread } from '../runtime/hash-thread.ts'
import { fetchPart, Part } from './part.ts'
import { Partial } from './partial.ts'
import {
  BlobGoneError,
  diskProblem,
  isDiskError,
  isWorthAnother,
  notFetched,
  notReadBack,
  WrongBytesError,
} from './problems.ts'
import { bytesIn, missingRanges, type Ranges } from './ranges.ts'
import { AnswerError, type BlobSource } from './source.ts'

export interface BlobRequest {
  /** `sha256:` and 64 hex digits. */
  readonly digest: string
  readonly sizeBytes: number
  /** Where the bytes are gathered; beside it lies a journal. Its folder is there. */
  readonly file: string
  readonly source: BlobSource
  /** Bytes that are there; runs backwards when it has to begin anew. */
  readonly onProgress?: ((completedBytes: number) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

/** A split costs a connection: below this it gains nothing. Of a part of which nothing came yet it is not known that it is slow. */
const minSplitBytes = 256 * 1024
const minUnknownBytes = 16 * 1024 * 1024
/** The hash is told in steps: each is a message to another thread. */
const hashStepBytes = 4 * 1024 * 1024

export class BlobDownload {
  readonly digest: string
  readonly sizeBytes: number
  #parts = new AbortController()
  readonly #request: BlobRequest
  readonly #thread: HashThread
  readonly #partial: Partial
  #todo: Ranges
  readonly #active = new Set<Part>()
  #hash: GrowingHash
  /** The one whose end is waited for. */
  #settling: GrowingHash | undefined
  #toldBytes = 0
  /** The source knows no ranges, or gave wrong bytes in parts. */
  #whole = false
  #begunAnew = false
  #end: { readonly error?: unknown } | undefined
  /** Settles when all bytes are there and right, or with why they are not. */
  readonly over: Promise<void>
  #settleOver: (error?: unknown) => void = () => {}

  private constructor(request: BlobRequest, partial: Partial, thread: HashThread) {
    this.digest = request.digest
    this.sizeBytes = request.sizeBytes
    this.#request = request
    this.#partial = partial
    this.#thread = thread
    this.over = new Promise((resolve, reject) => {
      this.#settleOver = (error) => (error === undefined ? resolve() : reject(error))
    })
    // It may fail before anybody waits for it.
    this.over.catch(() => {})
    this.#todo = missingRanges(partial.ranges, request.sizeBytes)
    this.#hash = thread.follow(partial.file, request.sizeBytes)
    this.#tell()
  }

  /** @throws {OllamaConfigError} `disk-full`, `file-not-written` */
  static async open(request: BlobRequest, thread: HashThread): Promise<BlobDownload> {
    const { file, sizeBytes, signal } = request
    const partial = await Partial.open(file, sizeBytes, signal).catch((error: unknown) => {
      throw signal?.aborted ? signal.reason : notWritten(file, error)
    })
    try {
      return new BlobDownload(request, partial, thread)
    } catch (error) {
      await partial.close()
      throw error
    }
  }

  get host(): string {
    return this.#request.source.host
  }

  get surroundings(): Surroundings {
    return this.#request.source.surroundings
  }

  get isOver(): boolean {
    return this.#end !== undefined
  }

  /** Up when what is under way shall be given up. */
  get signal(): AbortSignal {
    return this.#parts.signal
  }

  /** What nobody fetches yet. */
  get todoBytes(): number {
    return bytesIn(this.#todo)
  }

  get active(): ReadonlySet<Part> {
    return this.#active
  }

  /** The first of what nobody fetches yet, so that the hash can follow. */
  take(mostBytes: number, nowMs: number): Part | undefined {
    const [first, ...rest] = this.#todo
    if (first === undefined || this.isOver) return undefined
    const to = this.#whole ? first.to : Math.min(first.to, first.from + mostBytes)
    this.#todo = to === first.to ? rest : [{ from: to, to: first.to }, ...rest]
    return this.#begin(new Part(first.from, to, nowMs))
  }

  /** The half of a part that is slow, for a connection with nothing to do. */
  split(part: Part, nowMs: number): Part {
    return this.#begin(part.split(nowMs))
  }

  canSplit(part: Part): boolean {
    const least = part.next === part.startedAt ? minUnknownBytes : minSplitBytes
    return !this.#whole && !this.isOver && part.missingBytes >= least
  }

  /**
   * One try at a part.
   *
   * @returns whether it is done with: complete, or of no use any more
   * @throws {AnswerError} and what the transport and a sign-in throw, when another try may help
   */
  async fetch(part: Part): Promise<boolean> {
    const { signal } = this.#parts
    if (this.#isOfNoUse(part)) return true
    try {
      await fetchPart(part, {
        source: this.#request.source,
        partial: this.#partial,
        whole: this.#whole,
        signal,
        onWritten: () => this.#tell(),
      })
    } catch (error) {
      if (this.#isOfNoUse(part) || signal.aborted) return true
      if (error instanceof AnswerError && error.problem === 'whole') {
        this.#withoutRanges()
        return true
      }
      if (error instanceof AnswerError && error.problem === 'gone') return this.fail(new BlobGoneError(this, error))
      if (error instanceof OllamaConfigError && !error.retryable) return this.fail(error)
      if (isDiskError(error)) {
        const { file, ranges } = this.#partial
        return this.fail(await diskProblem(error, file, this.sizeBytes - bytesIn(ranges)))
      }
      if (!isWorthAnother(error)) return this.fail(notFetched(this, error, 1))
      throw error
    }
    this.#finishPart(part)
    return true
  }

  /** @returns true, for whoever is to give up the part that failed */
  fail(error: unknown): true {
    this.#finish({ error })
    return true
  }

  /** Called when the caller's signal is up. */
  abort(): void {
    this.#finish({ error: this.#request.signal?.reason })
  }

  /** Lets go of the files once no part writes any more. */
  async close(): Promise<void> {
    this.#hash.cancel()
    const isDone = this.#end !== undefined && !('error' in this.#end)
    // Nothing in it is of use: it would only be one more file to wonder about.
    const isUseless = this.#end?.error instanceof WrongBytesError || this.#partial.ranges.length === 0
    if (isUseless && !isDone) await this.#partial.discard()
    else await this.#partial.close()
  }

  /** When everything is there. */
  async settle(): Promise<void> {
    if (this.isOver || this.#active.size > 0 || this.#todo.length > 0) return
    const hash = this.#hash
    if (this.#settling === hash) return
    this.#settling = hash
    let found: string
    try {
      found = await hash.finish(this.sizeBytes)
    } catch (error) {
      if (this.#hash === hash) this.fail(notReadBack(this.#partial.file, error))
      return
    }
    if (this.isOver || this.#hash !== hash) return
    if (`sha256:${found}` === this.digest) return this.#finish({})
    // Once more, without ranges: some get those wrong, and it costs nothing but time.
    if (this.#begunAnew) this.fail(new WrongBytesError(this))
    else await this.#beginAnew().catch((error: unknown) => this.fail(notWritten(this.#partial.file, error)))
  }

  #begin(part: Part): Part {
    this.#active.add(part)
    return part
  }

  #isOfNoUse(part: Part): boolean {
    return this.isOver || !this.#active.has(part)
  }

  #finishPart(part: Part): void {
    this.#active.delete(part)
    this.#tell()
  }

  /** One connection goes on from where there is no gap before. */
  #withoutRanges(): void {
    this.#whole = true
    this.#giveUpParts()
    const from = this.#partial.frontierBytes
    this.#todo = from < this.sizeBytes ? [{ from, to: this.sizeBytes }] : []
  }

  async #beginAnew(): Promise<void> {
    this.#begunAnew = true
    this.#whole = true
    this.#giveUpParts()
    this.#hash.cancel()
    await this.#partial.reset()
    this.#hash = this.#thread.follow(this.#partial.file, this.sizeBytes)
    this.#toldBytes = 0
    this.#todo = [{ from: 0, to: this.sizeBytes }]
    this.#tell()
  }

  #giveUpParts(): void {
    this.#active.clear()
    this.#parts.abort()
    this.#parts = new AbortController()
  }

  #tell(): void {
    const { frontierBytes, ranges } = this.#partial
    if (frontierBytes - this.#toldBytes >= hashStepBytes) {
      this.#toldBytes = frontierBytes
      this.#hash.advance(frontierBytes)
    }
    this.#request.onProgress?.(bytesIn(ranges))
  }

  #finish(end: { readonly error?: unknown }): void {
    if (this.#end !== undefined) return
    this.#end = end
    this.#todo = []
    this.#giveUpParts()
    this.#settleOver('error' in end ? (end.error ?? new Error('aborted')) : undefined)
  }
}
