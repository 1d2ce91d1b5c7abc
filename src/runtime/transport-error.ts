/**
 * What goes wrong below HTTP. It never reaches a user: backend/errors.ts and registry/problems.ts say what it means for them.
 */

export type TransportProblem =
  /** The system reported it: refused, reset, no such name, TLS. */
  | 'network'
  /** The answer stopped before its end. */
  | 'interrupted'
  | 'timeout'
  /** The answer is longer than its reader takes. */
  | 'too-large'
  /** The proxy on the way cannot be reached, or fails. */
  | 'proxy'
  /** The proxy cannot be used as it is written down, or does not let this through: it stays so until somebody changes that. */
  | 'proxy-refused'
  /** It redirects to where nobody may go. */
  | 'redirect'
  /** Its reader gave up. */
  | 'cancelled'

export class TransportError extends Error {
  override readonly name = 'TransportError'
  readonly problem: TransportProblem
  /** The system's code, such as `ECONNREFUSED`. */
  readonly code: string | undefined

  constructor(
    problem: TransportProblem,
    message: string,
    options: { readonly code?: string | undefined; readonly cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.problem = problem
    this.code = options.code
  }
}

export function hasCode(error: unknown): error is { readonly code: string } {
  return typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string'
}

/** Of TLS: who answers cannot be trusted. */
export function isCertificateCode(code: string | undefined): boolean {
  return /CERT|SELF_SIGNED|UNABLE_TO/.test(code ?? '')
}

/** The connection broke off, as one that was kept too long does: to ask again may help. */
export function isReset(error: unknown): boolean {
  return (
    error instanceof TransportError &&
    (error.problem === 'interrupted' || /^(ECONNRESET|EPIPE|ECONNABORTED)$/.test(error.code ?? ''))
  )
}
