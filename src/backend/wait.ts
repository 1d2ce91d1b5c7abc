/** Waits for a server that is still starting, as after `docker compose up -d`. */

import { type ErrorCode, isOllamaConfigError, OllamaConfigError } from '../errors.ts'
import type { ActualState } from '../plan/state.ts'
import { anySignal } from '../runtime/abortable.ts'
import { maxTimerMs, sleep } from '../runtime/sleep.ts'
import type { Backend, CallOptions } from './backend.ts'

/** What a starting server, or the proxy in front of it, may answer. Anything else will not get better by waiting. */
const passing: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['host-unreachable', 'host-timeout', 'host-error'])

/** Whether a server may still be starting. */
export function isPassing(error: unknown): error is OllamaConfigError {
  return isOllamaConfigError(error) && passing.has(error.code)
}

/** Between two tries; the listing of a healthy server takes a few milliseconds. */
const pauseMs = 250

export interface WaitOptions extends CallOptions {
  /** How long to go on trying, in milliseconds. Default: 0, which tries once. */
  readonly waitMs?: number | undefined
  /** Called once, when the first try failed and waiting begins. */
  readonly onWait?: (() => void) | undefined
}

/**
 * Reads what the host has, trying again until the time is over.
 *
 * @throws {OllamaConfigError} the error of the last try
 */
export async function readStateWhenReady(backend: Backend, options: WaitOptions): Promise<ActualState> {
  const { waitMs = 0, signal, onWait } = options
  if (waitMs === 0) return backend.readState({ signal })
  const deadlineMs = performance.now() + waitMs
  for (let attempt = 1; ; attempt++) {
    try {
      return await readBefore(deadlineMs, backend, signal)
    } catch (error) {
      const again = isPassing(error) && performance.now() + pauseMs <= deadlineMs
      if (!again) throw error
      if (attempt === 1) onWait?.()
    }
    await sleep(pauseMs, signal)
  }
}

/** One try, cut off when the time is over: a server that takes the connection and says nothing must not stretch it. */
async function readBefore(deadlineMs: number, backend: Backend, signal: AbortSignal | undefined): Promise<ActualState> {
  const over = AbortSignal.timeout(Math.min(maxTimerMs, Math.max(1, Math.ceil(deadlineMs - performance.now()))))
  try {
    return await backend.readState({ signal: anySignal(signal, over) })
  } catch (error) {
    if (!over.aborted || signal?.aborted) throw error
    throw new OllamaConfigError('host-timeout', `${backend.address} did not answer in the time given by --wait`, {
      hint: 'look at the log of the server, or wait longer',
    })
  }
}
