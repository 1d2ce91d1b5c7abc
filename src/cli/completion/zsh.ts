/** The script for zsh, which may be sourced, or lie in a folder of `fpath` as `_ollama-config`. */
import type { Choice, CompletedCommand, CompletedFlag } from './words.ts'

export function zshScript(commands: readonly CompletedCommand[]): string {
  return `#compdef ollama-config
# Completes the words of ollama-config in zsh. Made by "ollama-config completion zsh".

_ollama_config_models() {
  # Names come from a server: they are words, and are never evaluated.
  local -a names
  names=("\${(@f)$(command ollama-config __complete models "\${(@)line_before}" "$PREFIX" 2>/dev/null </dev/null)}")
  names=("\${(@)names:#}")
  compadd -a names
}

_ollama_config() {
  local -a line_before commands
  local curcontext=$curcontext state state_descr line
  typeset -A opt_args
  # Without the program: what comes before the word that is typed.
  line_before=("\${(@)words[2,CURRENT-1]}")
  if ((CURRENT == 2)); then
    commands=(
${commands.map(({ name, summary }) => `      ${word(`${name}:${summary}`)}`).join('\n')}
    )
    if [[ $PREFIX == -* ]]; then compadd -- --help --version; else _describe command commands; fi
    return
  fi
  local command=$words[2]
  shift words
  ((CURRENT--))
  case $command in
${commands.map(commandCase).join('\n')}
  esac
}

if [[ $funcstack[1] == _ollama_config ]]; then
  _ollama_config "$@"
else
  compdef _ollama_config ollama-config
fi
`
}

function commandCase({ name, flags, word: own }: CompletedCommand): string {
  const specs = [...flags.map(flagSpec), ...(own === undefined ? [] : [word(`*:word:${actionOf(own)}`)])]
  return [
    `    ${name})`,
    `      _arguments -S${specs.map((spec) => ` \\\n        ${spec}`).join('')}`,
    '      ;;',
  ].join('\n')
}

function flagSpec({ long, short, summary, value, choice }: CompletedFlag): string {
  const text = `[${summary.replaceAll(/[[\]\\]/g, '\\$&')}]`
  const after = { none: '', needed: `:value:${actionOf(choice)}`, optional: `::value:${actionOf(choice)}` }[value]
  const sign = { none: '', needed: '=', optional: '=-' }[value]
  if (short === undefined) return word(`--${long}${sign}${text}${after}`)
  const shortSign = value === 'none' ? '' : '+'
  return `'(-${short} --${long})'{-${short}${shortSign},--${long}${sign}}${word(`${text}${after}`)}`
}

function actionOf(choice: Choice): string {
  if (typeof choice !== 'string') return `(${choice.join(' ')})`
  return { text: ' ', file: '_files', folder: '_files -/', model: '_ollama_config_models' }[choice]
}

function word(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}
