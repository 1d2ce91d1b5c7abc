/** `ollama-config init`: writes a first config, and says what to type next. */
import { counted, printable } from '../../artifact/text.ts'
import { OllamaConfigError } from '../../errors.ts'
import { type AddedScripts, type InitResult, initConfig } from '../../runner.ts'
import { commandLine } from '../command-line.ts'
import type { InitFlags } from '../command-table.ts'
import { type Context, exitCodes, shownPath } from '../context.ts'
import { writeFolded } from '../views/output.ts'
import { folderOf, sessionWithout } from './session.ts'

export async function init(flags: InitFlags, context: Context): Promise<number> {
  const cwd = folderOf(flags, context)
  const stray = (['host', 'store', 'wait', 'offline'] as const).find((name) => flags[name] !== undefined)
  if (stray !== undefined && !flags['from-installed'])
    throw new OllamaConfigError('usage', `--${stray} is for what is installed, and --from-installed was not given`, {
      hint: `add --from-installed, or drop --${stray}`,
    })
  const { connection } = sessionWithout(flags, context)
  const result = await initConfig({
    ...connection,
    cwd,
    fromInstalled: flags['from-installed'],
    list: flags.from,
    scripts: flags.scripts,
    offline: flags.offline,
  })
  const shown = (file: string) => shownPath(file, context)
  writeFolded(
    context.stdout,
    [
      ...(result.file === null ? [] : [`Wrote ${shown(result.file)}${whatOf(result, shown)}.`]),
      ...(result.hides === null
        ? []
        : [`Its folder no longer uses ${shown(result.hides)}; to go back to that, delete the new file.`]),
      ...keptLines(result),
      ...(result.scripts === null ? [] : scriptLines(result.scripts, shown)),
      `Next: ${commandLine(['plan'], flags, context)}`,
      '',
    ].join('\n'),
  )
  return exitCodes.done
}

function whatOf({ source, declared, list, asked }: InitResult, shown: (file: string) => string): string {
  const count = counted(declared, 'model')
  if (source === 'installed') return ` with ${count}, as installed`
  if (source === 'start')
    return `, a small example${asked === null ? '' : `, since nothing is installed at ${printable(asked)}`}`
  return list === null ? '' : ` with the ${count} of ${shown(list)}`
}

function keptLines({ kept }: InitResult): readonly string[] {
  if (kept.length === 0) return []
  const what = kept.length === 1 ? '1 more is' : `${kept.length} more are`
  return [
    `${what} installed but not declared, and in its "keep", so that nothing deletes them:`,
    ...kept.map(({ name, reason }) => `  ${printable(name)}: ${printable(reason)}`),
  ]
}

function scriptLines({ file, key, added, present, written }: AddedScripts, shown: (file: string) => string) {
  const names = Object.keys(added)
  const lines = [...(present.length === 0 ? [] : [`${shown(file)} has ${present.join(', ')} already: left as it is.`])]
  if (names.length === 0) return lines
  if (written) return [...lines, `Added ${names.join(', ')} to "${key}" in ${shown(file)}.`]
  return [
    ...lines,
    `${shown(file)} has comments or mistakes, so that nothing was put into it. Add to its "${key}":`,
    ...Object.entries(added).map(([name, command]) => `  ${JSON.stringify(name)}: ${JSON.stringify(command)},`),
  ]
}
