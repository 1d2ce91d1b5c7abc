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
 * @throws {OllamaConfigError} `file-not-written` when the folder cannot be written, and what the work throws
 */
export async function withFileMutex<T>(file: string, work: () => Promise<T>): Promise<T> {
  const mutex = path.join(path.dirname(file), `.${path.basename(file)}.mutex`)
  const startedMs = performance.now()
  try {
    while (!(await take(mutex))) {
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

async function take(mutex: string): Promise<boolean> {
  try {
    await (await open(mutex, 'wx', 0o600)).close()
    return true
  } catch (error) {
    if (!hasCode(error) || error.code !== 'EEXIST') throw error
  }
  const found = await stat(mutex).catch(() => undefined)
  if (found === undefined || Date.now() - found.mtimeMs < staleAfterMs) return false
  // Of several who see that it is stale, only one can move it away.
  const aside = `${mutex}-${crypto.randomUUID()}`
  await rename(mutex, aside).catch(() => {})
  await rm(aside, { force: true })
  return false
}
