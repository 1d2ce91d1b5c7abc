/** The plan as text for people. */
import { formatBytes } from '../../artifact/bytes.ts'
import { blobsOf, shortDigest } from '../../artifact/manifest.ts'
import { counted, printable } from '../../artifact/text.ts'
import {
  type AliasChange,
  type BuildMethod,
  blockOf,
  type Change,
  type DeleteChange,
  type DeriveChange,
  type Drift,
  isFetch,
  isFine,
  isPending,
  type Plan,
  type PullChange,
  type RebuildChange,
  type RestoreChange,
  type Target,
  type TargetKind,
  type UpdateChange,
} from '../../plan/plan.ts'
import { formatDiagnostic } from './problems.ts'
import type { Style } from './style.ts'
import { fold } from './text.ts'

/** What becomes of deletions that no flag approves: a question follows, they are kept, or, by default, both may be. */
export type Unapproved = 'asked' | 'kept' | 'open'

export interface PlanViewOptions {
  readonly style: Style
  /** The config as shown to the reader, such as `ollama.config.ts`; `undefined` when there is none. */
  readonly file: string | undefined
  /** Also list the models that are fine. */
  readonly all: boolean
  readonly unapproved?: Unapproved
  /** Of the terminal that it is shown on. Default: lines are not broken. */
  readonly columns?: number | undefined
}

export function formatPlan(plan: Plan, { style, file, all, unapproved = 'open', columns }: PlanViewOptions): string {
  return plan.targets
    .map((target) => {
      const server = target.serverVersion === null ? '' : ` (Ollama ${printable(target.serverVersion, 80)})`
      const place = target.kind === 'host' ? `${style.bold('Host')}    ` : `${style.bold('Store')}   `
      const blocks = [
        `${file === undefined ? '' : `${style.bold('Config')}  ${file}\n`}${place}${printable(target.address, 1000)}${server}`,
        ...(target.diagnostics.length === 0
          ? []
          : [target.diagnostics.map((diagnostic) => formatDiagnostic(diagnostic, style, columns)).join('\n')]),
        ...changeBlocks(target, plan.prune, unapproved, style),
        ...(all ? fineBlocks(target, style) : []),
        summary(target, plan.prune, style),
      ]
      return fold(`${blocks.join('\n\n')}\n`, columns)
    })
    .join('\n')
}

const undeclaredTitles: Readonly<Record<Unapproved, string>> = {
  asked: 'Not in the config',
  kept: 'Not in the config (kept without --prune)',
  open: 'Not in the config (deleted only with --prune, or a yes to a second question)',
}

/** No flag approves these. */
const irreplaceableTitles: Readonly<Record<Unapproved, string>> = {
  asked: 'Not in the config, and perhaps no registry can give them back',
  kept: 'Not in the config, and perhaps no registry can give them back (kept)',
  open: 'Not in the config, and perhaps no registry can give them back (deleted only with a yes in a terminal)',
}

function changeBlocks(
  { changes, drift, kind }: Target,
  prune: boolean,
  unapproved: Unapproved,
  style: Style,
): readonly string[] {
  const deletions = changes.filter((change) => change.action === 'delete')
  const width = nameWidth([...changes.filter(({ action }) => action !== 'no-op'), ...drift])
  const open = changes.filter((change) => blockOf(change) === undefined)
  const blocked = changes.filter((change) => blockOf(change) !== undefined)
  return [
    block(
      'Changed by others since the last apply',
      drift.map((item) => driftLine(item, width, style)),
    ),
    block(
      'To pull',
      open.filter((change) => change.action === 'pull').map((change) => fetchLine(change, kind, width, style)),
    ),
    block(
      'To update',
      open.filter((change) => change.action === 'update').map((change) => fetchLine(change, kind, width, style)),
    ),
    block(
      'To build',
      open.filter((change) => change.action === 'derive').map((change) => deriveLine(change, width, style)),
    ),
    block(
      'To rebuild',
      open.filter((change) => change.action === 'rebuild').flatMap((change) => rebuildLines(change, width, style)),
    ),
    block(
      'To alias',
      open.filter((change) => change.action === 'alias').map((change) => aliasLine(change, width, style)),
    ),
    block(
      'To restore',
      open.filter((change) => change.action === 'restore').map((change) => restoreLine(change, width, style)),
    ),
    block(
      'Not possible (see above)',
      blocked.map((change) => line(style.red('x'), change.reference, '', width)),
    ),
    block(
      prune ? 'To delete, not in the config' : undeclaredTitles[unapproved],
      deletions.filter(({ irreplaceable }) => !irreplaceable).map((change) => deleteLine(change, width, prune, style)),
    ),
    block(
      irreplaceableTitles[unapproved],
      deletions.filter((change) => change.irreplaceable).map((change) => deleteLine(change, width, false, style)),
    ),
  ].filter((text) => text !== '')
}

