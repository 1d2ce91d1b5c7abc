/** One part of a blob on its way from the source into the partial file. */
import type { HttpResponse } from '../runtime/http.ts'
import type { Partial } from './partial.ts'
import { AnswerError, type BlobSource, expectPart } from './source.ts'

/** Written at once, and as much again may be on its way: more costs memory and gains nothing. */
const writeBytes = 128 * 1024
/** What a crash may cost per connection. */
const rememberBytes = 8 * 1024 * 1024

export class Part {
  /** The next byte to be received. */
  next: number
  /** The first that does not belong to it; smaller after a split. */
  to: number
  readonly startedMs: number
  readonly startedAt: number

  constructor(from: number, to: number, nowMs: number) {
    this.next = from
    this.startedAt = from
    this.to = to
    this.startedMs = nowMs
  }

  get missingBytes(): number {
    return this.to - this.next
  }

  /** At the rate so far. */
  remainingMs(nowMs: number): number {
    const bytes = this.next - this.startedAt
    return bytes === 0 ? Number.POSITIVE_INFINITY : (this.missingBytes * (nowMs - this.startedMs)) / bytes
  }

  /** Leaves its second half to another. */
  split(nowMs: number): Part {
    const middle = this.next + Math.ceil(this.missingBytes / 2)
    const half = new Part(middle, this.to, nowMs)
    this.to = middle
    return half
  }
}

export interface PartOptions {
  readonly source: BlobSource
  readonly partial: Partial
  /** Ask for all of the blob, and leave out what is there: the source knows no ranges. */
  readonly whole: boolean
  readonly signal: AbortSignal
  /** After each write. */
  readonly onWritten: () => void
}

/**
 * Fetches what is missing of the part, as far as one request brings it. What came is kept also when it fails.
 *
 * @throws {AnswerError} also when the answer ends early
 * @throws what the transport and the disk throw
 */
export async function fetchPart(part: Part, options: PartOptions): Promise<void> {
  const { source, partial, whole, signal, onWritten } = options
  const { sizeBytes } = partial
  const range = whole || (part.next === 0 && part.to === sizeBytes) ? undefined : { from: part.next, to: part.to }
  const response = await source.open(range, signal)
  const promised = await expectPart(response, range, sizeBytes)
  const writer = new PartWriter(partial, part.next, onWritten)
  try {
    await receive(response, part, promised.from, promised.to, writer)
  } finally {
    await writer.finish()
  }
  if (part.missingBytes > 0) throw new AnswerError('again', 'the answer ended early')
}

async function receive(
  response: HttpResponse,
  part: Part,
  from: number,
  to: number,
  writer: PartWriter,
): Promise<void> {
  let at = from
  await response.consume((chunk) => {
    const skip = Math.min(Math.max(0, part.next - at), chunk.byteLength)
    const wanted = chunk.subarray(skip, skip + Math.max(0, part.missingBytes))
    at += chunk.byteLength
    part.next += wanted.byteLength
    // It was split meanwhile, or it sends more than it said: the rest is for nobody.
    if (part.missingBytes === 0 && (at < to || at > part.to)) response.cancel()
    return wanted.byteLength === 0 ? undefined : writer.add(wanted)
  })
}

/** Gathers pieces and writes them one batch at a time. */
class PartWriter {
  readonly #partial: Partial
  readonly #onWritten: () => void
  #pieces: Uint8Array[] = []
  #bytes = 0
  /** Where the next batch goes. */
  #at: number
  #rememberedAt: number
  #crc = 0
  #writing: Promise<void> | undefined

  constructor(partial: Partial, at: number, onWritten: () => void) {
    this.#partial = partial
    this.#at = at
    this.#rememberedAt = at
    this.#onWritten = onWritten
  }

  /** A promise when it has enough for now. */
  add(piece: Uint8Array): Promise<void> | undefined {
    this.#pieces.push(piece)
    this.#bytes += piece.byteLength
    if (this.#bytes < writeBytes) return undefined
    // What is under way first, then this: the reader waits for neither while they are within bounds.
    const earlier = this.#writing
    if (earlier === undefined) {
      this.#writing = this.#write()
      this.#writing.catch(() => {})
      return undefined
    }
    return earlier.then(() => {
      this.#writing = this.#write()
      this.#writing.catch(() => {})
    })
  }

  /** Writes what is left, and remembers all of it. */
  async finish(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing
    if (this.#bytes > 0) await this.#write()
    await this.#remember()
  }

  async #write(): Promise<void> {
    const [pieces, at] = [this.#pieces, this.#at]
    const { crc32 } = process.getBuiltinModule('node:zlib')
    for (const piece of pieces) this.#crc = crc32(piece, this.#crc)
    this.#at += this.#bytes
    this.#pieces = []
    this.#bytes = 0
    await this.#partial.write(pieces, at)
    for (const piece of pieces) giveBack(piece)
    if (this.#at - this.#rememberedAt >= rememberBytes) await this.#remember()
    this.#onWritten()
    this.#writing = undefined
  }

  async #remember(): Promise<void> {
    if (this.#at === this.#rememberedAt) return
    const [from, crc] = [this.#rememberedAt, this.#crc]
    this.#rememberedAt = this.#at
    this.#crc = 0
    await this.#partial.remember({ from, to: this.#at }, crc)
  }
}

/** Of Node 21 and later, and not yet in the types of Node 20. */
const transfer: unknown = Reflect.get(ArrayBuffer.prototype, 'transfer')

/** Frees the memory of bytes that nobody needs any more: the collector would let a hundred megabytes of them gather. */
function giveBack({ buffer, byteLength }: Uint8Array): void {
  // Small pieces share their memory with others.
  if (typeof transfer === 'function' && byteLength >= 4096 && buffer.byteLength === byteLength)
    Reflect.apply(transfer, buffer, [0])
}
