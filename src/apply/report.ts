/** The report: what became of each change. Made from the events alone, so that nothing else can be claimed. */
import type { Diagnostic } from '../errors.ts'
import { formatVersion } from '../plan/plan.ts'
import type { ApplyOutcome, ChangeOutcome, ChangeResult, Event } from './events.ts'

export interface Report {
  readonly formatVersion: string
  readonly outcome: ApplyOutcome
  /** One per host or store. */
  readonly targets: readonly TargetReport[]
}

export interface TargetReport {
  readonly address: string
  readonly outcome: ApplyOutcome
  /** One per change of the plan that is no no-op, in the order in which they ended. */
  readonly results: readonly ChangeResult[]
  /** What people should know and is no failure of a change. */
  readonly diagnostics: readonly Diagnostic[]
  /** Models whose entry in the lock file was written; empty where there is no such file. */
  readonly lockUpdated: readonly string[]
}

/** Adds one event to the report of a target. An apply whose `apply-finished` never came counts as interrupted. */
export function foldEvent(report: TargetReport, event: Event): TargetReport {
  switch (event.type) {
    case 'apply-started':
      return { ...report, address: event.address }
    case 'change-finished': {
      const { type: _, ...result } = event
      return { ...report, results: [...report.results, result] }
    }
    case 'apply-finished':
      return { ...report, outcome: event.outcome }
    case 'diagnostic':
      return { ...report, diagnostics: [...report.diagnostics, event.diagnostic] }
    case 'lock-updated':
      return { ...report, lockUpdated: [...report.lockUpdated, ...event.references] }
    case 'waiting':
    case 'change-started':
    case 'keeping-previous':
    case 'change-progress':
    case 'change-retrying':
    case 'model-loading':
    case 'model-loaded':
      return report
  }
}

export const emptyReport: TargetReport = {
  address: '',
  outcome: 'interrupted',
  results: [],
  diagnostics: [],
  lockUpdated: [],
}

/** One report over all targets: the worst outcome counts. */
export function joinReports(targets: readonly TargetReport[]): Report {
  const order: readonly ApplyOutcome[] = ['interrupted', 'failed', 'done']
  return {
    formatVersion,
    outcome: order.find((outcome) => targets.some((target) => target.outcome === outcome)) ?? 'done',
    targets,
  }
}

/** How many changes of a report ended so. */
export function countResults(report: Report, action: ChangeResult['action'], outcome: ChangeOutcome): number {
  return report.targets
    .flatMap(({ results }) => results)
    .filter((result) => result.action === action && result.outcome === outcome).length
}
