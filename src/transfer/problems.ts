/** What can be wrong with a download, in the words of people. */
import path from 'node:path'
import { formatBytes } from '../artifact/bytes.ts'
import { shortDigest } from '../artifact/manifest.ts'
import { printable, quoted } from '../artifact/text.ts'
import { OllamaConfigError } from '../errors.ts'
import { notWritten } from '../runtime/atomic-file.ts'
import { freeBytes } from '../runtime/disk-space.ts'
import { hasCode, TransportError } from '../runtime/transport-error.ts'
import { AnswerError } from './source.ts'

/** Which blob, and whose. */
interface Subject {
  readonly digest: string
  readonly host: string
}

/** The source does not have the blob, or not any more. Whoever fetches a locked version says so in other words. */
export class BlobGoneError extends OllamaConfigError {
  constructor(subject: Subject, { message }: Error) {
    super('registry-error', `${subject.host} does not have ${partName(subject)} of the model: ${message}`, {
      hint: 'the model may have been replaced or removed there meanwhile: plan again',
    })
  }
}

export class WrongBytesError extends OllamaConfigError {
  constructor(subject: Subject) {
    super('digest-mismatch', `${subject.host} sent wrong bytes for ${partName(subject)} of the model, twice`, {
      hint: 'try again; when that does not help, a proxy on the way changes what it passes on',
    })
  }
}

/** After so many tries in a row. */
export function notFetched(subject: Subject, error: unknown, failures: number): OllamaConfigError {
  const message = error instanceof Error ? printable(error.message, 200) : 'unknown error'
  const hint =
    'check the network and HTTPS_PROXY of this machine, and run the same again: it goes on from what is there'
  return error instanceof AnswerError
    ? new OllamaConfigError(
        'registry-error',
        `${subject.host} did not give ${partName(subject)} of the model, ${failures} times in a row: ${message}`,
        { hint },
      )
    : new OllamaConfigError(
        'registry-unreachable',
        `${partName(subject)} of the model cannot be fetched from ${subject.host}, after ${failures} tries in a row: ${message}`,
        { hint, cause: error },
      )
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
  const isFull = hasCode(error) && /^(ENOSPC|EDQUOT)$/.test(error.code)
  return isFull ? diskFull(file, missingBytes, await freeBytes(path.dirname(file))) : notWritten(file, error)
}

function diskFull(file: string, missingBytes: number, free: number | undefined): OllamaConfigError {
  const has = free === undefined ? '' : `, and has ${formatBytes(free)}`
  return new OllamaConfigError(
    'disk-full',
    `The disk of ${quoted(path.dirname(file))} is full: it needs ${formatBytes(missingBytes)} more${has}`,
    { hint: 'free some space and run the same again: it goes on from what is there' },
  )
}

function partName({ digest }: Subject): string {
  return `the part ${shortDigest(digest)}`
}
