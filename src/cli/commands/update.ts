/** `ollama-config update`: brings models to what their tags name now, and locks that; with `--lock-only` only the latter. */
import { existsSync } from 'node:fs'
import path from 'node:path'
import { OllamaConfigError } from '../../errors.ts'
import { blockOf, pendingChanges } from '../../plan/plan.ts'
import { createPlan, lockModels, lockPathOf } from '../../runner.ts'
import { assertApprovable } from '../approval.ts'
import type { UpdateFlags } from '../command-table.ts'
import { type Context, exitCodes } from '../context.ts'
import { confirm } from '../prompt.ts'
import { changesQuestion } from './apply.ts'
import { assertApplicable, execute, openScreen, paceOf, type Screen, showPlan, withJsonError } from './execution.ts'
import { showLock } from './lock.ts'
import { openSession, withHostSource } from './session.ts'

export async function update(flags: UpdateFlags, models: readonly string[], context: Context): Promise<number> {
  if (flags['lock-only']) return lockOnly(flags, models, context)
  const screen = openScreen(flags, context)
  return withJsonError(screen, () => planAndUpdate(flags, models, screen))
}

async function planAndUpdate(flags: UpdateFlags, models: readonly string[], screen: Screen): Promise<number> {
  const { context, interactive } = screen
  const pace = paceOf(flags, context)
  const session = await openSession(flags, context)
  const { loaded, file, connection } = session
  const plan = await withHostSource(session, () =>
    createPlan(loaded, {
      ...connection,
      update: models.length === 0 ? 'all' : models,
      keepPrevious: flags['keep-previous'],
    }),
  )
  showPlan(plan, { file, all: true }, screen)
  assertApplicable(plan)
  const pending = pendingChanges(plan)
  const isPossible = pending.some((change) => blockOf(change) === undefined)
  if (isPossible) assertApprovable(flags, interactive)
  if (isPossible && !flags.yes && !(await confirm(`\n${changesQuestion(pending)}`, context))) {
    context.stderr.write('Nothing was changed.\n')
    return exitCodes.usage
  }
  const approve = { changes: true, deletions: false }
  return execute(plan, { ...connection, config: loaded, approve, ...pace }, screen)
}

async function lockOnly(flags: UpdateFlags, models: readonly string[], context: Context): Promise<number> {
  const session = await openSession(flags, context)
  const { loaded, connection } = session
  const file = lockPathOf(loaded)
  if (file === undefined || !existsSync(file)) {
    throw new OllamaConfigError('lock-missing', `There is no ${path.basename(file ?? 'lock file')} beside the config`, {
      hint: 'write it with "ollama-config lock"',
    })
  }
  const result = await withHostSource(session, () =>
    lockModels(loaded, { ...connection, models: models.length === 0 ? undefined : models, from: 'registry' }),
  )
  return showLock(result, ['update', '--lock-only', ...models], flags, context)
}
