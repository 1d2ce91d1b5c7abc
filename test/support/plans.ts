/** Plans put together by hand, for what only reads them. */
import type { Change, DeleteChange, NoOpChange, Plan, PullChange, Reason } from '../../src/plan/plan.ts'

const installed = { digest: `sha256:${'0'.repeat(64)}`, sizeBytes: 45_000_000 }

function base(action: Change['action'], reference: string) {
  return {
    id: `${action}:${reference}`,
    reference,
    cloud: false,
    dependsOn: [],
    precondition: { digest: null },
    downloadBytes: null,
    freedBytes: null,
  }
}

const reason = (code: Reason['code']): Reason => ({ code, text: code })

export function noOp(reference: string, overrides: Partial<NoOpChange> = {}): NoOpChange {
  const facts = { before: installed, after: installed, reason: reason('in-sync') }
  return { ...base('no-op', reference), action: 'no-op', ...facts, ...overrides }
}

export function pull(reference: string, overrides: Partial<PullChange> = {}): PullChange {
  const facts = { before: null, after: null, insecure: false, manifest: null, presentBytes: null, locked: false }
  return { ...base('pull', reference), action: 'pull', ...facts, reason: reason('missing'), ...overrides }
}

export function deletion(reference: string): DeleteChange {
  const facts = { before: installed, after: null, nominalBytes: 0, irreplaceable: false, parentModel: null }
  return { ...base('delete', reference), action: 'delete', requires: 'prune', ...facts, reason: reason('undeclared') }
}

export function planOf(...changes: readonly Change[]): Plan {
  const target = { address: 'http://127.0.0.1:11434', kind: 'host', serverVersion: '0.33.0' } as const
  return { formatVersion: '1.0', prune: false, targets: [{ ...target, changes, drift: [], diagnostics: [] }] }
}
