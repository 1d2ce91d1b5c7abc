/** The logger of the CLI: `--verbose` to stderr, `--log-file` as JSON lines. */
import { appendFileSync, statSync } from 'node:fs'
import path from 'node:path'
import { jsonText } from '../artifact/json-text.ts'
import { printable, quotedPath } from '../artifact/text.ts'
import { isNotPermitted, OllamaConfigError } from '../errors.ts'
import type { Logger } from '../runtime/logger.ts'
import type { Context } from './context.ts'

type Level = 'debug' | 'info' | 'warn' | 'error'
type Fields = Readonly<Record<string, unknown>>

/**
 * What is logged holds no secrets: requests come with method, path and status, never with headers or bodies.
 *
 * @throws {OllamaConfigError} `usage` when the log file cannot be written
 */
export function createLogger(
  flags: { readonly verbose?: boolean | undefined; readonly 'log-file'?: string | undefined },
  { stderr, cwd }: Pick<Context, 'stderr' | 'cwd'>,
): Logger | undefined {
  const file = flags['log-file'] === undefined ? undefined : path.resolve(cwd, flags['log-file'])
  if (!flags.verbose && file === undefined) return undefined
  if (file !== undefined) assertWritable(file)
  let lost = false
  const log = (level: Level, message: string, fields: Fields = {}) => {
    if (flags.verbose) stderr.write(`[${level}] ${printable(`${message}${formatFields(fields)}`)}\n`)
    if (file === undefined || lost) return
    try {
      // Written at once: a log is read after a crash.
      appendFileSync(file, `${jsonText({ time: new Date().toISOString(), level, message, ...fields })}\n`)
    } catch (error) {
      // The work goes on without its log.
      lost = true
      stderr.write(`Warning: the log file cannot be written any more: ${messageOf(error)}\n`)
    }
  }
  return {
    debug: (message, fields) => log('debug', message, fields),
    info: (message, fields) => log('info', message, fields),
    warn: (message, fields) => log('warn', message, fields),
    error: (message, fields) => log('error', message, fields),
  }
}

function assertWritable(file: string): void {
  const refused = (problem: string, cause?: unknown) =>
    new OllamaConfigError('usage', `The log file ${quotedPath(file)} cannot be written: ${problem}`, {
      hint: 'name another file with --log-file',
      cause,
    })
  let other = false
  try {
    // Opening a pipe that nobody reads would wait for ever.
    other = statSync(file, { throwIfNoEntry: false })?.isFile() === false
    if (!other) appendFileSync(file, '', { mode: 0o600 })
  } catch (error) {
    if (isNotPermitted(error)) throw error
    const isFolderMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT'
    throw refused(isFolderMissing ? 'there is no such folder' : messageOf(error), error)
  }
  if (other) throw refused('it is no regular file')
}

function messageOf(error: unknown): string {
  return error instanceof Error ? printable(error.message) : 'unknown error'
}

function formatFields(fields: Fields): string {
  return Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join('')
}
