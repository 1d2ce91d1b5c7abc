/** `ollama-config check`: one line, and 0 or 1. */
import { printable } from '../../artifact/text.ts'
import type { Diagnostic } from '../../errors.ts'
import { blockOf, type Plan, pendingChanges, planErrors } from '../../plan/plan.ts'
import { createPlan } from '../../runner.ts'
import { applyCommand, styleFor } from '../command-line.ts'
import type { CheckFlags } from '../command-table.ts'
import { type Context, exitCodes } from '../context.ts'
import { planDocument } from '../views/json.ts'
import { writeFolded } from '../views/output.ts'
import { verbOf } from '../views/words.ts'
import { openSession, type Session, withHostSource } from './session.ts'

/** More names than this make no line that anyone reads. */
const namesShown = 5

export async function check(flags: CheckFlags, context: Context): Promise<number> {
  const session = await openSession(flags, context)
  const plan = await quickPlan(session, flags)
  const problem = lacking(plan, flags, context)
  if (flags.json) context.stdout.write(planDocument(plan))
  else writeFolded(context.stdout, `${problem ?? fineText(session.loaded.desired.models.length)}\n`)
  return problem === undefined ? exitCodes.done : exitCodes.failed
}

type Flags = Pick<CheckFlags, 'prune'> & Parameters<typeof applyCommand>[0]

/** It only says whether something is pending: no registry is asked. */
export function quickPlan(session: Session, { prune = false, frozen }: Flags): Promise<Plan> {
  const { loaded, connection } = session
  return withHostSource(session, () =>
    createPlan(loaded, { ...connection, prune, checkDeletions: false, frozen, offline: true }),
  )
}

/** In one line what is missing, or what is wrong, and what to do; `undefined`: nothing. */
export function lacking(plan: Plan, flags: Flags, context: Context): string | undefined {
  const [error] = planErrors(plan)
  if (error !== undefined) return sentence(error, flags, context)
  const pending = pendingChanges(plan)
  if (pending.length === 0) return undefined
  const blocks = pending.map(blockOf)
  // An apply would fail alike.
  if (blocks[0] !== undefined && blocks.every((block) => block !== undefined))
    return sentence(blocks[0], flags, context)
  const names = pending.slice(0, namesShown).map(({ action, reference }) => `${verbOf(action)} ${reference}`)
  const more = pending.length > namesShown ? `, and ${pending.length - namesShown} more` : ''
  return `Pending: ${names.join(', ')}${more}. Run: ${applyCommand(flags, context)}`
}

function sentence(problem: Pick<Diagnostic, 'message' | 'hint'>, flags: Flags, context: Context): string {
  const { hint } = styleFor(false, flags, context)
  return printable(`${problem.message}${problem.hint === undefined ? '' : `. Next: ${hint(problem.hint)}`}`, 1000)
}

function fineText(count: number): string {
  if (count === 0) return 'The config declares no model.'
  return count === 1 ? 'The declared model is installed.' : `All ${count} declared models are installed.`
}
