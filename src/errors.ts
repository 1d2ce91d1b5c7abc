/**
 * Every error this package throws: one class, told apart by a stable `code`.
 * A subclass exists only where a caller catches it. `docs/errors.md` has one heading per code.
 */

/** What the user wrote or left out; the CLI exits with 3. */
const userErrorCodes = [
  'usage',
  'invalid-reference',
  'invalid-address',
  'config-not-found',
  'config-exists',
  'config-load-failed',
  'config-invalid',
  'modelfile-invalid',
  'approval-required',
  'prune-refused',
  'lock-missing',
  'lock-invalid',
  'lock-frozen',
  'invalid-plugin',
  'invalid-plugin-config',
  'no-plugin-for-model',
] as const

/** Codes are API: a test holds them equal to the headings of `docs/errors.md`. */
export const errorCodes = [
  ...userErrorCodes,
  // The Ollama server
  'host-unreachable',
  'host-timeout',
  'host-forbidden',
  'host-unauthorized',
  'host-not-ollama',
  'host-error',
  'invalid-response',
  'stream-ended',
  'stalled',
  'model-not-found',
  'server-too-old',
  'disk-full',
  'digest-mismatch',
  'registry-unreachable',
  'registry-unauthorized',
  'registry-error',
  // A model directory
  'store-unsupported',
  'store-unreadable',
  'store-busy',
  // Installing and starting Ollama
  'setup-failed',
  'needs-root',
  // Lock file, record and other files of ours
  'locked-version-gone',
  'record-invalid',
  'file-not-written',
  // Carrying out a plan
  'invalid-plan',
  'stale-plan',
  'verification-failed',
  'build-failed',
  'plugin-failed',
  'plugin-timeout',
  'command-not-found',
  'command-not-run',
  'interrupted',
  'internal',
] as const

export type ErrorCode = (typeof errorCodes)[number]

export interface ErrorOptions {
  /** The next thing to try, as one sentence without a final period. */
  readonly hint?: string | undefined
  /** Facts for programs: JSON-safe, free of secrets. */
  readonly details?: Readonly<Record<string, unknown>> | undefined
  /** The same request may succeed in a moment, with nothing changed. Default: false. */
  readonly retryable?: boolean | undefined
  readonly cause?: unknown
}

/** What an error looks like in a report, an event or a diagnostic. */
export interface ErrorData {
  readonly code: ErrorCode
  readonly message: string
  readonly hint?: string
}

// `instanceof` fails when two copies of the package meet, as when a config imports its own copy.
const brand: unique symbol = Symbol.for('ollama-config.error')

export class OllamaConfigError extends Error {
  override readonly name: string = 'OllamaConfigError'
  readonly code: ErrorCode
  readonly hint: string | undefined
  readonly details: Readonly<Record<string, unknown>> | undefined
  /** The same request may succeed in a moment, with nothing changed. */
  readonly retryable: boolean
  readonly [brand] = true

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.hint = options.hint
    this.details = options.details
    this.retryable = options.retryable ?? false
  }
}

/** A problem in what the user wrote, or in what was found, with the place it concerns. */
export interface Diagnostic {
  readonly severity: 'error' | 'warning'
  readonly code: string
  readonly message: string
  /** Where in the config, such as `models[2].name`; absent when it concerns no single place. */
  readonly path?: string
  /** The model that it is about, where it is one. */
  readonly reference?: string
  readonly hint?: string
}

/** The config was read but is wrong: every problem at once. Callers catch it to show `diagnostics`. */
export class ConfigError extends OllamaConfigError {
  override readonly name = 'ConfigError'
  readonly diagnostics: readonly Diagnostic[]

  constructor(message: string, diagnostics: readonly Diagnostic[], options: ErrorOptions = {}) {
    super('config-invalid', message, options)
    this.diagnostics = diagnostics
  }
}

/** True for errors of this package, also when they come from another copy of it. */
export function isOllamaConfigError(value: unknown): value is OllamaConfigError {
  return typeof value === 'object' && value !== null && brand in value
}

/** True for a {@link ConfigError}, also of another copy of this package. */
export function isConfigError(value: unknown): value is ConfigError {
  return isOllamaConfigError(value) && value.code === 'config-invalid' && 'diagnostics' in value
}

/** True for errors that a change of the command, the config or the approval mends. */
export function isUserError(error: unknown): boolean {
  return isOllamaConfigError(error) && userErrorCodes.some((code) => code === error.code)
}

/** True for a code of ours: that of a diagnostic may be any. */
export function isErrorCode(code: string): code is ErrorCode {
  return errorCodes.some((known) => known === code)
}

/** Deno stops what it was not permitted with an error of its own, which names the flag. */
export function isNotPermitted(error: unknown): error is Error {
  return error instanceof Error && error.name === 'NotCapable'
}

/** The flag for each kind of access, and who needs it. */
const permissionHints: Readonly<Record<string, string>> = {
  write:
    'run with --allow-write too: apply, update, rollback, lock and whatever changes a store write files, and so do --out and --log-file; a unix socket needs it as well',
  run: 'run with --allow-run too: exec and setup --run start programs',
}

/** That error as one of ours, with the flags that help; anything else as it is. */
export function explainPermission(error: unknown): unknown {
  if (!isNotPermitted(error)) return error
  const [, flag = ''] = /--allow-([a-z]+)/.exec(error.message) ?? []
  const hint =
    permissionHints[flag] ??
    `run with --allow-net --allow-read --allow-env --allow-sys=homedir${/^(?:net|read|env|sys|)$/.test(flag) ? '' : ` --allow-${flag}`}; what writes files, such as apply, needs --allow-write too`
  return new OllamaConfigError('usage', error.message, { hint, cause: error })
}

/** The JSON-safe part of any thrown value; what is not ours becomes code `internal`. */
export function toErrorData(thrown: unknown): ErrorData {
  const error = explainPermission(thrown)
  if (isOllamaConfigError(error)) {
    return { code: error.code, message: error.message, ...(error.hint === undefined ? {} : { hint: error.hint }) }
  }
  const message = error instanceof Error ? error.message : String(error)
  return { code: 'internal', message, hint: 'this is a bug in ollama-config or in a plugin: run again with --debug' }
}
