/** SHA-256 of files on another thread, also of one that is still being written: it follows the part that is complete. */
import type { Worker } from 'node:worker_threads'
import { hashHere } from './hash-here.ts'

export type HashOrder =
  | { readonly id: number; readonly file: string }
  /** So much of it is there from its beginning. */
  | { readonly id: number; readonly readyBytes: number; readonly last: boolean }
  | { readonly id: number; readonly cancel: true }

export type HashAnswer =
  | { readonly id: number; readonly hashedBytes: number }
  | { readonly id: number; readonly digest: string }
  | { readonly id: number; readonly error: string; readonly code: string | undefined }

/** One file that is hashed as it grows. */
export interface GrowingHash {
  /** Says how much of the file is there, counted from its beginning; never less than before. */
  advance(readyBytes: number): void
  /** 64 hex digits, of so many bytes. @throws what reading the file throws, and after `cancel` */
  finish(sizeBytes: number): Promise<string>
  cancel(): void
}

interface Waiting {
  readonly onProgress: ((hashedBytes: number) => void) | undefined
  readonly resolve: (digest: string) => void
  readonly reject: (error: Error) => void
}

/** Node 20 runs TypeScript only on its main thread, by tsx: what runs from its sources there has no threads. From JSR there is no file to start one with. */
const canThread =
  import.meta.url.startsWith('file:') &&
  (!import.meta.url.endsWith('.ts') ||
    process.versions['bun'] !== undefined ||
    process.versions['deno'] !== undefined ||
    ('typescript' in process.features && process.features.typescript !== false))

/** To start a thread takes longer than to hash so much. */
const smallBytes = 16 * 1024 * 1024

/** Starts its thread with the first large file. */
export class HashThread {
  #worker: Worker | undefined
  readonly #waiting = new Map<number, Waiting>()
  #lastId = 0

  /**
   * @param sizeBytes What it will have.
   * @param onProgress Told about every 16 MiB
   */
  follow(file: string, sizeBytes: number, onProgress?: (hashedBytes: number) => void): GrowingHash {
    if (sizeBytes <= smallBytes || !canThread) return hashHere(file, onProgress)
    const id = ++this.#lastId
    const digest = new Promise<string>((resolve, reject) => this.#waiting.set(id, { onProgress, resolve, reject }))
    // It may fail before anybody waits for it.
    digest.catch(() => {})
    this.#send({ id, file })
    const send = (readyBytes: number, last: boolean) => {
      // Over already: to wake a thread for it would keep the process alive.
      if (this.#waiting.has(id)) this.#send({ id, readyBytes, last })
    }
    return {
      advance: (readyBytes) => send(readyBytes, false),
      finish: (sizeBytes) => {
        send(sizeBytes, true)
        return digest
      },
      cancel: () => {
        const waiting = this.#waiting.get(id)
        if (waiting === undefined) return
        this.#waiting.delete(id)
        this.#send({ id, cancel: true })
        waiting.reject(new Error('cancelled'))
        this.#rest()
      },
    }
  }

  /** The whole of a file that does not change. */
  async hash(
    file: string,
    sizeBytes: number,
    { signal, onProgress }: { readonly signal?: AbortSignal | undefined; onProgress?(hashedBytes: number): void } = {},
  ): Promise<string> {
    signal?.throwIfAborted()
    const growing = this.follow(file, sizeBytes, onProgress)
    signal?.addEventListener('abort', growing.cancel, { once: true })
    try {
      return await growing.finish(sizeBytes)
    } catch (error) {
      throw signal?.aborted ? signal.reason : error
    } finally {
      signal?.removeEventListener('abort', growing.cancel)
    }
  }

  close(): void {
    void this.#worker?.terminate()
    this.#worker = undefined
    this.#fail(new Error('closed'))
  }

  #send(order: HashOrder): void {
    this.#worker ??= this.#start()
    // An idle thread keeps no process alive.
    this.#worker.ref()
    this.#worker.postMessage(order)
  }

  #start(): Worker {
    const { Worker } = process.getBuiltinModule('node:worker_threads')
    // As a source or as a file of the build.
    const name = import.meta.url.endsWith('.ts') ? 'hash-worker.ts' : 'hash-worker.js'
    const worker = new Worker(new URL(`../runtime/${name}`, import.meta.url), {
      // It holds one buffer; without limits a second heap grows beside the first.
      resourceLimits: { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 64 },
    })
    worker.on('message', (answer: HashAnswer) => this.#take(answer))
    worker.on('error', (error) => {
      // Another one has begun since.
      if (this.#worker !== worker) return
      this.#worker = undefined
      this.#fail(error instanceof Error ? error : new Error(String(error)))
    })
    return worker
  }

  #take(answer: HashAnswer): void {
    const waiting = this.#waiting.get(answer.id)
    if (waiting === undefined) return
    if ('hashedBytes' in answer) {
      waiting.onProgress?.(answer.hashedBytes)
      return
    }
    this.#waiting.delete(answer.id)
    if ('digest' in answer) waiting.resolve(answer.digest)
    else waiting.reject(Object.assign(new Error(answer.error), answer.code === undefined ? {} : { code: answer.code }))
    this.#rest()
  }

  #rest(): void {
    if (this.#waiting.size === 0) this.#worker?.unref()
  }

  #fail(error: Error): void {
    for (const { reject } of this.#waiting.values()) reject(error)
    this.#waiting.clear()
  }
}
