/** `ollama-config outdated`: what registries serve now, against what is installed and locked. */
import { jsonText } from '../../artifact/json-text.ts'
import { findOutdated } from '../../runner.ts'
import { commandLine, styleFor } from '../command-line.ts'
import type { CommonFlags } from '../command-table.ts'
import { type Context, columnsOf, exitCodes } from '../context.ts'
import { formatOutdated } from '../views/outdated.ts'
import { describeTerminal } from '../views/terminal.ts'
import { openSession, withHostSource } from './session.ts'

export async function outdated(flags: CommonFlags, context: Context): Promise<number> {
  const session = await openSession(flags, context)
  const result = await withHostSource(session, () => findOutdated(session.loaded, session.connection))
  if (flags.json) {
    context.stdout.write(`${jsonText(result, 2)}\n`)
    return exitCodes.done
  }
  const { stdoutColor } = describeTerminal(context, flags)
  context.stdout.write(
    formatOutdated(result, {
      style: styleFor(stdoutColor, flags, context),
      columns: columnsOf(context.stdout),
      updateCommand: commandLine(['update'], flags, context),
      applyCommand: commandLine(['apply'], flags, context),
    }),
  )
  return exitCodes.done
}
