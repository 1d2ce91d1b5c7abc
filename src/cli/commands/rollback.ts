/** `ollama-config rollback MODEL`: puts the version back that an update replaced. */
import { createRollbackPlan } from '../../runner.ts'
import { assertApprovable } from '../approval.ts'
import type { RollbackFlags } from '../command-table.ts'
import { type Context, columnsOf, exitCodes } from '../context.ts'
import { confirm } from '../prompt.ts'
import { formatPlan } from '../views/plan.ts'
import { createStyle } from '../views/style.ts'
import { execute, openScreen, withJsonError } from './execution.ts'
import { openSession, withHostSource } from './session.ts'

export async function rollback(
  flags: RollbackFlags,
  [model = '']: readonly string[],
  context: Context,
): Promise<number> {
  const screen = openScreen(flags, context)
  return withJsonError(screen, async () => {
    assertApprovable(flags, screen.interactive)
    const { loaded, file, connection, waitMs } = await openSession(flags, context)
    const plan = await withHostSource(loaded, connection, () =>
      createRollbackPlan(loaded, model, { ...connection, waitMs }),
    )
    const style = createStyle(screen.terminal.stdoutColor)
    if (screen.json === undefined)
      context.stdout.write(formatPlan(plan, { columns: columnsOf(context.stdout), style, file, all: false }))
    else screen.json.plan(plan)
    if (!flags.yes && !(await confirm('\nRestore it?', context))) {
      context.stderr.write('Nothing was changed.\n')
      return exitCodes.usage
    }
    return execute(plan, { ...connection, config: loaded, approve: { changes: true, deletions: false } }, screen)
  })
}
