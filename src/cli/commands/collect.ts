/** `ollama-config collect`: removes blobs that no model needs, and what broken downloads left. */
import { jsonText } from '../../artifact/json-text.ts'
import { printable } from '../../artifact/text.ts'
import { collectLeftovers, type FoundLeftovers, findLeftovers } from '../../runner.ts'
import { assertApprovable } from '../approval.ts'
import type { CollectFlags } from '../command-table.ts'
import { type Context, columnsOf, exitCodes } from '../context.ts'
import { confirm } from '../prompt.ts'
import { leftoverLines, sparedLines, summaryOf } from '../views/leftovers.ts'
import { writeFolded } from '../views/output.ts'
import { describeTerminal } from '../views/terminal.ts'
import { fold } from '../views/text.ts'
import { waitingText } from '../views/words.ts'
import { openSessionIfAny, sessionWithout, withHostSource } from './session.ts'

export async function collect(flags: CollectFlags, context: Context): Promise<number> {
  // A config says which server; a store is named without one.
  const session = await (flags.store === undefined ? openSessionIfAny : sessionWithout)(flags, context)
  const { signal, stderr, now } = context
  const found = await withHostSource(session, () => findLeftovers(session.loaded, { ...session.connection, now }))
  const { folder, leftovers, damaged } = found
  const removable = leftovers.filter(({ spared }) => spared === null)
  const write = (lines: readonly string[]) => {
    if (!flags.json) context.stdout.write(fold(`${lines.join('\n')}\n`, columnsOf(context.stdout)))
  }
  write([`Files  ${printable(folder, 1000)}`, '', ...listLines(found)])
  if (removable.length > 0 && !flags.yes) {
    assertApprovable(flags, describeTerminal(context, flags).interactive && !flags.json)
    if (!(await confirm(`\nRemove ${summaryOf(removable)}?`, context))) {
      stderr.write('Nothing was removed.\n')
      return exitCodes.usage
    }
  }
  const onBusy = (holder: string) => writeFolded(stderr, `${waitingText({ type: 'waiting', holder })}\n`)
  const result = await collectLeftovers({ folder, leftovers: removable }, { signal, onBusy, now })
  if (flags.json) context.stdout.write(`${jsonText({ ...found, ...result }, 2)}\n`)
  const { removed, spared } = result
  if (removable.length > 0) write([`Removed ${summaryOf(removed)}.`, ...sparedLines(spared)])
  return damaged.length > 0 || spared.some(({ reason }) => reason === 'in-use') ? exitCodes.failed : exitCodes.done
}

function listLines({ leftovers, damaged }: FoundLeftovers): readonly string[] {
  const removable = leftovers.filter(({ spared }) => spared === null)
  const others = leftovers.flatMap((leftover) =>
    leftover.spared === null ? [] : [{ leftover, reason: leftover.spared }],
  )
  return [
    ...(removable.length === 0 ? ['Nothing to remove.'] : ['To remove:', ...leftoverLines(removable)]),
    ...sparedLines(others),
    ...(damaged.length === 0
      ? []
      : [
          `Nothing is removed while these manifests cannot be read: ${damaged.map((name) => printable(name)).join(', ')}`,
        ]),
  ]
}
