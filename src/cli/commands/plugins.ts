/** `ollama-config plugins`: the plugins of the config, and those in its folder `discover`. Asks no server. */
import { jsonText } from '../../artifact/json-text.ts'
import { formatVersion } from '../../plan/plan.ts'
import { listPlugins } from '../../runner.ts'
import { styleFor } from '../command-line.ts'
import type { CommonFlags } from '../command-table.ts'
import { type Context, columnsOf, exitCodes } from '../context.ts'
import { formatPlugins } from '../views/plugins.ts'
import { describeTerminal } from '../views/terminal.ts'
import { openSession } from './session.ts'

export async function plugins(flags: CommonFlags, context: Context): Promise<number> {
  const { loaded, connection } = await openSession(flags, context)
  const list = await listPlugins(loaded, connection)
  if (flags.json) {
    context.stdout.write(`${jsonText({ formatVersion, file: loaded.file, ...list }, 2)}\n`)
  } else {
    const style = styleFor(describeTerminal(context, flags).stdoutColor, flags, context)
    context.stdout.write(formatPlugins(list, { style, columns: columnsOf(context.stdout) }))
  }
  return list.diagnostics.some(({ severity }) => severity === 'error') ? exitCodes.failed : exitCodes.done
}
