/** `ollama-config verify`: reads every byte of the models, and fetches again what is damaged. */
import { jsonText } from '../../artifact/json-text.ts'
import { isSound, type VerifyProgress, verifyModels } from '../../runner.ts'
import { commandLine, styleFor } from '../command-line.ts'
import type { VerifyFlags } from '../command-table.ts'
import { type Context, columnsOf, exitCodes } from '../context.ts'
import { ByteProgress } from '../views/byte-progress.ts'
import { writeFolded } from '../views/output.ts'
import { describeTerminal } from '../views/terminal.ts'
import { formatVerification } from '../views/verification.ts'
import { waitingText } from '../views/words.ts'
import { openSession, openSessionIfAny, withHostSource } from './session.ts'

const phaseWords: Readonly<Record<VerifyProgress['phase'], string>> = { reading: 'Read', fetching: 'Fetched' }

export async function verify(flags: VerifyFlags, models: readonly string[], context: Context): Promise<number> {
  // All that is installed can be verified without a config too.
  const session = await (flags.all ? openSessionIfAny : openSession)(flags, context)
  const { loaded, connection } = session
  const { stdout, stderr } = context
  const terminal = describeTerminal(context, flags)
  // Log lines would tear its line apart.
  const animate = terminal.animate && !flags.verbose
  const progress = new ByteProgress(stderr, { animate, now: () => performance.now() })
  const options = {
    ...connection,
    all: flags.all,
    repair: flags.repair,
    models: models.length === 0 ? undefined : models,
    onProgress: ({ phase, completedBytes, totalBytes }: VerifyProgress) =>
      progress.update(phaseWords[phase], completedBytes, totalBytes),
    onBusy: (holder: string) => {
      progress.clear()
      writeFolded(stderr, `${waitingText({ type: 'waiting', holder })}\n`)
    },
  }
  const result = await withHostSource(session, () => verifyModels(loaded, options)).finally(() => progress.clear())
  if (flags.json) stdout.write(`${jsonText(result, 2)}\n`)
  else {
    const words = ['verify', ...models, ...(flags.all ? ['--all'] : []), '--repair']
    stdout.write(
      formatVerification(result, {
        style: styleFor(terminal.stdoutColor, flags, context),
        columns: columnsOf(stdout),
        repairCommand: flags.repair ? undefined : commandLine(words, flags, context),
        applyCommand: commandLine(['apply'], flags, context),
        collectCommand: commandLine(['collect'], flags, context),
      }),
    )
  }
  return isSound(result) ? exitCodes.done : exitCodes.failed
}
