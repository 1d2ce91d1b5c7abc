/** `ollama-config collect`: removes blobs that no model needs, and what broken downloads left. */
import path from 'node:path'
import { formatBytes } from '../../artifact/bytes.ts'
import { OllamaConfigError } from '../../errors.ts'
import { formatVersion } from '../../plan/plan.ts'
import { collectLeftovers, findLeftovers } from '../../runner.ts'
import type { CollectFlags } from '../command-table.ts'
import { type Context, exitCodes } from '../context.ts'
import { confirm } from '../prompt.ts'
import { describeTerminal } from '../views/terminal.ts'
import { openSession, withHostSource } from './session.ts'

const words = { blob: 'no model needs it', partial: 'unfinished download', temporary: 'left over', folder: 'left over' }
const youngMs = 3_600_000

export async function collect(flags: CollectFlags, context: Context): Promise<number> {
  const { loaded, connection, waitMs } = await openSession(flags, context)
  const found = await withHostSource(loaded, connection, () => findLeftovers(loaded, { ...connection, waitMs }))
  const { folder, leftovers, damaged } = found
  const old = damaged.length > 0 ? [] : leftovers.filter(({ ageMs }) => ageMs >= youngMs)
  const bytes = old.reduce((sum, { allocatedBytes }) => sum + allocatedBytes, 0)
  if (!flags.json) {
    context.stdout.write(`Files   ${folder}\n`)
    if (damaged.length > 0)
      context.stdout.write(`\nNothing is collected while it is not known what is in use: ${damaged.join(', ')}\n`)
    if (leftovers.length > 0) context.stdout.write('\n')
    for (const { file, kind, allocatedBytes, ageMs } of leftovers) {
      const why = `${words[kind]}${ageMs < youngMs ? ', younger than an hour: stays' : ''}`
      context.stdout.write(`  - ${path.basename(file).slice(0, 40)}  ${formatBytes(allocatedBytes)}; ${why}\n`)
    }
  }
  if (old.length > 0 && !flags.yes) {
    if (!describeTerminal(context, flags).interactive)
      throw new OllamaConfigError('approval-required', 'Removing files needs a yes, and there is no terminal to ask', {
        hint: 'add --yes',
      })
    if (!(await confirm(`Remove ${old.length} files, ${formatBytes(bytes)}?`, context))) {
      context.stderr.write('Nothing was removed\n')
      return exitCodes.done
    }
  }
  const { signal } = context
  const onWait = (holder: string) => void context.stderr.write(`Waiting: the store is in use by ${holder}\n`)
  const result =
    old.length === 0
      ? { removed: [], freedBytes: 0, spared: [] }
      : await collectLeftovers(folder, old, { signal, onWait })
  const { removed, freedBytes, spared } = result
  if (flags.json) context.stdout.write(`${JSON.stringify({ formatVersion, ...found, ...result }, null, 2)}\n`)
  else {
    const kept = spared.length === 0 ? '' : `; ${spared.length} stay, since they are in use by now`
    context.stdout.write(
      `\n${removed.length === 0 ? 'Nothing to collect' : `Removed ${removed.length} files, ${formatBytes(freedBytes)} freed`}${kept}.\n`,
    )
  }
  return damaged.length > 0 ? exitCodes.failed : exitCodes.done
}
