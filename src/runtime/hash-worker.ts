/** A thread that hashes files as far as it is told that their bytes are there. What it is asked and answers: hash-thread.ts. */
import { createHash, type Hash } from 'node:crypto'
import { closeSync, openSync, readSync } from 'node:fs'
import { parentPort } from 'node:worker_threads'
import type { HashAnswer, HashOrder } from './hash-thread.ts'
import { hasCode } from './transport-error.ts'

interface Job {
  readonly id: number
  readonly descriptor: number
  readonly hash: Hash
  /** Hashed so far. */
  at: number
  /** There so far. */
  readyBytes: number
  /** All of it; `undefined` until it is known that this will come. */
  endBytes: number | undefined
}

/** Small enough for the processor's cache, so that the hash does not wait for memory. */
const buffer = Buffer.allocUnsafeSlow(256 * 1024)
/** Then it looks whether there are new orders. */
const sliceBytes = 16 * 1024 * 1024

const jobs = new Map<number, Job>()
let working = false

function answer(message: HashAnswer): void {
  parentPort?.postMessage(message)
}

/** The code of the system does not come along with an error. */
function fail(id: number, error: unknown): void {
  const message = error instanceof Error ? error.message : String(error)
  answer({ id, error: message, code: hasCode(error) ? error.code : undefined })
}

function end(job: Job): void {
  jobs.delete(job.id)
  closeSync(job.descriptor)
}

/** @returns whether it has more to do at once */
function work(job: Job): boolean {
  const stop = Math.min(job.readyBytes, job.at + sliceBytes)
  while (job.at < stop) {
    const count = readSync(job.descriptor, buffer, 0, Math.min(buffer.length, stop - job.at), job.at)
    if (count === 0) throw new Error('the file is shorter than it was')
    job.hash.update(buffer.subarray(0, count))
    job.at += count
  }
  if (job.at !== job.endBytes) {
    answer({ id: job.id, hashedBytes: job.at })
    return job.at < job.readyBytes
  }
  end(job)
  answer({ id: job.id, digest: job.hash.digest('hex') })
  return false
}

function turn(): void {
  working = false
  for (const job of [...jobs.values()]) {
    try {
      if (work(job)) working = true
    } catch (error) {
      end(job)
      fail(job.id, error)
    }
  }
  if (working) setImmediate(turn)
}

parentPort?.on('message', (order: HashOrder) => {
  if ('file' in order) {
    try {
      const descriptor = openSync(order.file, 'r')
      const job = { id: order.id, descriptor, hash: createHash('sha256'), at: 0, readyBytes: 0, endBytes: undefined }
      jobs.set(order.id, job)
    } catch (error) {
      fail(order.id, error)
    }
    return
  }
  const job = jobs.get(order.id)
  if (job === undefined) return
  if ('cancel' in order) return end(job)
  job.readyBytes = order.readyBytes
  if (order.last) job.endBytes = order.readyBytes
  if (!working) {
    working = true
    setImmediate(turn)
  }
})
