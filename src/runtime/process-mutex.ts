/**
 * One process of ours at a time at a place. The holder touches a file every two seconds. It is stale, and anybody may take it, when its
 * process is known to be dead, or when it was not touched for half a minute: so a crash is in nobody's way, also that of a
 * process in another container or on another machine.
 */
import { chmod, link, lstat, open, readFile, rename, rm, stat } from 'node:fs/promises'
import { quotedPath } from '../artifact/text.ts'
import { OllamaConfigError } from '../errors.ts'
import { notWritten } from './atomic-file.ts'
import { withFileMutex } from './file-mutex.ts'
import { describeMyself, type Holder, lifeOf, parseHolder, wordsFor } from './holder.ts'
import { sleep } from './sleep.ts'
import { hasCode } from './transport-error.ts'

export interface MutexHold {
  /**
   * A sign of life, so that nobody takes it in the next half minute.
   *
   * @throws {OllamaConfigError} `store-busy` when another process took it, which happens to one that was suspended
   */
  assertHeld(): Promise<void>
  /** Never rejects. */
  release(): Promise<void>
}

export interface MutexOptions {
  readonly signal?: AbortSignal | undefined
  /** Called once, with words for the holder that is waited for. */
  readonly onWait?: ((holder: string) => void) | undefined
  /** What this process does, for those who wait for it. */
  readonly command?: string | undefined
  /** How long to wait for others, in milliseconds. Default: for ever. */
  readonly waitMs?: number | undefined
  /** Default: that of the system. */
  readonly link?: MakeLink | undefined
}

type MakeLink = (from: string, to: string) => Promise<void>

/** The file as it was found. */
interface Found {
  readonly holder: Holder
  /** Which file it is: its token, which stays when it is touched. */
  readonly identity: string
  readonly touchedMs: number
}

const beatMs = 2000
const staleAfterMs = 30_000
const pollMs = 150

/**
 * Waits while somebody else has it.
 *
 * @param file Stands for the place; its folder must be there
 * @param place What it stands for, in words for messages
 * @throws {OllamaConfigError} `file-not-written`, and `store-busy` after `waitMs`, or where what a dead one left cannot be removed
 * @throws `signal.reason`
 */
export async function holdMutex(file: string, place: string, options: MutexOptions = {}): Promise<MutexHold> {
  const { signal, onWait, command = '', waitMs = Number.POSITIVE_INFINITY, link: makeLink = link } = options
  const mine = await describeMyself(command)
  const beganMs = performance.now()
  let watched: { readonly found: Found; readonly sinceMs: number } | undefined
  for (let told = false; ; ) {
    signal?.throwIfAborted()
    const found = await read(file)
    if (found === undefined) {
      if (await take(file, mine, makeLink)) return held(file, place, mine)
      continue
    }
    // Over NFS the answer to a link that was made may be that there is one.
    if (found.identity === mine.token) return held(file, place, mine)
    const nowMs = performance.now()
    const sinceMs = watched !== undefined && isSame(watched.found, found) ? watched.sinceMs : nowMs
    // Where it cannot be moved it is waited for like any other: what keeps it may pass, as on Windows. Who is dead never lets go of it.
    const stale = await isStale(file, found, nowMs - sinceMs)
    if (stale && (await clear(file, found, signal))) continue
    watched = { found, sinceMs }
    if (stale && nowMs - beganMs >= Math.min(waitMs, staleAfterMs)) throw stuck(file, place, found.holder)
    if (nowMs - beganMs >= waitMs) throw busy(place, found.holder)
    if (!told) onWait?.(wordsFor(found.holder))
    told = true
    await sleep(pollMs * (0.5 + Math.random()), signal)
  }
}

function held(file: string, place: string, mine: Holder): MutexHold {
  const beat = setInterval(() => {
    touch(file, mine).catch(() => {})
  }, beatMs)
  // It keeps no process alive.
  beat.unref()
  return {
    assertHeld: async () => {
      if (await touch(file, mine)) return
      throw new OllamaConfigError(
        'store-busy',
        `Another process took over ${place}, since this one did not answer for too long`,
        { hint: 'run the same again when the other one is done' },
      )
    },
    release: async () => {
      clearInterval(beat)
      const found = await read(file).catch(() => undefined)
      if (found?.identity === mine.token) await rm(file, { force: true }).catch(() => {})
    },
  }
}

/**
 * False when it is another's. The same bytes are written over what is there: that gives it the time of the file system, whatever
 * this machine's clock says, and readers see no difference.
 */
async function touch(file: string, mine: Holder): Promise<boolean> {
  try {
    if ((await read(file))?.identity !== mine.token) return false
    const handle = await open(file, 'r+')
    try {
      if (parseHolder(await handle.readFile('utf8')).token !== mine.token) return false
      await handle.write(JSON.stringify(mine), 0)
    } finally {
      await handle.close()
    }
    // Somebody who found it stale may have moved it away in between.
    return (await read(file))?.identity === mine.token
  } catch (error) {
    if (hasCode(error) && error.code === 'ENOENT') return false
    throw notWritten(file, error)
  }
}

