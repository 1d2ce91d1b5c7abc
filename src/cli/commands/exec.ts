/** `ollama-config exec`: sees to it that the models are there, then runs a command with the address of the server. */
import { printable } from '../../artifact/text.ts'
import { pendingChanges } from '../../plan/plan.ts'
import { createPlan, environmentOf } from '../../runner.ts'
import { runCommand } from '../../runtime/run-command.ts'
import type { ExecFlags } from '../command-table.ts'
import { type Context, exitCodes } from '../context.ts'
import { writeFolded } from '../views/output.ts'
import { describeTerminal } from '../views/terminal.ts'
import { lacking, quickPlan } from './check.ts'
import { assertApplicable, carryOut, exitCodeOf, paceOf, type Screen, showReport } from './execution.ts'
import { folderOf, openSession, type Session, withHostSource } from './session.ts'

export async function exec(flags: ExecFlags, command: readonly string[], context: Context): Promise<number> {
  const { env, platform, signal, takeSignals } = context
  const session = await openSession(flags, context)
  const code = await (flags.check ? assure(session, flags, context) : ensure(session, flags, context))
  if (code !== exitCodes.done) {
    // With --check that is said by its one line.
    if (!signal.aborted && !flags.check)
      writeFolded(context.stderr, `"${printable(command[0] ?? '', 100)}" was not started\n`)
    return code
  }
  const { loaded, connection } = session
  return runCommand(command, {
    env: { ...env, ...environmentOf(loaded, connection) },
    cwd: folderOf(flags, context),
    platform,
    takeSignals,
    signal,
  })
}

async function assure(session: Session, flags: ExecFlags, context: Context): Promise<number> {
  const problem = lacking(await quickPlan(session, flags), flags, context)
  if (problem === undefined) return exitCodes.done
  writeFolded(context.stderr, `${problem}\n`)
  return exitCodes.failed
}

/** As `apply --yes` without `--prune`, and without a word where there is nothing to do. */
async function ensure(session: Session, flags: ExecFlags, context: Context): Promise<number> {
  const { loaded, connection } = session
  const screen = screenBeside(flags, context)
  const pace = paceOf(flags, context)
  const { frozen, offline } = flags
  const plan = await withHostSource(session, () => createPlan(loaded, { ...connection, frozen, offline }))
  assertApplicable(plan)
  if (pendingChanges(plan).length === 0) return exitCodes.done
  const approve = { changes: true, deletions: false }
  const report = await carryOut(plan, { ...connection, config: loaded, approve, ...pace, frozen, offline }, screen)
  const isWorthALook = report.outcome !== 'done' || report.targets.some(({ diagnostics }) => diagnostics.length > 0)
  if (isWorthALook) showReport(report, screen)
  return exitCodeOf(report)
}

/** stdout and stdin belong to the command; even a look at stdin would open it. */
function screenBeside(flags: ExecFlags, context: Context): Screen {
  const { stderr, env, cwd, platform, signal } = context
  return {
    context: {
      stdout: stderr,
      stderr,
      env,
      cwd,
      platform,
      signal,
      get stdin() {
        return context.stdin
      },
    },
    flags,
    terminal: describeTerminal({ stdin: {}, stdout: stderr, stderr, env, platform }, flags),
    interactive: false,
    json: undefined,
  }
}
