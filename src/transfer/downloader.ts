/**
 * Fetches blobs in parts over a number of connections that all downloads share. Parts are handed out from the lowest offset, so that
 * the hash can follow; a connection without work takes half of what a slow one still has to do.
 */

import { abortable } from '../runtime/abortable.ts'
import { HashThread } from '../runtime/hash-thread.ts'
import { sleep } from '../runtime/sleep.ts'
import { BlobDownload, type BlobRequest } from './blob-download.ts'
import type { Part } from './part.ts'
import { notFetched } from './problems.ts'
import { AnswerError } from './source.ts'

export interface DownloaderOptions {
  /** At once, of all downloads together. Default: 4. */
  readonly connections?: number | undefined
  /** Most that one request asks for. Default: 64 MiB. */
  readonly partBytes?: number | undefined
  /** How often in a row a part may fail with hardly a byte in between. Default: 8. */
  readonly attempts?: number | undefined
  /** Longest pause before the first repetition, in milliseconds; it doubles, up to 30 s. Default: 500. */
  readonly pauseMs?: number | undefined
}

export const defaultConnections = 4
const longestPauseMs = 30_000
/** A try that brought so much was no failure. */
const progressBytes = 1024 * 1024
/** A request for less is not worth its round trip. */
const minPartBytes = 8 * 1024 * 1024
/** A part that takes longer than this is worth another connection. */
const slowMs = 2000
/** How often it is looked for such parts. */
const lookEveryMs = 500

export class Downloader {
  readonly #connections: number
  readonly #partBytes: number
  readonly #attempts: number
  readonly #pauseMs: number
  readonly #thread = new HashThread()
  /** With what runs for each, in the order in which they came. */
  readonly #downloads = new Map<BlobDownload, Set<Promise<void>>>()
  readonly #turns = new Map<string, Promise<unknown>>()
  #running = 0
  #watch: ReturnType<typeof setInterval> | undefined

  constructor({ connections, partBytes, attempts, pauseMs }: DownloaderOptions = {}) {
    this.#connections = connections ?? defaultConnections
    this.#partBytes = partBytes ?? 64 * 1024 * 1024
    this.#attempts = attempts ?? 8
    this.#pauseMs = pauseMs ?? 500
  }

  /**
   * Resolves when the file has all bytes and the right hash. It is not synced to the disk, and its journal is there until whoever puts
   * it in its place calls `removeJournal`. What came stays for the next time when it fails, but for wrong bytes.
   *
   * @throws {OllamaConfigError} `registry-error`, `registry-unreachable`, `registry-unauthorized`, `digest-mismatch`, `disk-full`,
   * `file-not-written`, `store-unreadable`
   * @throws `signal.reason` when aborted
   */
  async fetch(request: BlobRequest): Promise<void> {
    const { signal } = request
    signal?.throwIfAborted()
    const download = await BlobDownload.open(request, this.#thread)
    const onAbort = () => download.abort()
    signal?.addEventListener('abort', onAbort, { once: true })
    if (signal?.aborted) onAbort()
    const runs = new Set<Promise<void>>()
    this.#downloads.set(download, runs)
    try {
      this.#pump()
      // All of it may be there already.
      void download.settle().then(() => this.#pump())
      await download.over
    } finally {
      signal?.removeEventListener('abort', onAbort)
      this.#downloads.delete(download)
      await Promise.all(runs)
      await download.close()
    }
  }

  /** One after the other for each key: of two that want the same file, the second finds what the first brought. */
  async inTurn<T>(key: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const before = this.#turns.get(key) ?? Promise.resolve()
    const mine = abortable(before, signal).then(work)
    // Who gives up while waiting lets nobody past the one before.
    const over = Promise.allSettled([before, mine]).then(() => {
      if (this.#turns.get(key) === over) this.#turns.delete(key)
    })
    this.#turns.set(key, over)
    return mine
  }

  /** `sha256:` and 64 hex digits, of a file that is complete. */
  async hash(file: string, sizeBytes: number, signal?: AbortSignal): Promise<string> {
    return `sha256:${await this.#thread.hash(file, sizeBytes, { signal })}`
  }

  close(): void {
    clearInterval(this.#watch)
    this.#thread.close()
  }

  #pump(): void {
    for (let work = this.#next(); work !== undefined; work = this.#next()) this.#start(...work)
    const isIdle = this.#running > 0 && this.#running < this.#connections
    clearInterval(this.#watch)
    this.#watch = isIdle ? setInterval(() => this.#pump(), lookEveryMs) : undefined
  }

  #next(): readonly [BlobDownload, Part] | undefined {
    if (this.#running >= this.#connections) return undefined
    const nowMs = performance.now()
    for (const download of this.#downloads.keys()) {
      const share = Math.ceil(download.todoBytes / this.#connections)
      const part = download.take(Math.min(this.#partBytes, Math.max(minPartBytes, share)), nowMs)
      if (part !== undefined) return [download, part]
    }
    const slow = this.#slowest(nowMs)
    return slow === undefined ? undefined : [slow.download, slow.download.split(slow.part, nowMs)]
  }

  #slowest(nowMs: number): { readonly download: BlobDownload; readonly part: Part } | undefined {
    const parts = [...this.#downloads.keys()].flatMap((download) =>
      [...download.active]
        .filter((part) => download.canSplit(part))
        .map((part) => ({ download, part, remainingMs: part.remainingMs(nowMs) })),
    )
    const [slowest] = parts
      .filter(({ remainingMs }) => remainingMs > slowMs)
      .sort((a, b) => b.remainingMs - a.remainingMs)
    return slowest
  }

  #start(download: BlobDownload, part: Part): void {
    const runs = this.#downloads.get(download)
    this.#running++
    const run = this.#run(download, part)
      .catch((error: unknown) => void download.fail(error))
      .finally(() => {
        this.#running--
        runs?.delete(run)
        this.#pump()
      })
    runs?.add(run)
  }

  async #run(download: BlobDownload, part: Part): Promise<void> {
    for (let failures = 0; ; ) {
      const before = part.next
      try {
        await download.fetch(part)
        break
      } catch (error) {
        failures = part.next - before >= progressBytes ? 1 : failures + 1
        if (failures >= this.#attempts) {
          download.fail(notFetched(download, error, failures))
          return
        }
        // Woken when it is over.
        await sleep(this.#pause(failures, error), download.signal).catch(() => {})
      }
    }
    // Not waited for: the connection is free while the rest is hashed.
    void download.settle().then(() => this.#pump())
  }

  /** Somewhere in a span that doubles, so that many do not come back at the same moment. */
  #pause(failures: number, error: unknown): number {
    const ownMs = Math.random() * Math.min(longestPauseMs, this.#pauseMs * 2 ** (failures - 1))
    // A server that says "at once" again and again is given the time all the same.
    return error instanceof AnswerError ? Math.max(ownMs, error.retryAfterMs ?? 0) : ownMs
  }
}
