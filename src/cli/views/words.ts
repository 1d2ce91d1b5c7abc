/** What became of a change, in words: the same in the task tree and in plain lines. Pure. */

import type { ModelLoaded, ModelLoading, SkipReason, WaitingForOther } from '../../apply/events.ts'
import { formatBytes } from '../../artifact/bytes.ts'
import { printable } from '../../artifact/text.ts'
import type { Change } from '../../plan/plan.ts'
import { formatDuration } from './format.ts'
import type { ChangeState } from './progress.ts'
import type { Style } from './style.ts'

type Action = ChangeState['action']

const present: Readonly<Record<Action, string>> = {
  'no-op': 'checking',
  pull: 'pulling',
  update: 'updating',
  derive: 'building',
  rebuild: 'rebuilding',
  alias: 'copying',
  restore: 'restoring',
  delete: 'deleting',
}
/** What was done. */
export const past: Readonly<Record<Action, string>> = {
  'no-op': 'unchanged',
  pull: 'pulled',
  update: 'updated',
  derive: 'built',
  rebuild: 'rebuilt',
  alias: 'aliased',
  restore: 'restored',
  delete: 'deleted',
}

const skipReasons: Readonly<Record<SkipReason, string>> = {
  'not-approved': 'not approved',
  irreplaceable: 'no registry can give it back',
  'dependency-failed': 'what it starts from failed',
  'earlier-failure': 'nothing is deleted after a failure',
  interrupted: 'interrupted',
}

/** Before anything has begun. */
export function waitingText({ holder }: WaitingForOther): string {
  return `Waiting for another run of ollama-config: ${printable(holder)}`
}

/** After the changes. */
export function loadingText(event: ModelLoading | ModelLoaded): string {
  const time = event.type === 'model-loaded' ? `loaded in ${formatDuration(event.durationMs)}` : 'loading into memory'
  return `${printable(event.reference)}: ${time}`
}

/** What is being done, in the server's words where it has some. */
export function activityText(state: ChangeState): string {
  if (state.retry !== null) return `attempt ${state.retry.attempt} follows in ${formatDuration(state.retry.pauseMs)}`
  if (state.waitsForOther) return 'waiting for another download'
  return state.status === '' ? present[state.action] : state.status
}

/** Of a finished change: `pulled 4.7 GB in 1m 20s`; the size is the model's, of which some may have been there before. */
export function outcomeText(state: ChangeState): string {
  switch (state.phase) {
    case 'done':
      return `${past[state.action]}${bytesText(state)}${timeText(' in', state)}${attemptsText(state)}`
    case 'failed':
      return `failed${timeText(' after', state)}${attemptsText(state)}`
    case 'skipped':
      return state.skipReason === null ? 'skipped' : `skipped: ${skipReasons[state.skipReason]}`
    case 'cancelled':
      // Said only where it is true: layers that were begun stay on the host.
      return state.completedBytes ? `cancelled at ${formatBytes(state.completedBytes)}, resumable` : 'cancelled'
    default:
      return state.phase
  }
}

/** Under a failed change. The name is part of it, so that the line means something when copied into an issue. */
export function errorTexts(
  state: ChangeState,
  shownHint: Style['hint'],
): { readonly message: string; readonly hint: string | null } | null {
  if (state.error === null) return null
  const { message, hint } = state.error
  const text = printable(message)
  return {
    message: text.includes(state.reference) ? text : `${state.reference}: ${text}`,
    hint: hint === undefined ? null : `hint: ${printable(shownHint(hint))}`,
  }
}

function bytesText({ action, sizeBytes }: ChangeState): string {
  return (action === 'pull' || action === 'update') && sizeBytes ? ` ${formatBytes(sizeBytes)}` : ''
}

function attemptsText({ attempts }: ChangeState): string {
  return attempts > 1 ? `, ${attempts} attempts` : ''
}

function timeText(word: string, { durationMs }: ChangeState): string {
  return durationMs === null ? '' : `${word} ${formatDuration(durationMs)}`
}

/** What is to be done, as people say it. */
export function verbOf(action: Change['action']): string {
  return action === 'derive' ? 'build' : action
}
