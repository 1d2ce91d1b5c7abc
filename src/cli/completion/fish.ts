/** The script for fish 3 and later. */
import type { Choice, CompletedCommand, CompletedFlag } from './words.ts'

export function fishScript(commands: readonly CompletedCommand[]): string {
  return `# Completes the words of ollama-config in fish. Made by "ollama-config completion fish".

function __ollama_config_first
    test (count (commandline -opc)) -eq 1
end

function __ollama_config_is
    set -l words (commandline -opc)
    test (count $words) -ge 2; and test $words[2] = $argv[1]
end

# Names come from a server: they are words, and are never evaluated.
function __ollama_config_models
    set -l words (commandline -opc)
    command ollama-config __complete models $words[2..] (commandline -ct) 2>/dev/null </dev/null
end

complete -c ollama-config -e
complete -c ollama-config -f
complete -c ollama-config -n __ollama_config_first -l help -s h -d 'show the commands'
complete -c ollama-config -n __ollama_config_first -l version -s v -d 'show the version'
${commands.map(commandLines).join('\n')}
`
}

function commandLines({ name, summary, flags, word: own }: CompletedCommand): string {
  const start = `complete -c ollama-config -n ${quoted(`__ollama_config_is ${name}`)}`
  return [
    `complete -c ollama-config -n __ollama_config_first -a ${name} -d ${quoted(summary)}`,
    ...flags.map((flag) => `${start} ${flagText(flag)}`),
    ...(own === undefined ? [] : [`${start}${choiceText(own)}`]),
  ].join('\n')
}

function flagText({ long, short, summary, value, choice }: CompletedFlag): string {
  const names = `-l ${long}${short === undefined ? '' : ` -s ${short}`}`
  const after = { none: '', needed: ` -r${choiceText(choice)}`, optional: choiceText(choice) }[value]
  return `${names}${after} -d ${quoted(summary)}`
}

function choiceText(choice: Choice): string {
  if (typeof choice !== 'string') return ` -f -a ${quoted(choice.join(' '))}`
  return {
    text: ' -f',
    file: ' -F',
    folder: ' -f -a \'(__fish_complete_directories (commandline -ct) "")\'',
    model: " -f -a '(__ollama_config_models)'",
  }[choice]
}

function quoted(text: string): string {
  return `'${text.replaceAll(/['\\]/g, '\\$&')}'`
}
