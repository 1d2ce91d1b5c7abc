/** The plugins of a config as text for people. */
import { counted, printable } from '../../artifact/text.ts'
import type { ListedPlugin, PluginList } from '../../runner.ts'
import { formatDiagnostic } from './problems.ts'
import { formatTable, type TableOptions } from './table.ts'

export function formatPlugins({ plugins, diagnostics }: PluginList, options: TableOptions): string {
  const problems = diagnostics.map((diagnostic) => formatDiagnostic(diagnostic, options.style, options.columns))
  const blocks = [problems, plugins.length === 0 ? [] : formatTable(header, plugins.map(rowOf), options)]
  const shown = blocks.filter((lines) => lines.length > 0).map((lines) => lines.join('\n'))
  const count = counted(plugins.length, 'plugin')
  return `${[...shown, `${plugins.length === 0 ? 'No plugins' : count}.`].join('\n\n')}\n`
}

const header = ['NAME', 'FROM', 'MODELS', 'HOOKS']

function rowOf({ name, from, models, hooks }: ListedPlugin): readonly string[] {
  return [name, printable(from), listOf(models.map((text) => printable(text))), listOf(hooks)]
}

function listOf(texts: readonly string[]): string {
  return texts.join(', ') || '-'
}