/** A link fails when there is one already, and what it leads to is complete from the first moment. */
async function take(file: string, mine: Holder, makeLink: MakeLink): Promise<boolean> {
  const own = `${file}-${mine.token}`
  try {
    await writeNew(own, mine)
    try {
      await makeLink(own, file)
      return true
    } catch (error) {
      const code = hasCode(error) ? error.code : ''
      // Windows says EISDIR of a file system without links, as exFAT is.
      if (!/^(EPERM|EACCES|ENOTSUP|EOPNOTSUPP|ENOSYS|EMLINK|EXDEV|EISDIR)$/.test(code)) throw error
    }
    // There it is empty for a moment: then it is somebody's whose process is not known.
    await writeNew(file, mine)
    return true
  } catch (error) {
    if (hasCode(error) && error.code === 'EEXIST') return false
    throw notWritten(file, error)
  } finally {
    await rm(own, { force: true }).catch(() => {})
  }
}

async function writeNew(file: string, mine: Holder): Promise<void> {
  const handle = await open(file, 'wx', 0o644)
  try {
    await handle.writeFile(JSON.stringify(mine))
    // Other users have to be able to read who holds it, whatever the umask.
    await chmod(file, 0o644)
  } catch (error) {
    await rm(file, { force: true }).catch(() => {})
    throw error
  } finally {
    await handle.close()
  }
}

/** `undefined` when there is none. A link is not followed, and what cannot be read is somebody's whose process is not known. */
async function read(file: string): Promise<Found | undefined> {
  try {
    const found = await lstat(file)
    if (found.isDirectory()) throw new Error('there is a folder in its place')
    const text = found.isFile() ? await readFile(file, 'utf8').catch(ifUnreadable) : ''
    const holder = parseHolder(text)
    return { holder, identity: holder.token || `${found.ino} ${found.ctimeMs}`, touchedMs: found.mtimeMs }
  } catch (error) {
    if (hasCode(error) && error.code === 'ENOENT') return undefined
    throw notWritten(file, error)
  }
}

/** Of another user, or on Windows just being removed. */
function ifUnreadable(error: unknown): string {
  if (hasCode(error) && /^(EACCES|EPERM|EBUSY)$/.test(error.code)) return ''
  throw error
}

function isSame(a: Found, b: Found): boolean {
  return a.identity === b.identity && a.touchedMs === b.touchedMs
}

/** @param watchedMs For how long it was seen unchanged, by a clock that stands still while this machine sleeps */
async function isStale(file: string, { holder, touchedMs }: Found, watchedMs: number): Promise<boolean> {
  const life = await lifeOf(holder)
  if (life === 'dead' || watchedMs > staleAfterMs) return true
  // One that lives beside us may only have slept with the machine: it is given the time to wake up.
  if (life === 'alive' || watchedMs > 0) return false
  return (await fileSystemNow(file)) - touchedMs > staleAfterMs
}

/** Of several that see it stale one removes it at a time, and none a fresh one that came in its place, or one that woke up. False when it could not be moved. */
async function clear(file: string, stale: Found, signal: AbortSignal | undefined): Promise<boolean> {
  const work = async () => {
    const before = await read(file)
    if (before === undefined || !isSame(before, stale)) return true
    const aside = `${file}-${crypto.randomUUID()}`
    try {
      await rename(file, aside)
    } catch (error) {
      // On Windows somebody reads it, or in a folder with the sticky bit it is another user's.
      if (hasCode(error) && /^(EACCES|EPERM|EBUSY)$/.test(error.code)) return false
      if (hasCode(error) && error.code === 'ENOENT') return true
      throw notWritten(file, error)
    }
    // Who slept right here for ten seconds moved away what another one has by now: it goes back, unless a third one came.
    const moved = await read(aside)
    // Moving it changed one of its times, which stands for the token of what has none.
    const isIt = moved?.holder.token === stale.holder.token && moved.touchedMs === stale.touchedMs
    if (moved !== undefined && !isIt) await link(aside, file).catch(() => {})
    // What stays of it is a file that collect knows.
    await rm(aside, { force: true }).catch(() => {})
    return true
  }
  return withFileMutex(file, work, { signal })
}

/** The clock of the file system, which may be another machine's, is that of a file which is made there. */
export async function fileSystemNow(file: string): Promise<number> {
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

function busy(place: string, holder: Holder): OllamaConfigError {
  return new OllamaConfigError('store-busy', `${place} is in use by ${wordsFor(holder)}`, {
    hint: 'run the same again when the other one is done; one that hangs can be ended: what it holds is free then',
  })
}

function stuck(file: string, place: string, holder: Holder): OllamaConfigError {
  return new OllamaConfigError(
    'store-busy',
    `${place} was in use by ${wordsFor(holder)}, and what it left cannot be removed`,
    {
      hint: `remove ${quotedPath(file)} as the user to whom it belongs, or as root`,
    },
  )
}
