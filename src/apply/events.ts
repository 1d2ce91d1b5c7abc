/** Everything that happens while a plan is carried out. Views and the report are made of these alone. */
import type { Diagnostic, ErrorData } from '../errors.ts'
import type { Change } from '../plan/plan.ts'

export type Event =
  | WaitingForOther
  | ApplyStarted
  | ChangeStarted
  | KeepingPrevious
  | ChangeProgress
  | ChangeRetrying
  | ChangeFinished
  | DiagnosticFound
  | ModelLoading
  | ModelLoaded
  | LockUpdated
  | ApplyFinished

/** Nothing has begun: another process works where this one wants to. Comes before everything else, at most once. */
export interface WaitingForOther {
  readonly type: 'waiting'
  /** Who it is, such as `process 4711, since 2026-01-31T10:15:00Z`. */
  readonly holder: string
}

export interface ApplyStarted {
  readonly type: 'apply-started'
  readonly address: string
  /** The approved changes, in the order in which they will start. */
  readonly changes: readonly Change[]
}

export interface ChangeStarted {
  readonly type: 'change-started'
  readonly id: string
}

/** The installed version is about to be copied aside, before it is replaced. */
export interface KeepingPrevious {
  readonly type: 'keeping-previous'
  /** Of the change that replaces it. */
  readonly id: string
  /** Name of the copy. */
  readonly copy: string
  readonly digest: string
}

/** Something that people should know and that is no failure of a change. */
export interface DiagnosticFound {
  readonly type: 'diagnostic'
  readonly diagnostic: Diagnostic
}

/** Progress of one change as a whole. */
export interface ChangeProgress {
  readonly type: 'change-progress'
  readonly id: string
  /** What is being done, such as `pulling manifest`. */
  readonly status: string
  /** Bytes of the model on the host, those that were there before included; `null` while unknown. May run backwards. */
  readonly completedBytes: number | null
  /** Bytes of the model. Of one whose manifest the plan does not have, of the layers seen so far; `null` while unknown. */
  readonly totalBytes: number | null
  /** The server is waiting for another client's download of the same layer. */
  readonly waiting: boolean
}

/** An attempt failed in a way that may pass, and another one follows. */
export interface ChangeRetrying {
  readonly type: 'change-retrying'
  readonly id: string
  /** The one that follows: 2 or more. */
  readonly attempt: number
  /** Until it begins. */
  readonly pauseMs: number
  /** What the last one failed with. */
  readonly error: ErrorData
}

export interface ChangeFinished extends ChangeResult {
  readonly type: 'change-finished'
}

/** After the changes, with `preload`: the host begins to load a model into memory. */
export interface ModelLoading {
  readonly type: 'model-loading'
  readonly reference: string
}

/** It is in memory. Of one that could not be loaded a `diagnostic` tells instead. */
export interface ModelLoaded {
  readonly type: 'model-loaded'
  readonly reference: string
  readonly durationMs: number
}

/** The lock file names the versions that this apply brought. */
export interface LockUpdated {
  readonly type: 'lock-updated'
  /** Its name, without folder. */
  readonly file: string
  readonly references: readonly string[]
}

export interface ApplyFinished {
  readonly type: 'apply-finished'
  readonly outcome: ApplyOutcome
}

export type ApplyOutcome = 'done' | 'failed' | 'interrupted'

/**
 * `done`: carried out and checked, or found done by somebody else meanwhile. `skipped`: not begun, see `skipReason`.
 * `cancelled`: begun, then interrupted; what was downloaded stays and a later pull goes on from there.
 */
export type ChangeOutcome = 'done' | 'failed' | 'skipped' | 'cancelled'

export type SkipReason =
  | 'not-approved' // by the caller
  | 'irreplaceable' // deleting it needs the approval of a person
  | 'dependency-failed' // what it starts from was not brought
  | 'earlier-failure' // nothing is deleted in a run in which something failed
  | 'interrupted'

export interface ChangeResult {
  readonly id: string
  readonly action: Change['action']
  readonly reference: string
  readonly outcome: ChangeOutcome
  readonly skipReason?: SkipReason
  /** True when the host fetched it in this run; absent when it was found done. */
  readonly fetched?: true
  /** True when the host built or copied it in this run; absent when it was found done. */
  readonly made?: true
  readonly error?: ErrorData
  /** How often it was tried; absent when once was enough. */
  readonly attempts?: number
  /** Digest of the installed model afterwards; `null` when none is installed or none was looked for. */
  readonly digest: string | null
  readonly durationMs: number
  /** Nominal size of the installed model afterwards; `null` like `digest`, and for cloud models. */
  readonly sizeBytes: number | null
}
