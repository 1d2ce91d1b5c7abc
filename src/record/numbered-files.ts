/**
 * A value in numbered files that many processes may change at once, and that no crash can spoil: each change is a new file with
 * the next number, made with `link`, which fails when somebody else was quicker. The highest number counts. Nothing is ever
 * locked, so nothing can stay locked.
 */
import { open, readdir, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import { printable, quotedPath } from '../artifact/text.ts'
import { isNotPermitted, isOllamaConfigError, OllamaConfigError } from '../errors.ts'
import { makePrivateFolder, notWritten, writeTemporary } from '../runtime/atomic-file.ts'
import { NotReadableError, readRegular } from '../runtime/regular-file.ts'
import { sleep } from '../runtime/sleep.ts'
import { hasCode } from '../runtime/transport-error.ts'

/** What is in a file. */
export interface Content<T> {
  readonly value: T
  /** Marks of the latest changes, newest first: by them a writer knows whether what others wrote was built on its own. */
  readonly writes: readonly string[]
}

export interface Format<T> {
  print(content: Content<T>): string
  /** @throws {OllamaConfigError} `record-invalid`: {@link newer} when no older file may take its place */
  parse(text: string, file: string): Content<T>
}

export type MakeLink = (from: string, to: string) => Promise<void>

/** More processes than this do not meet at one host of one user. */
const maxTries = 300
/** So many others may write while one looks whether its own change is still in. */
const marksKept = 64
/** A file that is not whole after this belongs to nobody who is still writing it. */
const settledAfterMs = 1000
/** A temporary file that is older belongs to nobody any more. */
const strayAfterMs = 3_600_000

interface Version<T> {
  /** `0` when there is no file. */
  readonly number: number
  readonly content: Content<T> | undefined
}

export class NumberedFiles<T> {
  readonly #folder: string
  readonly #format: Format<T>
  readonly #link: MakeLink

  constructor(folder: string, format: Format<T>, link: MakeLink) {
    this.#folder = folder
    this.#format = format
    this.#link = link
  }

  async read(): Promise<T | undefined> {
    return (await this.#newest()).content?.value
  }

  /** Calls `change` again when somebody else was quicker. What it throws passes as it is. */
  async update(empty: T, change: (value: T) => T): Promise<T> {
    await this.#writing(() => makePrivateFolder(this.#folder))
    for (let attempt = 1; attempt <= maxTries; attempt++) {
      const { number, content } = await this.#newest()
      const { value: before, writes } = content ?? { value: empty, writes: [] }
      const after = change(before)
      if (content !== undefined && this.#isSame(before, after)) return before
      const mark = crypto.randomUUID().slice(0, 8)
      const text = this.#format.print({ value: after, writes: [mark, ...writes].slice(0, marksKept) })
      if (await this.#writing(() => this.#publish(text, number + 1, mark))) return after
      await sleep(Math.random() * Math.min(2 * attempt, 20))
    }
    throw notWritten(this.#folder, new Error('too many other processes write there'))
  }

  #isSame(a: T, b: T): boolean {
    return this.#format.print({ value: a, writes: [] }) === this.#format.print({ value: b, writes: [] })
  }

  async #writing<R>(work: () => Promise<R>): Promise<R> {
    try {
      return await work()
    } catch (error) {
      throw notWritten(this.#folder, error)
    }
  }

  /** False when somebody else was quicker. */
  async #publish(text: string, number: number, mark: string): Promise<boolean> {
    const file = this.#path(number)
    const temporary = await writeTemporary(this.#folder, text, 0o600)
    try {
      if (!(await this.#create(temporary, file, text))) return false
    } finally {
      await rm(temporary, { force: true }).catch(() => {})
    }
    const numbers = await this.#numbers()
    // The number may have been free only because it had been cleaned away: then what was built on is old.
    if (numbers.some((other) => other > number) && !(await this.#isIn(mark))) {
      await rm(file, { force: true })
      return false
    }
    await this.#clean(numbers, number)
    return true
  }

  async #isIn(mark: string): Promise<boolean> {
    return (await this.#newest()).content?.writes.includes(mark) === true
  }

  /** Makes the file whole or not at all, where the file system can do that. False when there is one. */
  async #create(temporary: string, file: string, text: string): Promise<boolean> {
    try {
      await this.#link(temporary, file)
      return true
    } catch (error) {
      const code = hasCode(error) ? error.code : ''
      if (code === 'EEXIST') return false
      // Windows says EISDIR of a file system without links.
      if (!/^(EPERM|EACCES|ENOTSUP|EOPNOTSUPP|ENOSYS|EMLINK|EXDEV|EISDIR)$/.test(code)) throw error
    }
    // Readers wait for what is being written, and pass over what a crash cuts off.
    const handle = await open(file, 'wx', 0o600).catch((error: unknown) => {
      if (hasCode(error) && error.code === 'EEXIST') return undefined
      throw error
    })
    if (handle === undefined) return false
    try {
      await handle.writeFile(text)
      await handle.sync()
    } catch (error) {
      await rm(file, { force: true }).catch(() => {})
      throw error
    } finally {
      await handle.close()
    }
    return true
  }

  async #newest(): Promise<Version<T>> {
    const untilMs = performance.now() + settledAfterMs
    for (let attempt = 1; attempt <= maxTries; attempt++) {
      const numbers = (await this.#numbers()).sort((a, b) => b - a)
      const newest = numbers[0]
      if (newest === undefined) return { number: 0, content: undefined }
      // By our own clock too: that of a file server may be another.
      const isFresh = performance.now() < untilMs && (await this.#isFresh(newest))
      let problem: OllamaConfigError | undefined
      for (const number of isFresh ? [newest] : numbers) {
        try {
          const text = await readRegular(this.#path(number))
          // The number of a spoiled newest file is taken: the next one goes above it.
          return { number: newest, content: this.#format.parse(text, this.#path(number)) }
        } catch (error) {
          // Cleaned away between listing and reading, when several newer ones came.
          if (hasCode(error) && error.code === 'ENOENT') continue
          // No crash of ours leaves such a thing: whoever put it there is told, instead of an older file being taken for the record.
          if (error instanceof NotReadableError) throw noFile(this.#folder, `${number}.json`)
          if (!isOllamaConfigError(error)) throw notRead(this.#folder, error)
          if (isNewer(error)) throw error
          problem ??= error
        }
      }
      if (problem !== undefined && !isFresh) throw problem
      await sleep(isFresh ? 10 : 0)
    }
    throw unreadable(this.#folder, 'it changes all the time')
  }

  /** Whether somebody may still be writing it, where there are no links. */
  async #isFresh(number: number): Promise<boolean> {
    const found = await stat(this.#path(number)).catch(() => undefined)
    return found !== undefined && Date.now() - found.mtimeMs < settledAfterMs
  }

  async #numbers(): Promise<number[]> {
    const names = await readdir(this.#folder).catch((error: unknown) => {
      if (hasCode(error) && error.code === 'ENOENT') return []
      throw notRead(this.#folder, error)
    })
    return names.flatMap((name) => (/^\d{1,15}\.json$/.test(name) ? [Number.parseInt(name, 10)] : []))
  }

  /** The one before stays for those who are about to read it. */
  async #clean(numbers: readonly number[], newest: number): Promise<void> {
    const old = numbers.filter((number) => number < newest - 1).map((number) => this.#path(number))
    const strays = (await readdir(this.#folder).catch(() => [])).filter((name) => name.endsWith('.tmp'))
    for (const name of strays) {
      const file = path.join(this.#folder, name)
      const found = await stat(file).catch(() => undefined)
      if (found !== undefined && Date.now() - found.mtimeMs > strayAfterMs) old.push(file)
    }
    await Promise.all(old.map((file) => rm(file, { force: true }).catch(() => {})))
  }

  #path(number: number): string {
    return path.join(this.#folder, `${number}.json`)
  }
}

/** What Deno did not permit passes untouched: its own error says how to. */
function notRead(folder: string, error: unknown): unknown {
  if (isNotPermitted(error)) return error
  const isRefused = hasCode(error) && /^(EACCES|EPERM)$/.test(error.code)
  const problem = error instanceof Error ? printable(error.message, 200) : 'unknown error'
  return unreadable(folder, problem, isRefused ? 'check its owner and mode, as after a run with sudo' : undefined)
}

function noFile(folder: string, name: string): OllamaConfigError {
  return unreadable(
    folder,
    `${name} is no file`,
    `remove what is in the place of ${quotedPath(path.join(folder, name))}`,
  )
}

export function unreadable(
  folder: string,
  problem: string,
  hint = 'if it is damaged, remove that folder: what earlier applies brought in is then forgotten',
): OllamaConfigError {
  return new OllamaConfigError(
    'record-invalid',
    `The record of earlier applies in ${quotedPath(folder)} cannot be read: ${problem}`,
    { hint },
  )
}

export function newer(folder: string): OllamaConfigError {
  return new OllamaConfigError(
    'record-invalid',
    `The record of earlier applies in ${quotedPath(folder)} was written by a newer ollama-config`,
    { hint: 'update ollama-config', details: { newer: true } },
  )
}

function isNewer(error: OllamaConfigError): boolean {
  return error.details?.['newer'] === true
}
