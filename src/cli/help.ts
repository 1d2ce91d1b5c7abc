/** The texts of `--help`, `--version` and of the command without arguments. */
import { version } from '../version.ts'
import { type CommandInfo, type CommandName, commands } from './command-table.ts'
import { fold, wrap } from './views/text.ts'

/**
 * What someone sees who types the bare command.
 *
 * @param config The config that plan would take, as it is shown
 * @param program How the command is called here
 */
export function welcomeText(config: string | undefined, program: string): string {
  const rows =
    config === undefined
      ? [
          [`${program} init`, 'write one; with --from-installed of the models that you have'],
          [`${program} demo`, 'see it work first: offline, in a few seconds'],
        ]
      : [
          [`${program} plan`, 'see what would be done'],
          [`${program} apply`, 'do it'],
        ]
  const width = Math.max(...rows.map(([command = '']) => command.length))
  return [
    `ollama-config ${version}: the models of an Ollama host, declared in a typed file.`,
    'It shows what is missing, changed or not declared, and brings it about when you say so.',
    '',
    config === undefined ? 'There is no ollama.config.ts here. Next:' : `Found ${config}. Next:`,
    ...rows.map(([command = '', meaning = '']) => `  ${command.padEnd(width)}   ${meaning}`),
    '',
    `All commands: ${program} --help`,
    '',
  ].join('\n')
}

const exitCodeRows = [
  ['0', 'done, or nothing to do'],
  ['1', 'something failed; check: changes are pending; verify: damaged'],
  ['2', 'changes are pending (plan --detailed-exitcode)'],
  ['3', 'usage or config error, or approval missing'],
  ['130', 'interrupted'],
  ['other', 'exec: that of the command; 128 + number of the signal that ended it; 127 not found, 126 cannot be run'],
] as const

/**
 * @param columns Width to fit into
 * @param program How the command is called here
 */
export function helpText(topic: CommandName | undefined, columns = 80, program = 'ollama-config'): string {
  return topic === undefined ? overview(columns, program) : commandHelp(topic, commands[topic], columns, program)
}

function overview(columns: number, program: string): string {
  const rows = Object.entries(commands).map(([name, { summary }]) => [name, summary] as const)
  // Its tables fit already.
  const text = `ollama-config ${version}: configuration as code for Ollama

Usage: ${program} COMMAND [FLAGS]

Commands:
${table(rows, columns)}

Flags of a command: ${program} COMMAND --help
More of an error:   ${program} help CODE
Codes of errors:    ${program} help errors
Exit codes:
${table(exitCodeRows, columns)}
`
  return fold(text, columns)
}

function commandHelp(
  name: string,
  { summary, flags, words, examples, notes }: CommandInfo,
  columns: number,
  program: string,
): string {
  const rows = Object.entries(flags).map(([flag, { short, value, summary, optional }]) => {
    const letter = short === undefined ? '    ' : `-${short}, `
    const separator = optional ? '' : ' '
    return [`${letter}--${flag}${value === undefined ? '' : `${separator}${value}`}`, summary] as const
  })
  // A script of completion is for a command on PATH.
  const examplesText = examples
    .map(
      ([command, meaning]) =>
        `  # ${wrap(meaning, columns - 4).join('\n  # ')}\n  ${name === 'completion' ? command : command.replaceAll(/\bollama-config(?= )/g, program)}`,
    )
    .join('\n')
  const choices = words?.values === undefined ? '' : `\n${words.name}: ${words.values.join(', ')}\n`
  const notesText = notes === undefined ? '' : `\n${wrap(notes, columns).join('\n')}\n`
  const after = words?.foreign ? ` [FLAGS] -- ${words.name}…` : `${wordsText(words)} [FLAGS]`
  return `${wrap(`ollama-config ${name}: ${summary}`, columns).join('\n')}\n\n${fold(`Usage: ${program} ${name}${after}`, columns)}\n${choices}\nFlags:\n${table(rows, columns)}\n\nExamples:\n${examplesText}\n${notesText}`
}

function wordsText(words: CommandInfo['words']): string {
  if (words === undefined) return ''
  const text = words.most > 1 ? `${words.name}…` : words.name
  return words.least === 0 ? ` [${text}]` : ` ${text}`
}

function table(rows: readonly (readonly [string, string])[], columns: number): string {
  const width = Math.max(...rows.map(([left]) => left.length))
  // Beside the names there has to be room for words; on a narrow screen they go below.
  const beside = columns - width - 4 >= 24
  return rows
    .map(([left, right]) => {
      if (beside)
        return `  ${left.padEnd(width)}  ${wrap(right, columns - width - 4).join(`\n${' '.repeat(width + 4)}`)}`
      return `  ${left}\n      ${wrap(right, columns - 6).join('\n      ')}`
    })
    .join('\n')
}
