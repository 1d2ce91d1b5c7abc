/** Changes and events as the engine would make them, for the tests of the views. */
import type { ChangeFinished, ChangeProgress, Event } from '../../../src/apply/events.ts'
import type { AliasChange, Change, DeleteChange, PullChange } from '../../../src/plan/plan.ts'

const base = {
  cloud: false,
  before: null,
  dependsOn: [],
  precondition: { digest: null },
  downloadBytes: null,
  freedBytes: null,
} as const

const fetch = { insecure: false, manifest: null, presentBytes: null, locked: false } as const

export function pull(reference: string, sizeBytes: number | null = null): PullChange {
  const after = sizeBytes === null ? null : { digest: null, sizeBytes }
  const reason = { code: 'missing', text: 'not installed' } as const
  return { ...base, id: `pull ${reference}`, action: 'pull', reference, after, ...fetch, reason }
}

export function alias(reference: string, of: string, sizeBytes: number): AliasChange {
  const reason = { code: 'missing', text: 'not installed' } as const
  const after = { digest: null, sizeBytes }
  const precondition = { digest: null, source: null }
  return {
    ...base,
    id: `alias ${reference}`,
    action: 'alias',
    reference,
    after,
    of,
    precondition,
    keepAs: null,
    reason,
  }
}

export function deletion(reference: string): DeleteChange {
  const reason = { code: 'undeclared', text: 'not in the config' } as const
  const facts = { requires: 'prune', nominalBytes: 1e9, irreplaceable: false, parentModel: null } as const
  return { ...base, ...facts, id: `delete ${reference}`, action: 'delete', reference, after: null, reason }
}

export const started = (...changes: readonly Change[]): Event => ({
  type: 'apply-started',
  address: 'http://127.0.0.1:11434',
  changes,
})

export const began = ({ id }: Change): Event => ({ type: 'change-started', id })

export function progressed(
  { id }: Change,
  completedBytes: number | null,
  totalBytes: number | null,
  more: Partial<ChangeProgress> = {},
): Event {
  return {
    type: 'change-progress',
    id,
    status: 'pulling 6e4c38e1172f',
    completedBytes,
    totalBytes,
    waiting: false,
    ...more,
  }
}

export function ended({ id, action, reference }: Change, more: Partial<ChangeFinished> = {}): Event {
  const facts = { outcome: 'done', digest: null, durationMs: 1000, sizeBytes: null } as const
  return { type: 'change-finished', id, action, reference, ...facts, ...more }
}
