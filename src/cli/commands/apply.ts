/** `ollama-config apply`: plans, shows the plan, asks, carries it out. */
import type { ApplyRun } from '../../apply/apply-run.ts'
import type { Report } from '../../apply/report.ts'
import { OllamaConfigError } from '../../errors.ts'
import { type Change, type DeleteChange, type Plan, planErrors } from '../../plan/plan.ts'
import { applyPlan, createPlan, selectTarget } from '../../runner.ts'
import { type Answers, approvalOf, assertApprovable, assertPrunable, openQuestions } from '../approval.ts'
import type { ApplyFlags } from '../arguments.ts'
import { type Context, exitCodes } from '../context.ts'
import { confirm } from '../prompt.ts'
import type { ApplyView } from '../views/apply-view.ts'
import { JsonLines } from '../views/json.ts'
import { createPlainView } from '../views/plain.ts'
import { formatPlan, freedText, nameWidth } from '../views/plan.ts'
import { formatReport } from '../views/report.ts'
import { createStyle } from '../views/style.ts'
import { describeTerminal, type Terminal } from '../views/terminal.ts'
import { openSession, withHostSource } from './session.ts'

export async function apply(flags: ApplyFlags, context: Context): Promise<number> {
  const { stdout, stderr } = context
  const terminal = describeTerminal(context, flags)
  const interactive = terminal.interactive && !flags.json
  const style = createStyle(terminal.stdoutColor)
  const json = flags.json ? new JsonLines((text) => stdout.write(text), Date.now) : undefined
  try {
    assertApprovable(flags, interactive)
    const { loaded, file, connection, waitMs } = await openSession(flags, context)
    const { address, source } = selectTarget(loaded, connection)
    assertPrunable(flags, {
      interactive,
      configuredPrune: loaded.config.prune,
      hostSource: source,
      loopback: address.loopback,
    })
    const onWait = () => stderr.write('Waiting for the server to answer …\n')
    const prune = flags.prune === true
    const plan = await withHostSource(loaded, connection, () =>
      createPlan(loaded, { ...connection, waitMs, onWait, prune }),
    )
    if (json === undefined)
      stdout.write(formatPlan(plan, { style, file, all: false, asks: interactive && !flags['no-prune'] }))
    else json.plan(plan)
    assertApplicable(plan)

    const answers = await ask(plan, flags, interactive, context)
    if (answers.changes === false) {
      stderr.write('Nothing was changed.\n')
      return exitCodes.usage
    }
    const run = applyPlan(plan, { ...connection, config: loaded, approve: approvalOf(flags, answers) })
    const report = await follow(run, json ?? (await chooseView(terminal, flags, context)))
    const told = terminal.animate && stdout.isTTY === true
    if (json === undefined) stdout.write(`\n${formatReport(report, { style, told })}`)
    else json.report(report)
    if (report.outcome === 'interrupted') return exitCodes.interrupted
    return report.outcome === 'failed' ? exitCodes.failed : exitCodes.done
  } catch (error) {
    json?.error(error)
    throw error
  }
}

async function ask(plan: Plan, flags: ApplyFlags, interactive: boolean, context: Context): Promise<Answers> {
  const { changes, deletions } = openQuestions(plan, flags, interactive)
  const answers: { changes?: boolean; deletions?: boolean } = {}
  if (changes.length > 0) {
    // Nobody approves deletions unseen: the plan may have gone to a file.
    const unseen = context.stdout.isTTY ? [] : changes.filter(isDelete)
    if (unseen.length > 0) context.stderr.write(`\n${deletionText(unseen)}\n`)
    answers.changes = await confirm(`\n${changesQuestion(changes)}`, context)
    if (!answers.changes) return answers
  }
  if (deletions.length > 0) {
    context.stderr.write(`\n${deletionText(deletions)}\n`)
    answers.deletions = await confirm(`Delete ${deletions.length === 1 ? 'it' : `all ${deletions.length}`}?`, context)
  }
  return answers
}

const isDelete = (change: Change): change is DeleteChange => change.action === 'delete'

function changesQuestion(changes: readonly Change[]): string {
  const deletions = changes.filter(isDelete).length
  const pulls = changes.length - deletions
  const models = (count: number) => (count === 1 ? '1 model' : `${count} models`)
  if (deletions === 0) return `Pull ${models(pulls)}?`
  return pulls === 0 ? `Delete ${models(deletions)}?` : `Pull ${models(pulls)} and delete ${models(deletions)}?`
}

function deletionText(deletions: readonly DeleteChange[]): string {
  const width = nameWidth(deletions)
  const section = (title: string, list: readonly DeleteChange[]) =>
    list.length === 0
      ? []
      : [title, ...list.map((change) => `  ${change.reference.padEnd(width)}  ${freedText(change)}`)]
  return [
    ...section(
      'Installed, but not in the config:',
      deletions.filter(({ irreplaceable }) => !irreplaceable),
    ),
    ...section(
      'Not in the config, and made on a host, so no registry can give them back:',
      deletions.filter(({ irreplaceable }) => irreplaceable),
    ),
  ].join('\n')
}

function assertApplicable(plan: Plan): void {
  const [problem] = planErrors(plan)
  if (problem !== undefined)
    throw new OllamaConfigError('invalid-plan', `The plan cannot be applied: ${problem.message}`, {
      hint: problem.hint,
    })
}

async function chooseView(terminal: Terminal, flags: ApplyFlags, { stderr }: Context): Promise<ApplyView> {
  // Log lines would tear the tree apart.
  if (terminal.animate && !flags.verbose) {
    const { createTaskTree } = await import('../views/tasks.ts')
    return createTaskTree({ stream: stderr, color: terminal.stderrColor, unicode: terminal.unicode, now: Date.now })
  }
  return createPlainView({ write: (line) => stderr.write(`${line}\n`), now: Date.now })
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
