/** What is outdated, as a table for people; on a narrow terminal as a list. */
import { formatBytes } from '../../artifact/bytes.ts'
import { shortDigest } from '../../artifact/manifest.ts'
import type { OutdatedModel, OutdatedStatus } from '../../plan/outdated.ts'
import type { Outdated } from '../../runner.ts'
import { formatDiagnostic } from './problems.ts'
import type { Style } from './style.ts'
import { formatTable } from './table.ts'
import { fold } from './text.ts'

export interface OutdatedViewOptions {
  readonly style: Style
  /** Of the terminal; where it is left out, lines may have any length. */
  readonly columns: number | undefined
  readonly updateCommand: string
  readonly applyCommand: string
}

export function formatOutdated({ targets }: Outdated, options: OutdatedViewOptions): string {
  return targets
    .map(({ models, diagnostics }) => {
      const shown = models.filter(({ status }) => status !== 'current')
      const current = models.length - shown.length
      return [
        ...(diagnostics.length === 0
          ? []
          : [...diagnostics.map((diagnostic) => formatDiagnostic(diagnostic, options.style, options.columns)), '']),
        ...(shown.length === 0 ? [] : [...table(shown, options), '']),
        fold(`${summary(shown, current, options)}\n`, options.columns),
      ].join('\n')
    })
    .join('\n')
}

const header = ['MODEL', 'INSTALLED', 'LOCKED', 'REGISTRY', 'PUSHED', 'WHAT']

function table(models: readonly OutdatedModel[], options: OutdatedViewOptions): readonly string[] {
  return formatTable(header, models.map(rowOf), options)
}

function rowOf(model: OutdatedModel): readonly string[] {
  const digest = (text: string | null) => (text === null ? '-' : shortDigest(text))
  const { reference, installed, locked, served, pushedAt } = model
  return [reference, digest(installed), digest(locked), digest(served), pushedAt?.slice(0, 10) ?? '-', whatText(model)]
}

const statusTexts: Readonly<Record<OutdatedStatus, string>> = {
  current: 'up to date',
  outdated: 'other content',
  'same-content': 'same content, an update mends its manifest',
  'not-installed': 'not installed',
  'not-in-registry': 'not at its registry',
  'server-too-old': 'needs a newer Ollama',
  unknown: 'unknown',
}

/** `template and params, 1.9 kB`, `weights, 9.3 GB`. */
function whatText({ status, differences, downloadBytes }: OutdatedModel): string {
  if (status !== 'outdated' || differences === null || differences.length === 0) {
    return status === 'not-installed' && downloadBytes !== null
      ? `${statusTexts[status]}, ${formatBytes(downloadBytes)}`
      : statusTexts[status]
  }
  const words = differences.map(({ what }) => what)
  const last = words.pop() ?? ''
  const bytes = downloadBytes ?? differences.reduce((sum, difference) => sum + difference.bytes, 0)
  const size = downloadBytes === 0 ? 'nothing to download' : formatBytes(bytes)
  return `${words.length === 0 ? last : `${words.join(', ')} and ${last}`}, ${size}`
}

const summaryWords = {
  'same-content': 'with the same content',
  'not-installed': 'not installed',
  'not-in-registry': 'not at its registry',
  'server-too-old': 'in need of a newer Ollama',
  unknown: 'unknown',
} as const

function summary(shown: readonly OutdatedModel[], current: number, options: OutdatedViewOptions): string {
  const count = (status: OutdatedStatus) => shown.filter((model) => model.status === status).length
  const outdated = count('outdated')
  if (shown.length === 0 && current === 0)
    return 'No declared model is pulled from a registry: there is nothing to compare.'
  if (shown.length === 0)
    return current === 1 ? 'The declared model is up to date.' : `All ${current} models are up to date.`
  if (count('unknown') === shown.length && current === 0)
    return shown.length === 1 ? 'Nobody could tell whether it is up to date.' : 'Nobody could tell what is up to date.'
  const parts = [
    outdated === 1 ? '1 model is outdated' : `${outdated} models are outdated`,
    `${current} up to date`,
    ...(['same-content', 'not-installed', 'not-in-registry', 'server-too-old', 'unknown'] as const).flatMap((status) =>
      count(status) === 0 ? [] : [`${count(status)} ${summaryWords[status]}`],
    ),
  ]
  const next = [
    ...(outdated > 0 || count('same-content') > 0 ? [`To update: ${options.updateCommand}`] : []),
    ...(count('not-installed') > 0 ? [`To install what is not there: ${options.applyCommand}`] : []),
  ]
  return [`${parts.join(', ')}.`, ...next].join(next.length === 1 ? ' ' : '\n')
}
