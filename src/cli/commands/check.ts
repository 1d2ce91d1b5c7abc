/** `ollama-config check`: one line, and 0 or 1. */
import { printable } from '../../artifact/text.ts'
import { pendingChanges, planErrors } from '../../plan/plan.ts'
import { createPlan } from '../../runner.ts'
import type { CheckFlags } from '../command-table.ts'
import { type Context, exitCodes } from '../context.ts'
import { planDocument } from '../views/json.ts'
import { applyCommand, openSession, withHostSource } from './session.ts'

/** More names than this make no line that anyone reads. */
const namesShown = 5

export async function check(flags: CheckFlags, context: Context): Promise<number> {
  const { loaded, connection, waitMs } = await openSession(flags, context)
  const result = await withHostSource(loaded, connection, () =>
    createPlan(loaded, {
      ...connection,
      waitMs,
      prune: flags.prune === true,
      // It only says whether something is pending: no registry is asked.
      checkDeletions: false,
      frozen: flags.frozen,
      offline: true,
    }),
  )
  const pending = pendingChanges(result)
  const errors = planErrors(result)
  if (flags.json) {
    context.stdout.write(planDocument(result))
  } else if (errors[0] !== undefined) {
    context.stdout.write(`${printable(errors[0].message, 1000)}\n`)
  } else if (pending.length > 0) {
    const names = pending
      .slice(0, namesShown)
      .map(({ action, reference }) => `${action === 'derive' ? 'build' : action} ${reference}`)
    const more = pending.length > namesShown ? `, and ${pending.length - namesShown} more` : ''
    context.stdout.write(`Pending: ${names.join(', ')}${more}. Run: ${applyCommand(flags, context)}\n`)
  } else {
    context.stdout.write(`${fineText(loaded.desired.models.length)}\n`)
  }
  return pending.length > 0 || errors.length > 0 ? exitCodes.failed : exitCodes.done
}

function fineText(count: number): string {
  if (count === 0) return 'The config declares no model.'
  return count === 1 ? 'The declared model is installed.' : `All ${count} declared models are installed.`
}
