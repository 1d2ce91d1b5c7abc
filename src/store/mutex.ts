/**
 * One process of ours at a time in a store. The holder touches a file every two seconds. It is stale, and anybody may take it, when its
 * process is known to be dead, or when it was not touched for half a minute: so a crash is in nobody's way, also that of a
 * process in another container or on another machine.
 */
import { link, open, readFile, readlink, rm, stat, utimes } from 'node:fs/promises'
import { hostname } from 'node:os'
import path from 'node:path'
import { printable, quoted } from '../artifact/text.ts'
import { OllamaConfigError } from '../errors.ts'
import { notWritten } from '../runtime/atomic-file.ts'
import { withFileMutex } from '../runtime/file-mutex.ts'
import { sleep } from '../runtime/sleep.ts'
import { hasCode } from '../runtime/transport-error.ts'
import type { Layout } from './layout.ts'

export interface StoreHold {
  /** @throws {OllamaConfigError} `store-busy` when another process took it, which happens to one that was suspended */
  assertHeld(): Promise<void>
  /** Never rejects. */
  release(): Promise<void>
}

export interface HoldStoreOptions {
  readonly signal?: AbortSignal | undefined
  /** Called once, with words for the holder that is waited for. */
  readonly onWait?: ((holder: string) => void) | undefined
}

/** The process that has it. */
interface Holder {
  /** Unique for each time that it is taken. */
  readonly token: string
  readonly pid: number
  /** Where the number of a process means the same; empty where that cannot be told. */
  readonly space: string
  /** Of the process, in the system's own units: numbers are used again. */
  readonly started: string
  /** ISO 8601. */
  readonly since: string
}

const beatMs = 2000
const staleAfterMs = 30_000
const pollMs = 150

/** Waits for as long as somebody else has it. @throws {OllamaConfigError} `file-not-written` */
export async function holdStore({ folder }: Layout, { signal, onWait }: HoldStoreOptions = {}): Promise<StoreHold> {
  const file = path.join(folder, '.ollama-config-mutex')
  const mine = await describeMyself()
  for (let told = false; ; ) {
    signal?.throwIfAborted()
    if (await take(file, mine)) return held(file, mine)
    const found = await read(file)
    if (found === undefined) continue
    if (await isStale(file, found)) {
      await clear(file, found)
      continue
    }
    if (!told) onWait?.(wordsFor(found))
    told = true
    await sleep(pollMs * (0.5 + Math.random()), signal)
  }
}

function held(file: string, mine: Holder): StoreHold {
  const isMine = async () => (await read(file))?.token === mine.token
  const beat = setInterval(() => {
    const now = new Date()
    // Not of another one, which took it while this process slept.
    isMine().then(
      (still) => (still ? utimes(file, now, now) : undefined),
      () => {},
    )
  }, beatMs)
  // It keeps no process alive.
  beat.unref()
  return {
    assertHeld: async () => {
      if (await isMine()) return
      throw new OllamaConfigError(
        'store-busy',
        `Another process took over ${quoted(path.dirname(file))}, since this one did not answer for too long`,
        { hint: 'run the same again when the other one is done' },
      )
    },
    release: async () => {
      clearInterval(beat)
      if (await isMine().catch(() => false)) await rm(file, { force: true }).catch(() => {})
    },
  }
}

/** A link fails when there is one already, and what it leads to is complete from the first moment. */
async function take(file: string, mine: Holder): Promise<boolean> {
  const own = `${file}-${mine.token}`
  try {
    const handle = await open(own, 'wx', 0o644)
    try {
      await handle.writeFile(JSON.stringify(mine))
    } finally {
      await handle.close()
    }
    await link(own, file)
    return true
  } catch (error) {
    if (hasCode(error) && error.code === 'EEXIST') return false
    throw notWritten(file, error)
  } finally {
    await rm(own, { force: true }).catch(() => {})
  }
}

/** `undefined` when there is none. What cannot be read is somebody's whose process is not known. */
async function read(file: string): Promise<Holder | undefined> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    if (hasCode(error) && error.code === 'ENOENT') return undefined
    throw notWritten(file, error)
  }
  try {
    const { token, pid, space, started, since }: Partial<Record<keyof Holder, unknown>> = JSON.parse(text)
    const word = (value: unknown) => (typeof value === 'string' ? printable(value, 200) : '')
    return {
      token: word(token),
      pid: typeof pid === 'number' && Number.isSafeInteger(pid) && pid > 0 ? pid : 0,
      space: word(space),
      started: word(started),
      since: word(since),
    }
  } catch {
    return { token: text, pid: 0, space: '', started: '', since: '' }
  }
}

async function isStale(file: string, holder: Holder): Promise<boolean> {
  const { pid, space, started } = holder
  if (pid > 0 && space !== '' && space === (await processSpace()) && !(await isAlive(pid, started))) return true
  const found = await stat(file).catch(() => undefined)
  // The clock of the file system, which may be another machine's, is that of the file which is made beside it.
  return found !== undefined && (await fileSystemNow(file)) - found.mtimeMs > staleAfterMs
}

/** Of several that see it stale one removes it at a time, and none a fresh one that came in its place. */
async function clear(file: string, stale: Holder): Promise<void> {
  await withFileMutex(file, async () => {
    if ((await read(file))?.token === stale.token) await rm(file, { force: true })
  })
}

async function fileSystemNow(file: string): Promise<number> {
  const probe = `${file}-${crypto.randomUUID()}`
  try {
    await (await open(probe, 'wx', 0o600)).close()
    return (await stat(probe)).mtimeMs
  } catch {
    return Date.now()
  } finally {
    await rm(probe, { force: true }).catch(() => {})
  }
}

async function describeMyself(): Promise<Holder> {
  const { pid } = process
  return {
    token: crypto.randomUUID(),
    pid,
    space: await processSpace(),
    started: (await startOf(pid)) ?? '',
    since: new Date().toISOString(),
  }
}

/** The machine since its last start and, in containers, the space of process numbers. */
async function processSpace(): Promise<string> {
  const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '')
  const numbers = await readlink('/proc/self/ns/pid').catch(() => '')
  return `${hostname()} ${boot.trim()} ${numbers}`.trim()
}

async function isAlive(pid: number, started: string): Promise<boolean> {
  try {
    process.kill(pid, 0)
  } catch (error) {
    // Of another user: it lives.
    return !hasCode(error) || error.code !== 'ESRCH'
  }
  const now = await startOf(pid)
  return now === undefined || started === '' || now === started
}

/** Field 22 of its line in /proc, behind the name, which may have anything in it. `undefined` where there is no /proc. */
async function startOf(pid: number): Promise<string | undefined> {
  const line = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined)
  return line?.slice(line.lastIndexOf(')') + 2).split(' ')[19]
}

function wordsFor({ pid, since }: Holder): string {
  return `${pid === 0 ? 'another process' : `process ${pid}`}${since === '' ? '' : `, since ${since}`}`
}
