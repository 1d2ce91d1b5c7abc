/** The script for bash 4 and later. */
import type { Choice, CompletedCommand, CompletedFlag } from './words.ts'

export function bashScript(commands: readonly CompletedCommand[]): string {
  const first = [...commands.map(({ name }) => name), '--help', '--version'].join(' ')
  return `# Completes the words of ollama-config in bash 4 and later. Made by "ollama-config completion bash".

# One that begins as what is typed. Bash breaks words at colons and equals signs, and replaces only what comes after the last one.
_ollama_config_add() {
  if [[ $1 == "$typed"* ]]; then COMPREPLY+=("\${1#"$kept"}"); fi
}

# Lines of a program, which are never evaluated: names come from a server.
_ollama_config_lines() {
  local line
  while IFS= read -r line; do _ollama_config_add "$start$line"; done
}

_ollama_config() {
  local IFS=$' \\t\\n' line=\${COMP_LINE:0:COMP_POINT} words choice
  local typed kept before start= flags= kind= word= choices=
  read -ra words <<<"$line"
  if [[ $line == *[[:space:]] ]]; then words+=(''); fi
  typed=\${words[\${#words[@]} - 1]#[\\"\\']}
  kept=\${typed%"$2"}
  COMPREPLY=()
  if ((\${#words[@]} <= 2)); then
    for choice in ${first}; do _ollama_config_add "$choice"; done
    return
  fi
  before=\${words[\${#words[@]} - 2]}
  # Behind it are words of another command.
  for choice in "\${words[@]:1:\${#words[@]} - 2}"; do
    if [[ $choice == -- ]]; then compopt -o default; return; fi
  done
  if [[ $typed == --*=* ]]; then
    before=\${typed%%=*}
    start=$before=
  fi
  case \${words[1]} in
${commands.map(commandCase).join('\n')}
    *) return ;;
  esac
  if [[ -z $kind && -z $start ]]; then
    kind=$word
    if [[ $typed == -* ]]; then kind=flags; fi
  fi
  case $kind in
    file) _ollama_config_lines < <(compgen -f -- "\${typed#"$start"}") ;;
    folder) _ollama_config_lines < <(compgen -d -- "\${typed#"$start"}") ;;
    model)
      words[\${#words[@]} - 1]=$typed
      _ollama_config_lines < <(command ollama-config __complete models "\${words[@]:1}" 2>/dev/null </dev/null)
      ;;
    choice) for choice in $choices; do _ollama_config_add "$start$choice"; done ;;
    flags) for choice in $flags; do _ollama_config_add "$choice"; done ;;
  esac
  if [[ $kind == file || $kind == folder ]]; then compopt -o filenames; fi
}

complete -F _ollama_config ollama-config
`
}

function commandCase({ name, flags, word }: CompletedCommand): string {
  const names = flags.map(({ long }) => `--${long}`).join(' ')
  const own = word === undefined ? `word=flags` : kindOf(word, 'word')
  const cases = [...groups(flags)].map(([action, patterns]) => `        ${patterns.join(' | ')}) ${action} ;;`)
  const inner = cases.length === 0 ? [] : ['      case $before in', ...cases, '      esac']
  return [`    ${name})`, `      flags='${names}' ${own}`, ...inner, '      ;;'].join('\n')
}

/** The flags with a value, by what follows from one of them. */
function groups(flags: readonly CompletedFlag[]): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>()
  for (const { long, short, value, choice } of flags) {
    if (value === 'none') continue
    const set = kindOf(choice, 'kind')
    const action = value === 'optional' ? `if [[ -n $start || $typed == [/.~]* ]]; then ${set}; fi` : set
    found.set(action, [...(found.get(action) ?? []), `--${long}`, ...(short === undefined ? [] : [`-${short}`])])
  }
  return found
}

function kindOf(choice: Choice, variable: 'kind' | 'word'): string {
  return typeof choice === 'string' ? `${variable}=${choice}` : `${variable}=choice choices='${choice.join(' ')}'`
}
