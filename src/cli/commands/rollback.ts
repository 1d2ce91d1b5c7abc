/** `ollama-config rollback MODEL`: puts the version back that an update replaced. */
import { createRollbackPlan } from '../../runner.ts'
import { assertApprovable } from '../approval.ts'
import type { RollbackFlags } from '../command-table.ts'
import { type Context, exitCodes } from '../context.ts'
import { confirm } from '../prompt.ts'
import { execute, openScreen, showPlan, withJsonError } from './execution.ts'
import { openSession, withHostSource } from './session.ts'

export async function rollback(
  flags: RollbackFlags,
  [model = '']: readonly string[],
  context: Context,
): Promise<number> {
  const screen = openScreen(flags, context)
  return withJsonError(screen, async () => {
    const session = await openSession(flags, context)
    const { loaded, file, connection } = session
    const plan = await withHostSource(session, () => createRollbackPlan(loaded, model, connection))
    showPlan(plan, { file }, screen)
    assertApprovable(flags, screen.interactive)
    if (!flags.yes && !(await confirm('\nRestore it?', context))) {
      context.stderr.write('Nothing was changed.\n')
      return exitCodes.usage
    }
    return execute(plan, { ...connection, config: loaded, approve: { changes: true, deletions: false } }, screen)
  })
}
