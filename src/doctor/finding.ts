/** What a look at a machine found: a line each, and what to do where something is wrong. Pure. */

/** What a finding is about, in the order in which they are shown. */
export const subjects = [
  'program',
  'server',
  'version',
  'models',
  'disk',
  'proxy',
  'pruning',
  'cloud',
  'memory',
  'gpu',
  'loaded',
  'config',
  'plugins',
  'lock',
  'record',
] as const

export type Subject = (typeof subjects)[number]

/** `unknown`: it cannot be told from here. It is no problem. */
export type FindingStatus = 'ok' | 'warning' | 'error' | 'unknown'

export interface Finding {
  readonly subject: Subject
  readonly status: FindingStatus
  /** Stable, for programs. */
  readonly code: string
  readonly message: string
  /** What to do, with the command. */
  readonly hint?: string
}

type Made = Omit<Finding, 'subject' | 'status'>

/** The makers of a subject's findings. */
export function findingsOf(subject: Subject): {
  readonly [Status in FindingStatus]: (code: string, message: string, hint?: string) => Finding
} {
  const made = (code: string, message: string, hint?: string): Made => ({
    code,
    message,
    ...(hint === undefined ? {} : { hint }),
  })
  return {
    ok: (...words) => ({ subject, status: 'ok', ...made(...words) }),
    warning: (...words) => ({ subject, status: 'warning', ...made(...words) }),
    error: (...words) => ({ subject, status: 'error', ...made(...words) }),
    unknown: (...words) => ({ subject, status: 'unknown', ...made(...words) }),
  }
}
