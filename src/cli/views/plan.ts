/** The plan as text for people. */
import { type Change, type DeleteChange, isPending, type Plan, type PullChange, type Target } from '../../plan/plan.ts'
import { formatBytes } from './format.ts'
import { formatDiagnostic } from './problems.ts'
import type { Style } from './style.ts'

export interface PlanViewOptions {
  readonly style: Style
  /** The config as shown to the reader, such as `ollama.config.ts`. */
  readonly file: string
  /** Also list the models that are fine. */
  readonly all: boolean
  /** A question about the deletions follows. Default: false. */
  readonly asks?: boolean
}

export function formatPlan(plan: Plan, { style, file, all, asks = false }: PlanViewOptions): string {
  return plan.targets
    .map((target) => {
      const server = target.serverVersion === null ? '' : ` (Ollama ${target.serverVersion})`
      const blocks = [
        `${style.bold('Config')}  ${file}\n${style.bold('Host')}    ${target.address}${server}`,
        ...(target.diagnostics.length === 0
          ? []
          : [target.diagnostics.map((diagnostic) => formatDiagnostic(diagnostic, style)).join('\n')]),
        ...changeBlocks(target, deletionTitle(plan.prune, asks), plan.prune, style),
        ...(all ? fineBlocks(target, style) : []),
        summary(target, plan.prune, style),
      ]
      return `${blocks.join('\n\n')}\n`
    })
    .join('\n')
}

function deletionTitle(prune: boolean, asks: boolean): string {
  if (prune) return 'To delete, not in the config'
  return asks ? 'Not in the config' : 'Not in the config (removed only with --prune)'
}

function changeBlocks({ changes }: Target, title: string, prune: boolean, style: Style): readonly string[] {
  const pulls = changes.filter((change) => change.action === 'pull')
  const deletions = changes.filter((change) => change.action === 'delete')
  const replaceable = deletions.filter(({ irreplaceable }) => !irreplaceable)
  const irreplaceable = deletions.filter((change) => change.irreplaceable)
  const width = nameWidth(changes.filter(({ action }) => action !== 'no-op'))
  return [
    block(
      'To pull',
      pulls.map((change) => pullLine(change, width, style)),
    ),
    block(
      title,
      replaceable.map((change) => deleteLine(change, width, prune, style)),
    ),
    block(
      'Not in the config, and made on a host, so no registry can give them back (apply asks in a terminal)',
      irreplaceable.map((change) => deleteLine(change, width, false, style)),
    ),
  ].filter((text) => text !== '')
}

function fineBlocks({ changes }: Target, style: Style): readonly string[] {
  const fine = changes.filter(({ action }) => action === 'no-op')
  const width = nameWidth(fine)
  const lines = fine.map(
    (change) => `  ${style.dim('=')} ${change.reference.padEnd(width)}  ${style.dim(change.reason.text)}`,
  )
  return lines.length === 0 ? [] : [block('As it should be', lines)]
}

function pullLine(change: PullChange, width: number, style: Style): string {
  const notes = [
    ...(change.cloud ? ['cloud model: an entry, no weights'] : []),
    ...(change.insecure ? ['over plain http'] : []),
  ]
  return line(style.green('+'), change.reference, notes.join(', '), width)
}

function deleteLine(change: DeleteChange, width: number, prune: boolean, style: Style): string {
  const parent = change.irreplaceable ? `; ${change.reason.text}` : ''
  return line(prune ? style.red('-') : style.dim('-'), change.reference, `${freedText(change)}${parent}`, width)
}

/** What deleting frees: at most, since the host does not tell which layers other models share. */
export function freedText({ freedBytes, nominalBytes }: DeleteChange): string {
  if (freedBytes === 0) return 'frees nothing: another model has the same content'
  return freedBytes === null ? `frees up to ${formatBytes(nominalBytes)}` : `frees ${formatBytes(freedBytes)}`
}

function summary({ changes }: Target, prune: boolean, style: Style): string {
  const count = (wanted: (change: Change) => boolean) => changes.filter(wanted).length
  const pending = changes.filter((change) => isPending(change, prune))
  const declared = count(({ reason }) => reason.code === 'in-sync')
  const deletions = changes.filter(
    (change) => change.action === 'delete' && !change.irreplaceable,
  ) as readonly DeleteChange[]
  if (pending.length === 0) {
    const fine =
      declared === 0
        ? ''
        : declared === 1
          ? ' The declared model is installed.'
          : ` The ${declared} declared models are installed.`
    return `${style.bold('No changes.')}${fine}`
  }
  const pulls = count(({ action }) => action === 'pull')
  const deleting = prune
    ? `, ${deletions.length} to delete${deletions.length === 0 ? '' : ` (frees up to ${formatBytes(freedAtMost(deletions))})`}`
    : ''
  return `${style.bold('Plan:')} ${pulls} to pull${deleting}, ${declared} as declared.`
}

/** Two names of one content are counted once. */
function freedAtMost(deletions: readonly DeleteChange[]): number {
  const byDigest = new Map(
    deletions.map((change) => [change.precondition.digest, change.freedBytes ?? change.nominalBytes]),
  )
  return [...byDigest.values()].reduce((sum, bytes) => sum + bytes, 0)
}

function block(title: string, lines: readonly string[]): string {
  return lines.length === 0 ? '' : `${title}:\n${lines.join('\n')}`
}

function line(sign: string, name: string, note: string, width: number): string {
  return note === '' ? `  ${sign} ${name}` : `  ${sign} ${name.padEnd(width)}  ${note}`
}

/** Names line up unless one of them is so long that the notes would leave an 80-column screen. */
export function nameWidth(changes: readonly Change[]): number {
  return Math.min(
    44,
    changes.reduce((width, { reference }) => Math.max(width, reference.length), 0),
  )
}
