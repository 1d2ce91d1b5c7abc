/** `ollama-config verify`: reads every byte of the models, and fetches again what is damaged. */
import { formatBytes } from '../../artifact/bytes.ts'
import { type DamagedBlob, isSound, type Verification, type VerifiedModel, verifyModels } from '../../runner.ts'
import type { VerifyFlags } from '../command-table.ts'
import { type Context, exitCodes } from '../context.ts'
import { createStyle, type Style } from '../views/style.ts'
import { describeTerminal } from '../views/terminal.ts'
import { openSession, withHostSource } from './session.ts'

const tellEveryMs = 2000

const problemWords: Readonly<Record<DamagedBlob['problem'], string>> = {
  missing: 'is missing',
  'wrong-size': 'has the wrong size',
  'wrong-bytes': 'has wrong bytes',
  unreadable: 'cannot be read',
}

export async function verify(flags: VerifyFlags, models: readonly string[], context: Context): Promise<number> {
  const { loaded, connection, waitMs } = await openSession(flags, context)
  const { all, repair } = flags
  let toldMs = performance.now()
  const onProgress = (checked: number, total: number) => {
    if (performance.now() - toldMs < tellEveryMs) return
    toldMs = performance.now()
    context.stderr.write(`Checked ${formatBytes(checked)} of ${formatBytes(total)}\n`)
  }
  const options = { ...connection, waitMs, all, repair, onProgress }
  const result = await withHostSource(loaded, connection, () =>
    verifyModels(loaded, { ...options, models: models.length === 0 ? undefined : models }),
  )
  const style = createStyle(describeTerminal(context, flags).stdoutColor)
  context.stdout.write(flags.json ? `${JSON.stringify(result, null, 2)}\n` : formatVerification(result, style, flags))
  return isSound(result) ? exitCodes.done : exitCodes.failed
}

function formatVerification(result: Verification, style: Style, { repair }: VerifyFlags): string {
  const { folder, models, damagedManifests } = result
  const damaged = models.filter(({ installed, problems }) => !installed || problems.some((one) => !one.repaired))
  const total =
    damaged.length === 0 && damagedManifests.length === 0
      ? `${models.length === 1 ? '1 model is' : `${models.length} models are`} sound.`
      : `${damaged.length} of ${models.length} not sound.`
  return [
    `Files   ${folder}`,
    '',
    ...models.flatMap((model) => modelLines(model, style)),
    ...damagedManifests.map((name) => `  ${style.red('x')} ${name}  its manifest cannot be read`),
    ...(models.length + damagedManifests.length === 0 ? [] : ['']),
    total,
    ...(damaged.length > 0 && !repair
      ? ['To mend it: the same command with --repair, and apply for what is not there']
      : []),
    '',
  ].join('\n')
}

function modelLines({ reference, installed, sizeBytes, problems }: VerifiedModel, style: Style): readonly string[] {
  if (!installed) return [`  ${style.red('x')} ${reference}  not installed`]
  const isDamaged = problems.some(({ repaired }) => !repaired)
  const sign = isDamaged ? style.red('x') : style.green('=')
  return [
    `  ${sign} ${reference}  ${formatBytes(sizeBytes)}${isDamaged ? ', damaged' : problems.length > 0 ? ', repaired' : ''}`,
    ...problems.flatMap(({ digest, part, problem, repaired, error }) => [
      `      ${part} ${digest.slice(7, 19)} ${repaired ? 'was fetched again' : problemWords[problem]}`,
      ...(error === undefined ? [] : [`      not repaired: ${error.message}`]),
    ]),
  ]
}
