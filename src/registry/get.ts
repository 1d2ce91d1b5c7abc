/** One question to a registry: sent, read as far as it is wanted, and repeated where that may help. */
import { readBeginning, readBytes } from '../runtime/body.ts'
import { sleep } from '../runtime/sleep.ts'
import { isReset } from '../runtime/transport-error.ts'
import type { Connections } from './connections.ts'
import { mayPass } from './problems.ts'

export interface Question {
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
}

export interface Got {
  readonly status: number
  /** The value of a header by its lower-case name. */
  header(name: string): string | undefined
  /** Of an answer with status 200; else empty. */
  readonly bytes: Uint8Array
  /** The beginning of any other. */
  readonly text: string
}

export interface GetOptions {
  readonly maxBytes: number
  /** How often a request that was reset, or answered with a status that may pass, is repeated. */
  readonly retries: number
  /** Longest pause before the first repetition; it doubles. */
  readonly pauseMs: number
  readonly signal: AbortSignal | undefined
}

const maxErrorBytes = 4 * 1024
/** Longer than this nobody waits for a plan. */
const maxRetryAfterMs = 5000

/** The pause that a server asks for in its header `retry-after`, at most so long. */
export function retryAfterMs(header: string | undefined, mostMs: number): number | undefined {
  return /^\d{1,6}$/.test(header ?? '') ? Math.min(Number(header) * 1000, mostMs) : undefined
}

/** @param question asked anew for each attempt: a signature is good for one. */
export async function get(connections: Connections, question: () => Question, options: GetOptions): Promise<Got> {
  const { maxBytes, retries, pauseMs, signal } = options
  for (let attempt = 0; ; attempt++) {
    const last = attempt >= retries
    let waitMs = Math.random() * pauseMs * 2 ** attempt
    try {
      const got = await once(connections, question(), maxBytes, signal)
      if (last || !mayPass(got.status)) return got
      waitMs = Math.max(waitMs, retryAfterMs(got.header('retry-after'), maxRetryAfterMs) ?? 0)
    } catch (error) {
      if (last || !isReset(error)) throw error
    }
    await sleep(waitMs, signal)
  }
}

/** Answers that are not wanted are read too: then their connection can be used again. */
async function once(
  connections: Connections,
  { url, headers }: Question,
  maxBytes: number,
  signal: AbortSignal | undefined,
): Promise<Got> {
  const { response } = await connections.get(url, headers, signal)
  const { status } = response
  const header = (name: string) => response.header(name)
  if (status === 200) return { status, header, bytes: await readBytes(response, maxBytes), text: '' }
  return { status, header, bytes: new Uint8Array(), text: await readBeginning(response, maxErrorBytes) }
}
