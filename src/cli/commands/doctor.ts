/** `ollama-config doctor`: what is right and what is wrong, on one screen. Exits with 1 where something is wrong. */
import path from 'node:path'
import { examine } from '../../runner.ts'
import type { DoctorFlags } from '../command-table.ts'
import { type Context, columnsOf, exitCodes } from '../context.ts'
import { createLogger } from '../log.ts'
import { formatExamination } from '../views/examination.ts'
import { describeTerminal } from '../views/terminal.ts'
import { styleFor } from './session.ts'

export async function doctor(flags: DoctorFlags, context: Context): Promise<number> {
  const { env, signal, stdout } = context
  const cwd = path.resolve(context.cwd, flags.cwd ?? '.')
  const logger = createLogger(flags, { stderr: context.stderr, cwd })
  const examination = await examine({ cwd, configFile: flags.config, host: flags.host, env, signal, logger })
  if (flags.json) {
    stdout.write(`${JSON.stringify(examination, null, 2)}\n`)
  } else {
    const { stdoutColor, unicode } = describeTerminal(context, flags)
    const style = styleFor(stdoutColor, flags, context)
    stdout.write(formatExamination(examination, { style, unicode, columns: columnsOf(stdout) }))
  }
  return examination.findings.some(({ status }) => status === 'error') ? exitCodes.failed : exitCodes.done
}
