/** What lies around in the folder of the models, for people: what collect would remove, and what it leaves. */
import path from 'node:path'
import { formatBytes } from '../../artifact/bytes.ts'
import { counted, printable } from '../../artifact/text.ts'
import type { Leftover, LeftoverKind, Spared } from '../../runner.ts'
import { formatDuration } from './format.ts'
import { padEnd } from './text.ts'

const kindWords: Readonly<Record<LeftoverKind, string>> = {
  blob: 'no model needs it',
  partial: 'unfinished download',
  temporary: 'temporary file',
  folder: 'temporary folder',
}

const sparedWords: Readonly<Record<Spared, string>> = {
  'damaged-manifest': 'a manifest that cannot be read may need it',
  named: 'in use by a model now',
  young: 'younger than an hour',
  pulling: 'may belong to a pull under way',
  unknown: 'changed meanwhile',
  'in-use': 'cannot be removed, as of another program or user',
}

/** `3 files, 1.2 GB`. */
export function summaryOf(leftovers: readonly Pick<Leftover, 'allocatedBytes'>[]): string {
  const bytes = leftovers.reduce((sum, { allocatedBytes }) => sum + allocatedBytes, 0)
  return `${counted(leftovers.length, 'file')}, ${formatBytes(bytes)}`
}

/** A line for each blob and download, however many parts it has. */
export function leftoverLines(leftovers: readonly Leftover[]): readonly string[] {
  const groups = new Map<string, Leftover[]>()
  for (const leftover of leftovers) {
    const name = shortName(leftover.file)
    const key = `${leftover.kind} ${name}`
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [leftover])
    else group.push(leftover)
  }
  return [...groups.values()].flatMap(([first, ...rest]) => {
    if (first === undefined) return []
    const all = [first, ...rest]
    const bytes = all.reduce((sum, { allocatedBytes }) => sum + allocatedBytes, 0)
    const ageMs = all.reduce((least, one) => Math.min(least, one.ageMs), first.ageMs)
    const count = rest.length === 0 ? '' : `, ${all.length} files`
    return [
      `  - ${padEnd(shortName(first.file), 12)}  ${padEnd(formatBytes(bytes), 7)}  ${kindWords[first.kind]}${count}, ${formatDuration(ageMs)} old`,
    ]
  })
}

/** Why files stay, a line for each reason. */
export function sparedLines(
  spared: readonly { readonly leftover: Leftover; readonly reason: Spared }[],
): readonly string[] {
  const reasons = [...new Set(spared.map(({ reason }) => reason))].sort()
  return reasons.map((reason) => {
    const files = spared.flatMap(({ leftover, reason: other }) => (other === reason ? [leftover] : []))
    return `Left alone: ${summaryOf(files)}: ${sparedWords[reason]}`
  })
}

/** The first digits of a digest, else the name. */
function shortName(file: string): string {
  const name = path.basename(file)
  return /^sha256-([0-9a-f]{12})[0-9a-f]{52}/.exec(name)?.[1] ?? printable(name, 40)
}