function fineBlocks({ changes }: Target, style: Style): readonly string[] {
  const fine = changes.filter(({ action }) => action === 'no-op')
  const width = nameWidth(fine)
  const lines = fine.map((change) => line(style.dim('='), change.reference, style.dim(change.reason.text), width))
  return lines.length === 0 ? [] : [block('As it should be', lines)]
}

function driftLine({ reference, recorded, installed }: Drift, width: number, style: Style): string {
  const now = installed === null ? 'is gone' : `is ${shortDigest(installed)} now`
  return line(style.yellow('!'), reference, `${now}, the last apply left ${shortDigest(recorded)}`, width)
}

function fetchLine(change: PullChange | UpdateChange, kind: TargetKind, width: number, style: Style): string {
  const notes = [
    ...(change.cloud ? ['cloud model: an entry, no weights'] : [sizeText(change, kind)]),
    ...(change.insecure ? ['over plain http'] : []),
    ...(change.action === 'update' ? [change.reason.text] : []),
    ...(['needed', 'damaged'].includes(change.reason.code) ? [change.reason.text] : []),
    ...(change.action === 'update' ? keptNote(change) : []),
  ]
  const sign = change.action === 'pull' ? style.green('+') : style.yellow('~')
  return line(sign, change.reference, notes.join(', '), width)
}

function deriveLine(change: DeriveChange, width: number, style: Style): string {
  return line(style.green('+'), change.reference, [change.reason.text, ...uploadNote(change)].join(', '), width)
}

/** How it is known, where the reason does not say it already. */
const methods: Readonly<Record<BuildMethod, string>> = {
  predicted: ' (digest predicted)',
  recorded: ' (as recorded)',
  compared: ' (fields compared)',
  base: '',
}

/** One line for the model, and one for each field that differs. */
function rebuildLines(change: RebuildChange, width: number, style: Style): readonly string[] {
  const { reference, reason, method, differences } = change
  const notes = [`${reason.text}${methods[method]}`, ...uploadNote(change), ...keptNote(change)]
  return [
    line(style.yellow('~'), reference, notes.join(', '), width),
    ...differences.map(({ field, text }) => `      ${style.dim(`${field}: ${text}`)}`),
  ]
}

function aliasLine(change: AliasChange, width: number, style: Style): string {
  const { reference, of, before, reason } = change
  const moved = before === null && reason.code !== 'damaged' ? [] : [reason.text]
  const sign = before === null ? style.green('+') : style.yellow('~')
  return line(sign, reference, [`of ${of}`, ...moved, ...keptNote(change)].join(', '), width)
}

function uploadNote({ uploadBytes, build }: DeriveChange | RebuildChange): readonly string[] {
  if (build.files.length + build.adapters.length === 0 || uploadBytes === 0) return []
  return [uploadBytes === null ? 'uploads files' : `uploads ${formatBytes(uploadBytes)}`]
}

function keptNote({ keepAs }: { readonly keepAs: string | null }): readonly string[] {
  return keepAs === null ? [] : ['previous version kept']
}

/** `4.7 GB`, `12 KB (4.7 GB already on the host)`. */
function sizeText({ downloadBytes, presentBytes }: PullChange | UpdateChange, kind: TargetKind): string {
  if (downloadBytes === null) return 'size unknown'
  const present = presentBytes ? ` (${formatBytes(presentBytes)} already ${whereText(kind)})` : ''
  return `${downloadBytes === 0 ? 'nothing to download' : formatBytes(downloadBytes)}${present}`
}

function whereText(kind: TargetKind): string {
  return kind === 'host' ? 'on the host' : 'in the store'
}

function restoreLine({ reference, from, reason }: RestoreChange, width: number, style: Style): string {
  return line(style.yellow('~'), reference, `from ${from}, ${reason.text}`, width)
}

function deleteLine(change: DeleteChange, width: number, prune: boolean, style: Style): string {
  return line(prune ? style.red('-') : style.dim('-'), change.reference, deletionNote(change), width)
}

