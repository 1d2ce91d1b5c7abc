/** The commands and flags, and how words become them. Help, completion and "did you mean" read the same table. */
import { parseArgs } from 'node:util'
import { OllamaConfigError } from '../errors.ts'
import { suggest } from '../suggest.ts'

export interface Flag {
  readonly type: 'boolean' | 'string'
  readonly short?: string
  /** Shown in help after the flag, as in `--host ADDRESS`. */
  readonly value?: string
  readonly summary: string
}

export interface CommandInfo {
  readonly summary: string
  readonly flags: Readonly<Record<string, Flag>>
  readonly examples: readonly (readonly [command: string, meaning: string])[]
}

const configFlags = {
  config: { type: 'string', short: 'c', value: 'FILE', summary: 'use this config instead of searching for one' },
  cwd: { type: 'string', value: 'DIR', summary: 'work as if started in this folder' },
} as const satisfies Record<string, Flag>

const hostFlags = {
  host: {
    type: 'string',
    value: 'ADDRESS',
    summary: 'Ollama server; default: host in the config, OLLAMA_HOST, 127.0.0.1:11434',
  },
  wait: {
    type: 'string',
    value: 'TIME',
    summary: 'wait that long for the server to answer, such as 60s, 2m; a bare number is seconds',
  },
} as const satisfies Record<string, Flag>

const outputFlags = {
  json: { type: 'boolean', summary: 'write JSON to stdout' },
  verbose: { type: 'boolean', summary: 'tell every request on stderr' },
  'log-file': {
    type: 'string',
    value: 'FILE',
    summary: 'append every request to this file, as JSON lines without secrets',
  },
  'no-color': { type: 'boolean', summary: 'no colours, like NO_COLOR=1' },
  debug: { type: 'boolean', summary: 'show stack traces of errors' },
  help: { type: 'boolean', short: 'h', summary: 'show this text' },
} as const satisfies Record<string, Flag>

const pruneFlag = {
  type: 'boolean',
  summary: 'also delete installed models that are not in the config',
} as const satisfies Flag

const planFlags = {
  ...configFlags,
  ...hostFlags,
  prune: pruneFlag,
  all: { type: 'boolean', summary: 'also list the models that are fine' },
  'config-only': { type: 'boolean', summary: 'only check the config and list what it declares; asks no server' },
  'detailed-exitcode': { type: 'boolean', summary: 'exit with 2 when changes are pending' },
  ...outputFlags,
} as const satisfies Record<string, Flag>

const applyFlags = {
  ...configFlags,
  ...hostFlags,
  yes: { type: 'boolean', short: 'y', summary: 'approve pulls without a question; never approves deletions' },
  prune: pruneFlag,
  'no-prune': { type: 'boolean', summary: 'delete nothing, and do not ask' },
  ...outputFlags,
} as const satisfies Record<string, Flag>

const checkFlags = { ...configFlags, ...hostFlags, prune: pruneFlag, ...outputFlags } as const satisfies Record<
  string,
  Flag
>

export const commands = {
  plan: {
    summary: 'show what apply would do, and change nothing',
    flags: planFlags,
    examples: [
      ['ollama-config plan', 'what is missing, and what is not in the config'],
      ['ollama-config plan --prune --detailed-exitcode', 'exit with 2 when apply --prune would do anything'],
      ['ollama-config plan --json --host gpu-box', 'the plan as JSON, for another server'],
    ],
  },
  apply: {
    summary: 'pull what is missing and, when approved, delete what is not in the config',
    flags: applyFlags,
    examples: [
      ['ollama-config apply', 'plan, ask, apply'],
      ['ollama-config apply --yes --wait 60s', 'for scripts: pull without asking, once the server answers'],
      ['ollama-config apply --yes --prune', 'for scripts: also delete; needs a "prune" key in the config'],
    ],
  },
  check: {
    summary: 'exit with 0 when the host has what the config declares, else with 1',
    flags: checkFlags,
    examples: [['ollama-config check || ollama-config apply', 'apply only when something is missing']],
  },
} as const satisfies Record<string, CommandInfo>

export type CommandName = keyof typeof commands

type Values<Flags extends Readonly<Record<string, Flag>>> = {
  readonly [Name in keyof Flags]?: Flags[Name]['type'] extends 'boolean' ? boolean : string
}

export type PlanFlags = Values<typeof planFlags>
export type ApplyFlags = Values<typeof applyFlags>
export type CheckFlags = Values<typeof checkFlags>
/** The flags that every command has. */
export type CommonFlags = Values<typeof configFlags & typeof hostFlags & typeof outputFlags>

