/** What can be wrong with a download, in the words of people. */
import path from 'node:path'
import { formatBytes } from '../artifact/bytes.ts'
import { shortDigest } from '../artifact/manifest.ts'
import { quoted } from '../artifact/text.ts'
import { type ErrorCode, isNotPermitted, OllamaConfigError } from '../errors.ts'
import {
  codeOf,
  failureAnswer,
  isLasting,
  type Surroundings,
  statusAndWords,
  statusRefusal,
} from '../registry/problems.ts'
import { notWritten, reasonOf } from '../runtime/atomic-file.ts'
import { freeBytes } from '../runtime/disk-space.ts'
import { hasCode, TransportError } from '../runtime/transport-error.ts'
import { AnswerError } from './source.ts'

/** Which blob, and whose. */
interface Subject {
  readonly digest: string
  readonly host: string
  readonly surroundings: Surroundings
}

/** The source does not have the blob, or not any more. Whoever fetches a locked version says so in other words. */
export class BlobGoneError extends OllamaConfigError {
  constructor(subject: Subject, { status = 404, message }: AnswerError) {
    super(
      'registry-error',
      `${subject.host} does not have ${partName(subject)} of the model: it answered with ${statusAndWords(status, message)}`,
      { hint: 'the model may have been replaced or removed there meanwhile: plan again' },
    )
  }
}

const changedHint = 'try again; when that does not help, a proxy on the way changes what it passes on'

export class WrongBytesError extends OllamaConfigError {
  constructor(subject: Subject) {
    super('digest-mismatch', `${subject.host} sent wrong bytes for ${partName(subject)} of the model, twice`, {
      hint: changedHint,
    })
  }
}

/** Whether another try may help. */
export function isWorthAnother(error: unknown): boolean {
  if (error instanceof OllamaConfigError) return error.retryable
  if (error instanceof AnswerError) return error.problem !== 'refused'
  return !(error instanceof TransportError && isLasting(error))
}

/** After so many tries in a row. */
export function notFetched(subject: Subject, error: unknown, failures: number): OllamaConfigError {
  const { code, problem, hint } = meaningOf(subject, error)
  const tries = failures === 1 ? '' : `, after ${failures} tries in a row`
  const kept = isWorthAnother(error) ? '; what is there already is not fetched again' : ''
  return new OllamaConfigError(
    code,
    `The part ${shortDigest(subject.digest)} of the model cannot be fetched${tries}: ${problem}`,
    {
      hint: `${hint}${kept}`,
      cause: error,
    },
  )
}

interface Meaning {
  readonly code: ErrorCode
  readonly problem: string
  readonly hint: string
}

function meaningOf({ host, surroundings }: Subject, error: unknown): Meaning {
  if (error instanceof OllamaConfigError)
    return { code: error.code, problem: error.message, hint: error.hint ?? 'try again' }
  if (error instanceof AnswerError && error.status === undefined)
    return {
      code: 'registry-error',
      problem: `${host} does not give it as it should: ${error.message}`,
      hint: changedHint,
    }
  const refusal =
    error instanceof AnswerError && error.status !== undefined
      ? statusRefusal(error.status, error.message, host, surroundings.keyFiles)
      : failureAnswer(error, host, surroundings)
  return { code: codeOf(refusal), problem: refusal.problem, hint: refusal.hint }
}

/** @throws {OllamaConfigError} `disk-full` */
export async function assertRoom(file: string, missingBytes: number): Promise<void> {
  const free = await freeBytes(path.dirname(file))
  if (free !== undefined && free < missingBytes) throw diskFull(file, missingBytes, free)
}

/** Of the system, about a file. */
export function isDiskError(error: unknown): boolean {
  return hasCode(error) && !(error instanceof TransportError) && /^E[A-Z]+$/.test(error.code)
}

/** @param missingBytes What is still to be written */
export async function diskProblem(error: unknown, file: string, missingBytes: number): Promise<unknown> {
  const code = hasCode(error) ? error.code : ''
  if (code === 'EDQUOT') return quotaUsedUp(file, missingBytes)
  return code === 'ENOSPC' ? diskFull(file, missingBytes, await freeBytes(path.dirname(file))) : notWritten(file, error)
}

/** Of hashing what is there. What Deno did not permit passes untouched: its own error says how to. */
export function notReadBack(file: string, error: unknown): unknown {
  if (isNotPermitted(error)) return error
  return new OllamaConfigError('store-unreadable', `${quoted(file)} cannot be read back: ${reasonOf(error)}`, {
    hint:
      hasCode(error) && error.code === 'EIO'
        ? 'the disk may be failing: look at the log of the system'
        : 'another program may have changed it: run the same again',
    cause: error,
  })
}

function diskFull(file: string, missingBytes: number, free: number | undefined): OllamaConfigError {
  const has = free === undefined ? '' : `, and has ${formatBytes(free)}`
  return new OllamaConfigError(
    'disk-full',
    `The disk of ${quoted(path.dirname(file))} is full: it needs ${formatBytes(missingBytes)} more${has}`,
    { hint: 'free some space and run the same again: it goes on from what is there' },
  )
}

/** How much the disk has left says nothing then. */
function quotaUsedUp(file: string, missingBytes: number): OllamaConfigError {
  const folder = quoted(path.dirname(file))
  return new OllamaConfigError(
    'disk-full',
    `Your quota on the disk of ${folder} is used up: it needs ${formatBytes(missingBytes)} more`,
    {
      hint: 'remove files of yours there, or have the quota raised, and run the same again: it goes on from what is there',
    },
  )
}

function partName({ digest }: Subject): string {
  return `the part ${shortDigest(digest)}`
}
