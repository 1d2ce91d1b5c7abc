/** One process at a time at a file, for as long as it takes to read it, change it and write it. */
import { open, rename, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import { notWritten } from './atomic-file.ts'
import { sleep } from './sleep.ts'
import { hasCode } from './transport-error.ts'

/** The work takes milliseconds: who holds it longer has died. */
const staleAfterMs = 10_000
const patienceMs = 20_000
const pauseMs = 20

/**
 * Runs the work while nobody else does at the same file. What a crash leaves behind is in nobody's way after ten seconds.
 *
 * @param staleMs Default: those ten seconds
 * @throws {OllamaConfigError} `file-not-written` when the folder cannot be written, and what the work throws
 */
export async function withFileMutex<T>(file: string, work: () => Promise<T>, staleMs = staleAfterMs): Promise<T> {
  const mutex = path.join(path.dirname(file), `.${path.basename(file)}.mutex`)
  const startedMs = performance.now()
  try {
    const watch = new Watch(staleMs)
    while (!(await take(mutex, watch))) {
      if (performance.now() - startedMs > patienceMs) throw new Error(`another process holds ${mutex}`)
      await sleep(pauseMs * (0.5 + Math.random()))
    }
  } catch (error) {
    throw notWritten(file, error)
  }
  try {
    return await work()
  } finally {
    await rm(mutex, { force: true }).catch(() => {})
  }
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

async function take(mutex: string, watch: Watch): Promise<boolean> {
  try {
    await (await open(mutex, 'wx', 0o600)).close()
    return true
  } catch (error) {
    if (!hasCode(error) || error.code !== 'EEXIST') throw error
  }
  const found = await stat(mutex).catch(() => undefined)
  if (found === undefined || !watch.isStale(found)) return false
  // Of several who see that it is stale, only one can move it away.
  const aside = `${mutex}-${crypto.randomUUID()}`
  await rename(mutex, aside).catch(() => {})
  await rm(aside, { force: true })
  return false
}
