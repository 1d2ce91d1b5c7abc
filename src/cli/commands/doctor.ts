/** `ollama-config doctor`: what is right and what is wrong, on one screen. Exits with 1 where something is wrong. */
import { jsonText } from '../../artifact/json-text.ts'
import { examine } from '../../runner.ts'
import { styleFor } from '../command-line.ts'
import type { DoctorFlags } from '../command-table.ts'
import { type Context, columnsOf, exitCodes } from '../context.ts'
import { createLogger } from '../log.ts'
import { formatExamination } from '../views/examination.ts'
import { describeTerminal } from '../views/terminal.ts'
import { folderOf } from './session.ts'

export async function doctor(flags: DoctorFlags, context: Context): Promise<number> {
  const { env, signal, stdout } = context
  const cwd = folderOf(flags, context)
  const logger = createLogger(flags, { stderr: context.stderr, cwd })
  const examination = await examine({ cwd, configFile: flags.config, host: flags.host, env, signal, logger })
  if (flags.json) {
    stdout.write(`${jsonText(examination, 2)}\n`)
  } else {
    const { stdoutColor, unicode } = describeTerminal(context, flags)
    const style = styleFor(stdoutColor, flags, context)
    stdout.write(formatExamination(examination, { style, unicode, columns: columnsOf(stdout) }))
  }
  return examination.findings.some(({ status }) => status === 'error') ? exitCodes.failed : exitCodes.done
}
