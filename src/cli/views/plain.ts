/** Progress as plain lines, for logs and CI: no escape sequences, each line with the model's name. */
import type { Event } from '../../apply/events.ts'
import { formatBytes } from '../../artifact/bytes.ts'
import { printable } from '../../artifact/text.ts'
import type { ApplyView } from './apply-view.ts'
import { formatByteShare, formatPercent, formatRate, formatRemaining } from './format.ts'
import {
  type ChangeState,
  expectedBytes,
  foldProgress,
  fractionOf,
  isFinished,
  noProgress,
  rateOf,
  remainingOf,
} from './progress.ts'
import type { Style } from './style.ts'
import { activityText, errorTexts, loadingText, outcomeText, waitingText } from './words.ts'

export interface PlainViewOptions {
  /** Writes one line, which comes without its end. */
  write(line: string): void
  /** Milliseconds, of any clock. */
  now(): number
  /** As of {@link Style}. Default: hints are shown as they are. */
  readonly hint?: Style['hint'] | undefined
}

/** At most one line of progress per change in this time. */
const quietMs = 5000

export function createPlainView({ write, now, hint = (text) => text }: PlainViewOptions): ApplyView {
  let progress = noProgress
  let closed = false
  const lastLineMs = new Map<string, number>()

  const say = (state: ChangeState, text: string, nowMs: number) => {
    lastLineMs.set(state.id, nowMs)
    write(`${state.reference}: ${text}`)
  }

  const show = (event: Event, nowMs: number) => {
    if (event.type === 'waiting') write(waitingText(event))
    if (event.type === 'model-loading' || event.type === 'model-loaded') write(loadingText(event))
    if (!('id' in event)) return
    const state = progress.changes[progress.indexes.get(event.id) ?? -1]
    if (state === undefined) return
    if (event.type === 'keeping-previous') {
      say(state, `copying the installed version to ${event.copy}`, nowMs)
      return
    }
    if (event.type === 'change-retrying') {
      say(state, `${activityText(state)}: ${printable(event.error.message)}`, nowMs)
      return
    }
    if (event.type === 'change-finished') {
      say(state, outcomeText(state), nowMs)
      const error = errorTexts(state, hint)
      if (error !== null) write(error.message)
      if (error?.hint) say(state, error.hint, nowMs)
    } else if (event.type === 'change-started') {
      say(state, activityText(state), nowMs)
    } else if (!isFinished(state) && nowMs - (lastLineMs.get(state.id) ?? Number.NEGATIVE_INFINITY) >= quietMs) {
      say(state, progressText(state, nowMs), nowMs)
    }
  }

  return {
    handle(event) {
      if (closed) return
      const nowMs = now()
      try {
        progress = foldProgress(progress, event, nowMs)
        show(event, nowMs)
      } catch {
        // Nobody can be told where nothing can be written, and the apply goes on.
        closed = true
      }
    },
    async close() {
      closed = true
    },
  }
}

/** `48%, 2.3 / 4.7 GB, 118 MB/s, 20s left`, as far as known. */
function progressText(state: ChangeState, nowMs: number): string {
  const fraction = fractionOf(state)
  if (fraction === null || fraction === 1 || state.waitsForOther) return activityText(state)
  const total = expectedBytes(state)
  const completed = state.completedBytes ?? 0
  return [
    formatPercent(fraction),
    total === null ? formatBytes(completed) : formatByteShare(completed, total),
    formatRate(rateOf(state, nowMs)),
    formatRemaining(remainingOf(state, nowMs)),
  ]
    .filter((part) => part !== '')
    .join(', ')
}
