/** The logger of the CLI: `--verbose` to stderr, `--log-file` as JSON lines. */
import { appendFileSync } from 'node:fs'
import path from 'node:path'
import { OllamaConfigError } from '../errors.ts'
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
  const log = (level: Level, message: string, fields: Fields = {}) => {
    if (flags.verbose) stderr.write(`[${level}] ${message}${formatFields(fields)}\n`)
    // Written at once: a log is read after a crash.
    if (file !== undefined)
      append(file, `${JSON.stringify({ time: new Date().toISOString(), level, message, ...fields })}\n`)
  }
  if (file !== undefined) append(file, '')
  return {
    debug: (message, fields) => log('debug', message, fields),
    info: (message, fields) => log('info', message, fields),
    warn: (message, fields) => log('warn', message, fields),
    error: (message, fields) => log('error', message, fields),
  }
}

function append(file: string, text: string): void {
  try {
    appendFileSync(file, text, { mode: 0o600 })
  } catch (error) {
    throw new OllamaConfigError(
      'usage',
      `The log file "${file}" cannot be written: ${error instanceof Error ? error.message : String(error)}`,
      {
        hint: 'name another file with --log-file',
        cause: error,
      },
    )
  }
}

function formatFields(fields: Fields): string {
  return Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join('')
}
