/** Brings files of this machine to the host. */

import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { printable } from '../artifact/text.ts'
import { isOllamaConfigError, OllamaConfigError } from '../errors.ts'
import type { PlannedFile } from '../plan/plan.ts'
import { anySignal } from '../runtime/abortable.ts'
import type { Event } from './events.ts'
import { type Host, stalePlan } from './host.ts'
import type { BuildOptions } from './make.ts'
import { StallWatch } from './stall-watch.ts'

const chunkBytes = 1024 * 1024

/** @throws {OllamaConfigError} `stale-plan` for a file that is no longer what was planned, and what the host answers */
export async function* uploadFiles(
  id: string,
  files: readonly PlannedFile[],
  host: Host,
  options: BuildOptions,
): AsyncGenerator<Event, void> {
  const { signal, strict } = options
  if (files.length === 0) return
  const lookup = host.backend.openBlobs()
  try {
    for (const file of files) {
      if (await lookup.has(file, { signal })) continue
      // A plan from elsewhere must not make anybody send a file whose bytes its author does not know.
      if (strict) await assertUnchanged(file, signal)
      yield* uploadFile(id, file, host, options)
    }
  } finally {
    lookup.close()
  }
}

async function* uploadFile(
  id: string,
  { name, file, digest, sizeBytes }: PlannedFile,
  host: Host,
  { signal: stop, stallMs }: BuildOptions,
): AsyncGenerator<Event, void> {
  const status = `uploading ${printable(name, 100)}`
  const watch = new StallWatch(`The upload of "${printable(name, 100)}"`, stallMs)
  const signal = anySignal(stop, watch.signal)
  let sentBytes = 0
  let over = false
  let wake = () => {}
  const counted = async function* () {
    for await (const chunk of bytesOf(file, signal)) {
      sentBytes += chunk.byteLength
      // It answers when it has hashed all of it.
      watch.see({ doing: status, bytes: sentBytes, hashedBytes: sentBytes >= sizeBytes ? sizeBytes : 0 })
      if (sentBytes > sizeBytes) throw changed(file)
      wake()
      yield chunk
    }
    // The host would wait for the rest for ever.
    if (sentBytes < sizeBytes) throw changed(file)
  }
  const uploading = host.backend.upload({ digest, sizeBytes, bytes: counted() }, { signal }).finally(() => {
    watch.stop()
    over = true
    wake()
  })
  // Whoever leaves the loop early has no more use for its error.
  uploading.catch(() => {})
  for (;;) {
    const woken = new Promise<void>((resolve) => {
      wake = resolve
    })
    if (over) break
    yield { type: 'change-progress', id, status, completedBytes: sentBytes, totalBytes: sizeBytes, waiting: false }
    await woken
  }
  await uploading.catch((error: unknown) => {
    if (!isOllamaConfigError(error) || error.code !== 'digest-mismatch') throw error
    const { code, message, hint, details } = error
    // The host knows only the bytes.
    throw new OllamaConfigError(code, `The file "${printable(file, 300)}" has changed. ${message}`, {
      hint,
      details,
      cause: error,
    })
  })
}

async function* bytesOf(file: string, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array, void> {
  try {
    // Of a pipe or a device nobody knows when it ends.
    if (!(await stat(file)).isFile()) throw new Error('it is no file')
    yield* createReadStream(file, { signal, highWaterMark: chunkBytes })
  } catch (error) {
    if (signal?.aborted) throw signal.reason
    throw stalePlan(`The file "${printable(file, 300)}" cannot be read any more (${messageOf(error)})`)
  }
}

async function assertUnchanged({ file, digest }: PlannedFile, signal: AbortSignal | undefined): Promise<void> {
  const hash = process.getBuiltinModule('node:crypto').createHash('sha256')
  for await (const chunk of bytesOf(file, signal)) hash.update(chunk)
  if (`sha256:${hash.digest('hex')}` !== digest) throw changed(file)
}

function changed(file: string): OllamaConfigError {
  return stalePlan(`The file "${printable(file, 300)}" is no longer the one that was planned`)
}

function messageOf(error: unknown): string {
  return error instanceof Error ? printable(error.message, 200) : 'unknown error'
}
