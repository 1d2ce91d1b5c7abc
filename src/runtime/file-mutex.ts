/** One process at a time at a file, for as long as it takes to read it, change it and write it. */
import { link, open, rename, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import { quotedPath } from '../artifact/text.ts'
import { OllamaConfigError } from '../errors.ts'
import { notWritten } from './atomic-file.ts'
import { sleep } from './sleep.ts'
import { hasCode } from './transport-error.ts'

/** The work takes milliseconds: who holds it longer has died. */
const staleAfterMs = 10_000
const patienceMs = 20_000
const pauseMs = 20

export interface FileMutexOptions {
  /** Default: those ten seconds. */
  readonly staleMs?: number | undefined
  /** Ends the wait for others; the work has to see to itself. */
  readonly signal?: AbortSignal | undefined
}

/**
 * Runs the work while nobody else does at the same file. What a crash leaves behind is in nobody's way after ten seconds.
 *
 * @throws {OllamaConfigError} `file-not-written` when the folder cannot be written, or another one has it for too long
 * @throws `signal.reason`, and what the work throws
 */
export async function withFileMutex<T>(
  file: string,
  work: () => Promise<T>,
  { staleMs = staleAfterMs, signal }: FileMutexOptions = {},
): Promise<T> {
  const mutex = path.join(path.dirname(file), `.${path.basename(file)}.mutex`)
  const startedMs = performance.now()
  let mine: number | undefined
  try {
    const watch = new Watch(staleMs)
    for (;;) {
      mine = await take(mutex, watch)
      if (mine !== undefined) break
      if (performance.now() - startedMs > patienceMs) throw heldByOther(file, mutex)
      await sleep(pauseMs * (0.5 + Math.random()), signal)
    }
  } catch (error) {
    throw signal?.aborted ? signal.reason : notWritten(file, error)
  }
  try {
    return await work()
  } finally {
    // Unless another one took it since, from a process that was held up for too long.
    const found = await stat(mutex).catch(() => undefined)
    if (found?.ino === mine) await rm(mutex, { force: true }).catch(() => {})
  }
}

/** Only where what a crash left cannot be moved away either: then it stays so. */
function heldByOther(file: string, mutex: string): OllamaConfigError {
  return new OllamaConfigError(
    'file-not-written',
    `${quotedPath(file)} cannot be written: another process is writing it`,
    {
      hint: `run the same again; when no other ollama-config runs, remove ${quotedPath(mutex)}, which one left that was killed`,
    },
  )
}

/** By the time that the file has, and by ours: a clock that was set back makes it one of the future. */
class Watch {
  readonly #staleMs: number
  #seen: { readonly key: string; readonly sinceMs: number } | undefined

  constructor(staleMs: number) {
    this.#staleMs = staleMs
  }

  isStale({ ino, mtimeMs }: { readonly ino: number; readonly mtimeMs: number }): boolean {
    const key = `${ino} ${mtimeMs}`
    if (this.#seen?.key !== key) this.#seen = { key, sinceMs: performance.now() }
    return Date.now() - mtimeMs >= this.#staleMs || performance.now() - this.#seen.sinceMs >= this.#staleMs
  }
}

/** Which file it is, when it is ours. */
async function take(mutex: string, watch: Watch): Promise<number | undefined> {
  try {
    const handle = await open(mutex, 'wx', 0o600)
    try {
      return (await handle.stat()).ino
    } finally {
      await handle.close()
    }
  } catch (error) {
    if (!hasCode(error) || error.code !== 'EEXIST') throw error
  }
  const found = await stat(mutex).catch(() => undefined)
  if (found === undefined || !watch.isStale(found)) return undefined
  const aside = `${mutex}-${crypto.randomUUID()}`
  await rename(mutex, aside).catch(() => {})
  // Who was held up right here moved away what a quicker one has by now: it goes back, unless a third one came.
  const moved = await stat(aside).catch(() => undefined)
  if (moved !== undefined && (moved.ino !== found.ino || moved.mtimeMs !== found.mtimeMs))
    await link(aside, mutex).catch(() => {})
  await rm(aside, { force: true })
  return undefined
}
