/** Commands as they are printed, to be pasted: for the same config, and the same host or store. */
import { visible } from '../artifact/text.ts'
import { isShowable } from '../runner.ts'
import type { CommonFlags } from './command-table.ts'
import type { Context } from './context.ts'
import { createStyle, type Style } from './views/style.ts'

/** What tells how a command is typed. */
type Shell = Pick<Context, 'env' | 'platform'>

interface PlanningFlags extends CommonFlags {
  readonly prune?: boolean
  readonly frozen?: boolean
  readonly offline?: boolean
  readonly 'keep-previous'?: boolean
}

/** The command that carries out what was shown, for the same config and host, or the plan that was saved. */
export function applyCommand(flags: PlanningFlags, context: Shell, planFile?: string): string {
  const planning = (['prune', 'frozen', 'offline', 'keep-previous'] as const).filter((name) => flags[name])
  const words = planFile === undefined ? planning.map((name) => `--${name}`) : [shellWord(planFile, context)]
  return commandLine(['apply', ...words], flags, context)
}

/** A command for the same config, and the same host or store. */
export function commandLine(words: readonly string[], flags: CommonFlags, context: Shell): string {
  const value = (name: 'config' | 'cwd' | 'host') => {
    const text = flags[name]
    if (text === undefined) return []
    return [`--${name}`, name === 'host' && !isShowable(text) ? '…' : shellWord(text, context)]
  }
  const store = flags.store === undefined || flags.store === true ? '' : `=${shellWord(flags.store, context)}`
  return [
    programOf(context),
    ...words,
    ...value('config'),
    ...value('cwd'),
    ...value('host'),
    ...(flags.store === undefined ? [] : [`--store${store}`]),
    ...(['owner', 'connections'] as const).flatMap((name) =>
      flags[name] === undefined ? [] : [`--${name}`, shellWord(flags[name], context)],
    ),
  ].join(' ')
}

/** As it has to be typed. npm sets the variable, whatever it runs: what npx, or a script, ran is on no PATH. */
export function programOf({ env }: Pick<Context, 'env'>): string {
  return env['npm_command'] ? 'npx ollama-config' : 'ollama-config'
}

/** Colours, and hints whose commands are for the same config and the same host or store. */
export function styleFor(color: boolean, flags: CommonFlags, context: Shell): Style {
  const hint = (text: string) =>
    text.replaceAll(/"ollama-config ([^"]+)"/g, (_, words: string) => {
      // An example knows of no host.
      const known = words !== 'init' ? flags : flags.cwd === undefined ? {} : { cwd: flags.cwd }
      return `"${commandLine([words], known, context)}"`
    })
  return createStyle(color, hint, flags.plain === true)
}

function shellWord(text: string, { platform }: Shell): string {
  // What cannot be shown cannot be copied either.
  if (visible(text) !== text) return '…'
  if (platform === 'win32') {
    if (/^[\w./:@+=\\-]+$/.test(text)) return text
    // cmd.exe knows no other quotes, and in them it, or PowerShell, reads these as more than they are; a backslash at the end would end none.
    return /["$%`]/.test(text) ? '…' : `"${text.replace(/\\+$/, '$&$&')}"`
  }
  return /^[\w./:@%+=-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
}
