/** Files of this machine that a plan needs: their bytes, by digest. */
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { printable } from '../artifact/text.ts'
import { OllamaConfigError } from '../errors.ts'
import type { LocalFile } from '../plan/state.ts'

/** A file as it was when it was read. */
export interface ReadFile {
  readonly digest: string
  readonly sizeBytes: number
  /** When it was last changed, epoch milliseconds. */
  readonly modifiedMs: number
}

export type FileReader = (file: LocalFile) => Promise<ReadFile>

/**
 * Reads files once each, and not at all where size and time are those of an earlier reading: weights have gigabytes.
 *
 * @param known By absolute path
 */
export function createFileReader(known: ReadonlyMap<string, ReadFile>, signal: AbortSignal | undefined): FileReader {
  const read = new Map<string, Promise<ReadFile>>()
  return ({ file }) => {
    const reading = read.get(file) ?? readOnce(file, known.get(file), signal)
    read.set(file, reading)
    return reading
  }
}

/** @throws {OllamaConfigError} `config-invalid` when it cannot be read, or changes meanwhile */
async function readOnce(file: string, known: ReadFile | undefined, signal: AbortSignal | undefined): Promise<ReadFile> {
  try {
    const before = await factsOf(file)
    if (known?.sizeBytes === before.sizeBytes && known.modifiedMs === before.modifiedMs) return known
    const { createHash } = process.getBuiltinModule('node:crypto')
    const hash = createHash('sha256')
    const stream = createReadStream(file, { signal, highWaterMark: 1024 * 1024 })
    for await (const chunk of stream) hash.update(chunk)
    const after = await factsOf(file)
    if (after.sizeBytes !== before.sizeBytes || after.modifiedMs !== before.modifiedMs)
      throw new Error('it is changing')
    return { digest: `sha256:${hash.digest('hex')}`, ...after }
  } catch (error) {
    if (signal?.aborted) throw signal.reason
    const why = error instanceof Error ? printable(error.message, 200) : 'unknown error'
    throw new OllamaConfigError('config-invalid', `The file "${printable(file, 300)}" cannot be read: ${why}`, {
      hint: 'check its owner and mode, and that nothing writes to it',
      cause: error,
    })
  }
}

async function factsOf(file: string): Promise<{ readonly sizeBytes: number; readonly modifiedMs: number }> {
  const { size, mtimeMs } = await stat(file)
  // Plan and record know no time before 1970.
  return { sizeBytes: size, modifiedMs: Math.max(0, Math.round(mtimeMs)) }
}