/** What deleting frees, and what speaks for or against it. */
export function deletionNote(change: DeleteChange): string {
  const known = change.reason.text === 'not in the config' ? '' : `; ${change.reason.text}`
  return `${freedText(change)}${known}`
}

/** At most, where it is not known which layers other models share. */
function freedText({ freedBytes, nominalBytes }: DeleteChange): string {
  if (freedBytes === 0) return 'frees nothing: another model has the same content'
  return freedBytes === null ? `frees up to ${formatBytes(nominalBytes)}` : `frees ${formatBytes(freedBytes)}`
}

function summary({ changes, kind, diagnostics }: Target, prune: boolean, style: Style): string {
  const pending = changes.filter((change) => isPending(change, prune))
  const declared = changes.filter(isFine).length
  if (pending.length === 0) {
    const fine =
      declared === 0
        ? ''
        : declared === 1
          ? ' The declared model is installed.'
          : ` The ${declared} declared models are installed.`
    return `${style.bold('No changes.')}${fine}`
  }
  const deletions = changes.filter(
    (change): change is DeleteChange => change.action === 'delete' && !change.irreplaceable,
  )
  const others = (['update', 'derive', 'rebuild', 'alias', 'restore'] as const).flatMap((action) =>
    countText(changes, action),
  )
  const counts = [
    ...countText(changes, 'pull', others.length === 0),
    ...others,
    ...(prune ? [`${deletions.length} to delete${freedTotal(deletions)}`] : []),
    `${declared} as declared`,
  ]
  const isWrong = diagnostics.some(({ severity }) => severity === 'error')
  const end = isWrong ? '\nIt cannot be applied: the error is told above.' : ''
  return `${style.bold('Plan:')} ${counts.join(', ')}.${downloadTotal(changes, kind)}${end}`
}

function countText(changes: readonly Change[], action: Change['action'], always: boolean = false): readonly string[] {
  const count = changes.filter((change) => change.action === action && blockOf(change) === undefined).length
  return count > 0 || always ? [`${count} to ${action === 'derive' ? 'build' : action}`] : []
}

function freedTotal(deletions: readonly DeleteChange[]): string {
  if (deletions.length === 0) return ''
  const exact = deletions.every(({ freedBytes }) => freedBytes !== null)
  const bytes = deletions.reduce((sum, { freedBytes, nominalBytes }) => sum + (freedBytes ?? nominalBytes), 0)
  return ` (frees ${exact ? '' : 'up to '}${formatBytes(bytes)})`
}

/** In all, every blob counted once. */
function downloadTotal(changes: readonly Change[], kind: TargetKind): string {
  const fetches = changes
    .filter((change) => isFetch(change))
    .filter((change) => !change.cloud && change.blocked === undefined)
  if (fetches.length === 0) return ''
  const unknown = fetches.filter(({ downloadBytes }) => downloadBytes === null).length
  const bytes = fetches.reduce((sum, { downloadBytes }) => sum + (downloadBytes ?? 0), 0)
  const blobs = fetches.flatMap(({ manifest, presentBytes }) =>
    manifest === null || presentBytes === null ? [] : blobsOf(manifest).filter(({ onHost }) => onHost === true),
  )
  const sizes = new Map(blobs.map(({ digest, sizeBytes }) => [digest, sizeBytes]))
  const present = [...sizes.values()].reduce((sum, size) => sum + size, 0)
  if (unknown === fetches.length) return '\nDownload: unknown.'
  const more = unknown === 0 ? '' : ` and ${counted(unknown, 'model')} of unknown size`
  return `\nDownload: ${formatBytes(bytes)}${more}${present > 0 ? ` (${formatBytes(present)} already ${whereText(kind)})` : ''}.`
}

function block(title: string, lines: readonly string[]): string {
  return lines.length === 0 ? '' : `${title}:\n${lines.join('\n')}`
}

function line(sign: string, name: string, note: string, width: number): string {
  return note === '' ? `  ${sign} ${name}` : `  ${sign} ${name.padEnd(width)}  ${note}`
}

/** Names line up unless one of them is so long that the notes would leave an 80-column screen. */
export function nameWidth(changes: readonly { readonly reference: string }[]): number {
  return Math.min(
    44,
    changes.reduce((width, { reference }) => Math.max(width, reference.length), 0),
  )
}
