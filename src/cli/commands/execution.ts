/** What apply, update and rollback share: the view of a run, its report, its exit code. */
import type { ApplyRun } from '../../apply/apply-run.ts'
import type { Report } from '../../apply/report.ts'
import { OllamaConfigError } from '../../errors.ts'
import { type Plan, planErrors } from '../../plan/plan.ts'
import { type ApplyPlanOptions, applyPlan } from '../../runner.ts'
import { parseCount, parseDuration } from '../arguments.ts'
import { programOf, styleFor } from '../command-line.ts'
import type { ApplyFlags, CommonFlags } from '../command-table.ts'
import { type Context, columnsOf, exitCodes } from '../context.ts'
import type { ApplyView } from '../views/apply-view.ts'
import { JsonLines } from '../views/json.ts'
import { writeFolded } from '../views/output.ts'
import { createPlainView } from '../views/plain.ts'
import { formatPlan, type PlanViewOptions } from '../views/plan.ts'
import { formatReport } from '../views/report.ts'
import { describeTerminal, type Terminal } from '../views/terminal.ts'

export interface Screen {
  readonly context: Context
  readonly flags: CommonFlags
  readonly terminal: Terminal
  /** Somebody can be asked, and JSON is not wanted. */
  readonly interactive: boolean
  /** With `--json`. */
  readonly json: JsonLines | undefined
}

/** With `--json` the line with the version is written at once. */
export function openScreen(flags: CommonFlags, context: Context): Screen {
  const terminal = describeTerminal(context, flags)
  return {
    context,
    flags,
    terminal,
    interactive: terminal.interactive && !flags.json,
    json: flags.json ? new JsonLines((text) => context.stdout.write(text), Date.now) : undefined,
  }
}

/** How many fetches at once, and with how much patience. @throws {OllamaConfigError} `usage` */
export function paceOf(
  flags: Pick<ApplyFlags, 'concurrency' | 'stall-timeout'>,
  { retryPauseMs }: Context,
): Pick<ApplyPlanOptions, 'concurrency' | 'stallMs' | 'retryPauseMs'> {
  const concurrency = parseCount('--concurrency', flags.concurrency)
  return { concurrency, stallMs: parseDuration('--stall-timeout', flags['stall-timeout']), retryPauseMs }
}

/** Runs a command that writes JSON lines: an error is told as one of them too. */
export async function withJsonError(screen: Screen, command: () => Promise<number>): Promise<number> {
  try {
    return await command()
  } catch (error) {
    screen.json?.error(error)
    throw error
  }
}

type PlanView = Pick<PlanViewOptions, 'file' | 'unapproved'> & Partial<Pick<PlanViewOptions, 'all'>>

/** On stdout: as text, or as one of the JSON lines. */
export function showPlan(plan: Plan, { file, all = false, unapproved = 'kept' }: PlanView, screen: Screen): void {
  const { json, terminal, context, flags } = screen
  if (json !== undefined) {
    json.plan(plan)
    return
  }
  const style = styleFor(terminal.stdoutColor, flags, context)
  context.stdout.write(formatPlan(plan, { columns: columnsOf(context.stdout), style, file, all, unapproved }))
}

/** @throws {OllamaConfigError} `invalid-plan` */
export function assertApplicable(plan: Plan): void {
  const [problem] = planErrors(plan)
  if (problem !== undefined)
    throw new OllamaConfigError('invalid-plan', `The plan cannot be applied: ${problem.message}`, {
      hint: problem.hint,
    })
}

/** Carries the plan out, shows how it goes and what became of it. */
export async function execute(plan: Plan, options: ApplyPlanOptions, screen: Screen): Promise<number> {
  const report = await carryOut(plan, options, screen)
  showReport(report, screen)
  return exitCodeOf(report)
}

/** Carries the plan out and shows how it goes. */
export async function carryOut(plan: Plan, options: ApplyPlanOptions, screen: Screen): Promise<Report> {
  const run = applyPlan(plan, options)
  return follow(run, screen.json ?? (await chooseView(screen)))
}

/** On stdout, as the plan. Failures are not told twice where the view has told them beside it. */
export function showReport(report: Report, { json, terminal, context, flags }: Screen): void {
  // By the view, which writes to stderr: beside the report only in a terminal, or where both are one.
  const told = context.stdout === context.stderr || (terminal.animate && context.stdout.isTTY === true)
  if (json === undefined)
    context.stdout.write(
      `\n${formatReport(report, {
        style: styleFor(terminal.stdoutColor, flags, context),
        told,
        columns: columnsOf(context.stdout),
        program: programOf(context),
      })}`,
    )
  else json.report(report)
}

/** Of the command, by how the run ended. */
export function exitCodeOf(report: Report): number {
  if (report.outcome === 'interrupted') return exitCodes.interrupted
  return report.outcome === 'failed' ? exitCodes.failed : exitCodes.done
}

/** Of a clock that is never set back. */
const now = () => performance.now()

async function chooseView({ terminal, flags, context }: Screen): Promise<ApplyView> {
  const { stderr } = context
  const style = styleFor(terminal.stderrColor, flags, context)
  // Log lines would tear the tree apart.
  if (terminal.animate && !flags.verbose) {
    const { createTaskTree } = await import('../views/tasks.ts')
    return createTaskTree({ stream: stderr, style, unicode: terminal.unicode, now })
  }
  return createPlainView({ write: (line) => writeFolded(stderr, `${line}\n`), now, hint: style.hint })
}

async function follow(run: ApplyRun, view: ApplyView | JsonLines): Promise<Report> {
  try {
    for await (const event of run) {
      if (view instanceof JsonLines) view.event(event)
      else view.handle(event)
    }
  } finally {
    if (!(view instanceof JsonLines)) await view.close()
  }
  return run.report
}