export type Invocation =
  | { readonly command: 'plan'; readonly flags: PlanFlags }
  | { readonly command: 'apply'; readonly flags: ApplyFlags }
  | { readonly command: 'check'; readonly flags: CheckFlags }
  | { readonly command: 'help'; readonly topic: CommandName | undefined }
  | { readonly command: 'version' }
  | { readonly command: 'welcome' }

/**
 * Reads the words after the program's name.
 *
 * @throws {OllamaConfigError} `usage`
 */
export function parseArguments(words: readonly string[]): Invocation {
  const [first, ...rest] = words
  if (first === undefined) return { command: 'welcome' }
  if (first === '--version' || first === '-v') return { command: 'version' }
  if (first === '--help' || first === '-h') return { command: 'help', topic: undefined }
  if (first === 'help') return { command: 'help', topic: rest[0] === undefined ? undefined : commandName(rest[0]) }
  if (first.startsWith('-')) {
    throw usage(`A command is missing before "${first}"`, missingCommandHint(words))
  }
  const command = commandName(first)
  if (rest.includes('--help') || rest.includes('-h')) return { command: 'help', topic: command }
  switch (command) {
    case 'plan':
      return { command, flags: parseFlags(command, planFlags, rest) }
    case 'apply':
      return { command, flags: parseFlags(command, applyFlags, rest) }
    case 'check':
      return { command, flags: parseFlags(command, checkFlags, rest) }
  }
}

/** `60s`, `2m`, `500ms`, `1h`; a bare number means seconds. In milliseconds. */
export function parseDuration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text.trim())
  if (match === null) throw usage(`--wait ${JSON.stringify(text)} is not a time`, 'write 60s, 2m or 1h')
  const unit = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[match[2] ?? 's'] ?? 1000
  return Number(match[1]) * unit
}

/** What the same thing is called elsewhere. */
const synonyms: Readonly<Record<string, CommandName>> = {
  pull: 'apply',
  install: 'apply',
  sync: 'apply',
  up: 'apply',
  diff: 'plan',
  preview: 'plan',
  status: 'plan',
  verify: 'check',
}

function isCommand(word: string): word is CommandName {
  return Object.hasOwn(commands, word)
}

function missingCommandHint(words: readonly string[]): string {
  const command = words.find(isCommand)
  if (command === undefined) return 'see ollama-config --help'
  return `the command comes first: ollama-config ${[command, ...words.filter((word) => word !== command)].join(' ')}`
}

function commandName(word: string): CommandName {
  if (isCommand(word)) return word
  const near = suggest(word, Object.keys(commands)) ?? (Object.hasOwn(synonyms, word) ? synonyms[word] : undefined)
  throw usage(
    `There is no command "${word}"`,
    near === undefined ? 'see ollama-config --help' : `did you mean "${near}"?`,
  )
}

function parseFlags<Flags extends Readonly<Record<string, Flag>>>(
  command: string,
  flags: Flags,
  words: readonly string[],
): Values<Flags> {
  // Two passes: `strict` would stop at the first bad word with a text of its own, and knows no "did you mean".
  const { values, tokens, positionals } = parseArgs({
    args: [...words],
    options: flags,
    strict: false,
    allowPositionals: true,
    tokens: true,
  })
  for (const token of tokens) {
    if (token.kind !== 'option') continue
    const flag = flags[token.name]
    if (flag === undefined) throw unknownFlag(command, token.rawName, Object.keys(flags))
    if (flag.type === 'boolean' && token.value !== undefined) throw usage(`${token.rawName} takes no value`)
    if (flag.type === 'string' && (token.value === undefined || token.value === '')) {
      throw usage(`${token.rawName} needs a value`, `write ${token.rawName} ${flag.value ?? 'VALUE'}`)
    }
  }
  if (positionals[0] !== undefined)
    throw usage(`${command} takes no argument: found "${positionals[0]}"`, `see ollama-config ${command} --help`)
  // The loop above has checked each value against its flag's type.
  return values as Values<Flags>
}

function unknownFlag(command: string, written: string, known: readonly string[]): OllamaConfigError {
  if (written === '--dry-run')
    return usage(`${command} has no flag ${written}`, 'ollama-config plan shows what apply would do')
  const near = suggest(written.replace(/^-+/, ''), known)
  return usage(
    `${command} has no flag ${written}`,
    near === undefined ? `see ollama-config ${command} --help` : `did you mean --${near}?`,
  )
}

function usage(message: string, hint?: string): OllamaConfigError {
  return new OllamaConfigError('usage', message, { hint })
}
