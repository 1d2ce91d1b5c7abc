/** JSON for programs: one document for `plan`, JSON lines for `apply`. */
import type { Event } from '../../apply/events.ts'
import type { Report } from '../../apply/report.ts'
import { jsonText } from '../../artifact/json-text.ts'
import { isConfigError, toErrorData } from '../../errors.ts'
import { formatVersion, type Plan, pendingChanges } from '../../plan/plan.ts'
import { version } from '../../version.ts'

/** Progress of one change is told at most so often. */
const progressEveryMs = 1000

/** The plan, and the ids of its changes that the same flags would apply. */
export function planDocument(plan: Plan): string {
  const pending = pendingChanges(plan).map(({ id }) => id)
  return `${jsonText({ ...plan, pending }, 2)}\n`
}

export function errorDocument(error: unknown): string {
  return `${jsonText({ formatVersion, error: errorJson(error) }, 2)}\n`
}

/** The last line of `apply --json` and the like, where something failed. */
export function errorLine(error: unknown): string {
  return `${jsonText({ type: 'error', error: errorJson(error) })}\n`
}

/** Writes the lines of `apply --json`: `version`, `plan`, events, then `report` or `error`. */
export class JsonLines {
  readonly #write: (text: string) => void
  readonly #now: () => number
  readonly #lastProgressMs = new Map<string, number>()

  constructor(write: (text: string) => void, now: () => number) {
    this.#write = write
    this.#now = now
    this.#line({ type: 'version', formatVersion, version })
  }

  plan(plan: Plan): void {
    this.#line({ type: 'plan', plan })
  }

  event(event: Event): void {
    if (event.type === 'change-progress') {
      const nowMs = this.#now()
      // The clock may be set back.
      const sinceMs = Math.abs(nowMs - (this.#lastProgressMs.get(event.id) ?? Number.NEGATIVE_INFINITY))
      if (sinceMs < progressEveryMs) return
      this.#lastProgressMs.set(event.id, nowMs)
    }
    this.#line({ time: new Date(this.#now()).toISOString(), ...event })
  }

  report(report: Report): void {
    this.#line({ type: 'report', report })
  }

  error(error: unknown): void {
    this.#write(errorLine(error))
  }

  #line(value: object): void {
    this.#write(`${jsonText(value)}\n`)
  }
}

function errorJson(error: unknown): object {
  return isConfigError(error) ? { ...toErrorData(error), diagnostics: error.diagnostics } : toErrorData(error)
}
