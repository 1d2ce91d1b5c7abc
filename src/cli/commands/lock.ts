/** `ollama-config lock`: writes the lock file. */

import { jsonText } from '../../artifact/json-text.ts'
import { shortDigest } from '../../artifact/manifest.ts'
import { counted } from '../../artifact/text.ts'
import { formatVersion } from '../../plan/plan.ts'
import { type LockResult, lockModels } from '../../runner.ts'
import { commandLine, styleFor } from '../command-line.ts'
import type { CommonFlags } from '../command-table.ts'
import { type Context, columnsOf, exitCodes, shownPath } from '../context.ts'
import { writeFolded } from '../views/output.ts'
import { formatDiagnostic } from '../views/problems.ts'
import { describeTerminal } from '../views/terminal.ts'
import { openSession, withHostSource } from './session.ts'

export async function lock(flags: CommonFlags, models: readonly string[], context: Context): Promise<number> {
  const session = await openSession(flags, context)
  const { loaded, connection } = session
  const result = await withHostSource(session, () =>
    lockModels(loaded, { ...connection, models: models.length === 0 ? undefined : models }),
  )
  return showLock(result, ['lock', ...models], flags, context)
}

/**
 * Tells what the lock file says now. Exit code 1 when a model could not be pinned.
 *
 * @param words The command that wrote it, for another try
 */
export function showLock(
  { file, lock: written, changes, diagnostics }: LockResult,
  words: readonly string[],
  flags: CommonFlags,
  context: Context,
): number {
  const failed = diagnostics.filter(({ severity }) => severity === 'error').length
  const code = failed > 0 ? exitCodes.failed : exitCodes.done
  if (flags.json) {
    context.stdout.write(`${jsonText({ formatVersion, file, changes, diagnostics }, 2)}\n`)
    return code
  }
  const style = styleFor(describeTerminal(context, flags).stdoutColor, flags, context)
  const digest = (text: string | null) => (text === null ? 'no entry' : shortDigest(text))
  const width = changes.reduce((most, { reference }) => Math.max(most, reference.length), 0)
  const count = Object.keys(written.models).length
  const total = `${shownPath(file, context)} pins ${counted(count, 'model')}`
  writeFolded(
    context.stdout,
    [
      ...diagnostics.map((diagnostic) => formatDiagnostic(diagnostic, style, columnsOf(context.stdout))),
      ...changes.map(({ reference, kind, before, after }) => {
        const sign = { removed: style.red('-'), added: style.green('+'), changed: style.yellow('~') }[kind]
        const mark = style.words ? `${kind}:` : sign
        const text =
          kind !== 'removed' && (after === null || before === after)
            ? `${kind === 'added' ? 'its' : 'another'} declaration${kind === 'added' ? ' and' : ' or'} base`
            : `${before === null ? '' : `${digest(before)} → `}${digest(after)}`
        return `  ${mark} ${reference.padEnd(width)}  ${text}`
      }),
      `${total}${changes.length === 0 && count > 0 ? ', as before' : ''}.`,
      ...(failed === 0
        ? []
        : [
            `Not pinned, for the reason above: ${counted(failed, 'model')}. An entry that was there before is kept.`,
            `To try again: ${commandLine(words, flags, context)}`,
          ]),
      '',
    ].join('\n'),
  )
  return code
}
