/** Runs what plugins bring: with a limit of time, an end when the user interrupts, and whatever goes wrong told as a diagnostic. */
import { printable } from '../artifact/text.ts'
import { describe } from '../config/describe.ts'
import { type Diagnostic, isOllamaConfigError, OllamaConfigError } from '../errors.ts'
import { abortable, anySignal } from '../runtime/abortable.ts'
import type { Logger } from '../runtime/logger.ts'
import { maxTimerMs } from '../runtime/sleep.ts'
import { ShapeError } from '../shape.ts'

/** A plugin is not asked to be quick, but a run must not hang on it. */
const defaultHookTimeoutMs = 30_000

// Made once: it is given to a signal that mostly nobody looks at any more.
const ended = new DOMException('The hook has ended', 'AbortError')

export interface HookOptions {
  readonly signal?: AbortSignal | undefined
  /** Longest time of one hook whose plugin does not say it itself. Default: 30 000. */
  readonly hookTimeoutMs?: number | undefined
  readonly logger?: Logger | undefined
}

/** Whose hook it is, for messages: its name, and the place where it was given. */
export interface HookOwner {
  readonly name: string
  readonly path: string
}

export interface HookCall<T> {
  /** For messages: `its review hook`. */
  readonly what: string
  /** Longest time of this one. Default: that of the options. */
  readonly timeoutMs?: number | undefined
  /** Runs the plugin's code. The signal goes up when the user interrupts, when time is over, and when the hook has ended. */
  readonly call: (signal: AbortSignal) => unknown
  /** Checks what came back. @throws {ShapeError} */
  readonly read: (value: unknown) => T
}

export type HookOutcome<T> = { readonly value: T } | { readonly problem: Diagnostic }

/**
 * One hook of one plugin. Whatever it does ends in a value or in one diagnostic, of code `plugin-failed` or `plugin-timeout`.
 *
 * @throws `signal.reason` when the user interrupted, whatever the hook made of it
 */
export async function runHook<T>(
  owner: HookOwner,
  { what, call, read, timeoutMs }: HookCall<T>,
  options: HookOptions,
): Promise<HookOutcome<T>> {
  const { signal, hookTimeoutMs = defaultHookTimeoutMs, logger } = options
  signal?.throwIfAborted()
  const limitMs = Math.min(timeoutMs ?? hookTimeoutMs, maxTimerMs)
  const own = new AbortController()
  const both = anySignal(signal, own.signal)
  const late = `${what} was not done after ${limitMs / 1000} s`
  const timer = setTimeout(() => own.abort(new OllamaConfigError('plugin-timeout', late)), limitMs)
  try {
    const value = await abortable(call(both), both)
    signal?.throwIfAborted()
    return { value: read(value) }
  } catch (error) {
    if (signal?.aborted) throw signal.reason
    if (own.signal.aborted) return { problem: problemOf(owner, 'plugin-timeout', late) }
    try {
      logger?.debug('plugin failed', { plugin: owner.name, stack: error instanceof Error ? error.stack : undefined })
      const wrong = error instanceof ShapeError ? 'did not return what it has to' : 'failed'
      const hint = isOllamaConfigError(error) ? error.hint : undefined
      return { problem: problemOf(owner, 'plugin-failed', `${what} ${wrong}: ${textOf(error)}`, hint) }
    } catch {
      // Whatever plugins throw may do anything when it is looked at.
      return { problem: problemOf(owner, 'plugin-failed', `${what} failed: it threw what cannot be shown`) }
    }
  } finally {
    clearTimeout(timer)
    // What the hook left behind, such as an answer that nobody reads to its end, must not keep the process alive.
    own.abort(ended)
  }
}

function problemOf(owner: HookOwner, code: string, text: string, hint?: string): Diagnostic {
  const message = `${owner.name}: ${text}`
  return { severity: 'error', code, message, path: owner.path, ...(hint === undefined ? {} : { hint }) }
}

/** Of an error also its cause, which often says more, as for a failed `fetch`. */
function textOf(error: unknown): string {
  if (!(error instanceof Error)) return `it threw ${describe(error)}`
  const text = printable(String(error.message)) || error.name
  const { cause } = error
  return cause instanceof Error && !text.includes(cause.message)
    ? `${text} (${printable(String(cause.message))})`
    : text
}
