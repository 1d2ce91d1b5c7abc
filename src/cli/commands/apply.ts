/** `ollama-config apply`: plans, shows the plan, asks, carries it out; or carries out a plan that was saved. */
import { counted } from '../../artifact/text.ts'
import { isOllamaConfigError, OllamaConfigError } from '../../errors.ts'
import { blockOf, type Change, type DeleteChange, type Plan } from '../../plan/plan.ts'
import { createPlan, isLocal, selectTarget } from '../../runner.ts'
import {
  type Answers,
  approvalOf,
  assertApprovable,
  assertConsistent,
  assertPrunable,
  openQuestions,
} from '../approval.ts'
import type { ApplyFlags } from '../command-table.ts'
import { type Context, exitCodes } from '../context.ts'
import { confirm } from '../prompt.ts'
import { writeFolded } from '../views/output.ts'
import { deletionNote, nameWidth } from '../views/plan.ts'
import { assertApplicable, execute, openScreen, paceOf, type Screen, showPlan, withJsonError } from './execution.ts'
import { folderOf, openSession, openSessionIfAny, withHostSource } from './session.ts'

export async function apply(flags: ApplyFlags, [planFile]: readonly string[], context: Context): Promise<number> {
  const screen = openScreen(flags, context)
  return withJsonError(screen, () =>
    planFile === undefined ? planAndApply(flags, screen) : applySaved(planFile, flags, screen),
  )
}

async function planAndApply(flags: ApplyFlags, screen: Screen): Promise<number> {
  const { context, interactive } = screen
  assertConsistent(flags)
  assertMemory(flags)
  const pace = paceOf(flags, context)
  const session = await openSession(flags, context)
  const { loaded, file, connection } = session
  const { place, source } = selectTarget(loaded, connection)
  assertPrunable(flags, {
    interactive,
    configuredPrune: loaded.config.prune,
    hostSource: source,
    loopback: isLocal(place),
  })
  const { frozen, offline, 'keep-previous': keepPrevious } = flags
  const asksToDelete = interactive && !flags['no-prune']
  const plan = await withHostSource(session, () =>
    createPlan(loaded, {
      ...connection,
      prune: flags.prune === true,
      checkDeletions: flags.prune === true || asksToDelete,
      frozen,
      offline,
      keepPrevious,
    }),
  )
  showPlan(plan, { file, unapproved: asksToDelete ? 'asked' : 'kept' }, screen)
  assertApplicable(plan)

  const answers = await ask(plan, flags, interactive, context)
  if (answers.changes === false) {
    context.stderr.write('Nothing was changed.\n')
    return exitCodes.usage
  }
  const approve = approvalOf(flags, answers)
  const { preload } = flags
  return execute(plan, { ...connection, config: loaded, approve, ...pace, frozen, offline, preload }, screen)
}

/** Told before anything is pulled. */
function assertMemory({ preload, store }: ApplyFlags): void {
  if (!preload || store === undefined) return
  throw new OllamaConfigError('usage', '--preload and --store were both given, and a store has no memory', {
    hint: 'leave out --preload',
  })
}

/** Making the plan and passing it on was the approval, so nothing is asked. */
async function applySaved(planFile: string, flags: ApplyFlags, screen: Screen): Promise<number> {
  const { context } = screen
  for (const name of ['prune', 'no-prune', 'offline', 'keep-previous'] as const) {
    if (flags[name]) {
      throw new OllamaConfigError('usage', `--${name} cannot be given with a saved plan`, {
        hint: 'what is done was decided when the plan was made: plan again',
      })
    }
  }
  assertMemory(flags)
  const pace = paceOf(flags, context)
  const { readPlanFile } = await import('../plan-file.ts')
  const plan = await readPlanFile(planFile, folderOf(flags, context)).catch((error: unknown) => {
    if (flags.store !== true || !isOllamaConfigError(error) || error.code !== 'usage') throw error
    const hint = `${error.hint}; as the value of the flag it is written --store=${planFile}`
    throw new OllamaConfigError('usage', error.message, { hint })
  })
  // A plan may be carried out where its config is not.
  const session = await openSessionIfAny(flags, context)
  const { connection, loaded, file } = session
  showPlan(plan, { file }, screen)
  assertApplicable(plan)
  const approve = { changes: true, deletions: plan.prune }
  const { frozen, preload } = flags
  return withHostSource(session, () =>
    execute(plan, { ...connection, config: loaded, approve, ...pace, strict: true, frozen, preload }, screen),
  )
}

async function ask(plan: Plan, flags: ApplyFlags, interactive: boolean, context: Context): Promise<Answers> {
  const { changes, deletions } = openQuestions(plan, flags, interactive)
  const answers: { changes?: boolean; deletions?: boolean } = {}
  // What is blocked is reported as failed, which needs nobody's consent.
  const isPossible = changes.some((change) => blockOf(change) === undefined)
  if (isPossible) assertApprovable(flags, interactive, true)
  if (changes.length > 0) {
    // Nobody approves deletions unseen: the plan may have gone to a file.
    const unseen = context.stdout.isTTY ? [] : changes.filter(isDelete)
    if (unseen.length > 0) writeFolded(context.stderr, `\n${deletionText(unseen)}\n`)
    answers.changes = !isPossible || (await confirm(`\n${changesQuestion(changes)}`, context))
    if (!answers.changes) return answers
  }
  if (deletions.length > 0) {
    writeFolded(context.stderr, `\n${deletionText(deletions)}\n`)
    answers.deletions = await confirm(`Delete ${deletions.length === 1 ? 'it' : `all ${deletions.length}`}?`, context)
  }
  return answers
}

const isDelete = (change: Change): change is DeleteChange => change.action === 'delete'
const questions: Readonly<Record<Exclude<Change['action'], 'no-op'>, (count: number) => string>> = {
  pull: (count) => `pull ${counted(count, 'model')}`,
  update: (count) => `update ${counted(count, 'model')}`,
  derive: (count) => `build ${counted(count, 'model')}`,
  rebuild: (count) => `rebuild ${counted(count, 'model')}`,
  alias: (count) => `make ${count === 1 ? '1 alias' : `${count} aliases`}`,
  restore: (count) => `restore ${counted(count, 'model')}`,
  delete: (count) => `delete ${counted(count, 'model')}`,
}

/** `Pull 2 models, update 1 model and delete 1 model?` */
export function changesQuestion(changes: readonly Change[]): string {
  const possible = changes.filter((change) => blockOf(change) === undefined)
  const parts = Object.entries(questions).flatMap(([action, question]) => {
    const count = possible.filter((change) => change.action === action).length
    return count === 0 ? [] : [question(count)]
  })
  const last = parts.pop() ?? 'go on'
  const text = parts.length === 0 ? last : `${parts.join(', ')} and ${last}`
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}?`
}

function deletionText(deletions: readonly DeleteChange[]): string {
  const width = nameWidth(deletions)
  const section = (title: string, list: readonly DeleteChange[]) =>
    list.length === 0
      ? []
      : [title, ...list.map((change) => `  ${change.reference.padEnd(width)}  ${deletionNote(change)}`)]
  return [
    ...section(
      'Installed, but not in the config:',
      deletions.filter(({ irreplaceable }) => !irreplaceable),
    ),
    ...section(
      'Not in the config, and perhaps no registry can give them back:',
      deletions.filter(({ irreplaceable }) => irreplaceable),
    ),
  ].join('\n')
}
