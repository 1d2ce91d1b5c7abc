/** The texts of `--help`, `--version` and of the command without arguments. */
import { version } from '../version.ts'
import { type CommandInfo, type CommandName, commands } from './arguments.ts'

/** What someone sees who types the bare command. */
export function welcomeText(hasConfig: boolean): string {
  const next = hasConfig
    ? [
        'There is a config here. Next:',
        '',
        '  ollama-config plan     show what would be done',
        '  ollama-config apply    do it',
      ]
    : [
        'There is no config here yet. Write ollama.config.ts:',
        '',
        "  import { defineConfig } from 'ollama-config'",
        "  export default defineConfig({ models: ['all-minilm'] })",
        '',
        'Then: ollama-config plan',
      ]
  return `ollama-config ${version}: declare the models of an Ollama host in a file, see the plan, apply it.\n\n${next.join('\n')}\n\nAll commands: ollama-config --help\n`
}

export function helpText(topic: CommandName | undefined): string {
  return topic === undefined ? overview() : commandHelp(topic, commands[topic])
}

function overview(): string {
  const rows = Object.entries(commands).map(([name, { summary }]) => [name, summary] as const)
  return `ollama-config ${version}: configuration as code for Ollama

Usage: ollama-config COMMAND [FLAGS]

Commands:
${table(rows)}

Flags of a command: ollama-config COMMAND --help
Exit codes: 0 done or nothing to do, 1 failed, 2 changes pending (plan --detailed-exitcode), 3 usage or config
error or approval missing, 130 interrupted
`
}

function commandHelp(name: string, { summary, flags, examples }: CommandInfo): string {
  const rows = Object.entries(flags).map(([flag, { short, value, summary }]) => {
    const letter = short === undefined ? '    ' : `-${short}, `
    return [`${letter}--${flag}${value === undefined ? '' : ` ${value}`}`, summary] as const
  })
  const examplesText = examples.map(([command, meaning]) => `  # ${meaning}\n  ${command}`).join('\n')
  return `ollama-config ${name}: ${summary}\n\nFlags:\n${table(rows)}\n\nExamples:\n${examplesText}\n`
}

function table(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length))
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`).join('\n')
}
