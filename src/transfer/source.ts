/** Where the bytes of a blob come from, and what an answer must look like to be taken for a part of it. */
import type { Reference } from '../artifact/reference.ts'
import { printable } from '../artifact/text.ts'
import { retryAfterMs } from '../registry/get.ts'
import { mayPass, type Surroundings } from '../registry/problems.ts'
import type { DownloadClient } from '../registry/registry.ts'
import { readBeginning } from '../runtime/body.ts'
import type { HttpResponse } from '../runtime/http.ts'
import type { ByteRange } from './ranges.ts'

export interface BlobSource {
  /** As people know it. */
  readonly host: string
  /** What hints about it speak of. */
  readonly surroundings: Surroundings
  /** Asks for a part, or without a range for all of it, and resolves with whatever is answered. Throws as `DownloadClient.openBlob`. */
  open(range: ByteRange | undefined, signal: AbortSignal): Promise<HttpResponse>
}

export function registrySource(
  client: DownloadClient,
  { reference, insecure, digest, silenceMs }: BlobPlace,
): BlobSource {
  return {
    host: reference.host,
    surroundings: client.surroundings({ reference, insecure }),
    open: (range, signal) => client.openBlob({ reference, insecure, digest, range, silenceMs, signal }),
  }
}

export interface BlobPlace {
  readonly reference: Reference
  readonly insecure: boolean
  readonly digest: string
  /** Longest silence before a new connection is tried, in milliseconds. */
  readonly silenceMs: number
}

/**
 * `again`: it may work at the next try. `gone`: the source does not have it. `refused`: it will say the same at the next try.
 * `whole`: the source does not know ranges.
 */
export type AnswerProblem = 'again' | 'gone' | 'refused' | 'whole'

/** An answer that is not what was asked for. It never reaches a user: the download says what it means. */
export class AnswerError extends Error {
  override readonly name = 'AnswerError'
  readonly problem: AnswerProblem
  /** Where the status itself is what is wrong; the message is then what was said with it. */
  readonly status: number | undefined
  readonly retryAfterMs: number | undefined

  constructor(
    problem: AnswerProblem,
    message: string,
    { status, retryAfterMs }: { readonly status?: number; readonly retryAfterMs?: number | undefined } = {},
  ) {
    super(message)
    this.problem = problem
    this.status = status
    this.retryAfterMs = retryAfterMs
  }
}

const maxIgnoredBytes = 4096
/** Longer than this nobody sits idle: other connections go on meanwhile. */
const maxRetryAfterMs = 60_000

/**
 * The bytes that the answer has. They begin where the range begins, and may end before it does.
 *
 * @param range `undefined` when all of it was asked for
 * @throws {AnswerError} for everything that is no such part; its body is given up
 */
export async function expectPart(
  response: HttpResponse,
  range: ByteRange | undefined,
  sizeBytes: number,
): Promise<ByteRange> {
  const { status } = response
  if (status === 206 || status === 200) {
    const part =
      status === 206 && range !== undefined ? partOf(response, range, sizeBytes) : wholeOf(response, sizeBytes)
    if (part instanceof AnswerError || (range !== undefined && status === 200)) {
      response.cancel()
      throw part instanceof AnswerError ? part : new AnswerError('whole', 'it ignores ranges')
    }
    return part
  }
  const said = printable(await readBeginning(response, maxIgnoredBytes), 200)
  throw new AnswerError(problemOf(status), said, {
    status,
    retryAfterMs: retryAfterMs(response.header('retry-after'), maxRetryAfterMs),
  })
}

function problemOf(status: number): AnswerProblem {
  if (status === 404 || status === 410) return 'gone'
  // Of a range that is right: somebody on the way is confused.
  return mayPass(status) || status === 416 ? 'again' : 'refused'
}

function wholeOf(response: HttpResponse, sizeBytes: number): ByteRange | AnswerError {
  const length = response.header('content-length')
  return (
    encodingProblem(response) ??
    (length !== undefined && Number(length) !== sizeBytes
      ? new AnswerError('again', `it has ${printable(length, 20)} bytes instead of ${sizeBytes}`)
      : { from: 0, to: sizeBytes })
  )
}

function partOf(response: HttpResponse, { from, to }: ByteRange, sizeBytes: number): ByteRange | AnswerError {
  const header = response.header('content-range') ?? ''
  const found = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)$/.exec(header.trim())
  const [first, last, total] = [Number(found?.[1]), Number(found?.[2]), found?.[3]]
  const isAsked = found !== null && first === from && last >= first && last < to
  if (!isAsked || (total !== '*' && Number(total) !== sizeBytes))
    return new AnswerError(
      'again',
      `it sent another part than was asked for (${printable(header, 60) || 'none named'})`,
    )
  return encodingProblem(response) ?? { from, to: last + 1 }
}

/** The digest is that of the bytes as they are stored. */
function encodingProblem(response: HttpResponse): AnswerError | undefined {
  const encoding = response.header('content-encoding') ?? 'identity'
  return /^\s*identity\s*$/i.test(encoding)
    ? undefined
    : new AnswerError('again', `it sent the bytes encoded (${printable(encoding, 20)})`)
}
