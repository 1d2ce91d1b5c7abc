/** How words become a command with its flags. */
import { parseArgs } from 'node:util'
import { printable, quoted } from '../artifact/text.ts'
import { type ErrorCode, errorCodes, OllamaConfigError } from '../errors.ts'
import { suggest } from '../suggest.ts'
import {
  type ApplyFlags,
  type CheckFlags,
  type CollectFlags,
  type CommandInfo,
  type CommandName,
  type CommonFlags,
  commands,
  type DemoFlags,
  type DoctorFlags,
  type ExecFlags,
  type Flags,
  type InitFlags,
  type PlanFlags,
  type RollbackFlags,
  type SetupFlags,
  type Shell,
  shells,
  type UpdateFlags,
  type Values,
  type VerifyFlags,
} from './command-table.ts'

export type Invocation =
  | { readonly command: 'plan'; readonly flags: PlanFlags }
  | { readonly command: 'apply'; readonly flags: ApplyFlags; readonly words: readonly string[] }
  | { readonly command: 'check'; readonly flags: CheckFlags }
  | { readonly command: 'exec'; readonly flags: ExecFlags; readonly words: readonly string[] }
  | { readonly command: 'outdated'; readonly flags: CommonFlags }
  | { readonly command: 'update'; readonly flags: UpdateFlags; readonly words: readonly string[] }
  | { readonly command: 'lock'; readonly flags: CommonFlags; readonly words: readonly string[] }
  | { readonly command: 'rollback'; readonly flags: RollbackFlags; readonly words: readonly string[] }
  | { readonly command: 'verify'; readonly flags: VerifyFlags; readonly words: readonly string[] }
  | { readonly command: 'collect'; readonly flags: CollectFlags }
  | { readonly command: 'init'; readonly flags: InitFlags }
  | { readonly command: 'plugins'; readonly flags: CommonFlags }
  | { readonly command: 'setup'; readonly flags: SetupFlags }
  | { readonly command: 'doctor'; readonly flags: DoctorFlags }
  | { readonly command: 'demo'; readonly flags: DemoFlags }
  | { readonly command: 'completion'; readonly shell: Shell }
  | { readonly command: 'complete'; readonly words: readonly string[] }
  | { readonly command: 'help'; readonly topic: CommandName | undefined }
  | { readonly command: 'explain'; readonly code: ErrorCode }
  | { readonly command: 'errors' }
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
  if (first === 'help') return topicOf(rest[0])
  // What the scripts of `completion` call.
  if (first === '__complete') return { command: 'complete', words: rest }
  if (first.startsWith('-')) {
    throw usage(`A command is missing before ${quoted(first)}`, missingCommandHint(words))
  }
  const command = commandName(first)
  if (command === 'exec') return parseExec(rest)
  if (rest.includes('--help') || rest.includes('-h')) return { command: 'help', topic: command }
  const parsed = parseCommand(command, rest)
  // As in a group of letters.
  return 'flags' in parsed && 'help' in parsed.flags && parsed.flags.help === true
    ? { command: 'help', topic: command }
    : parsed
}

function parseCommand(command: Exclude<CommandName, 'exec'>, rest: readonly string[]): Invocation {
  switch (command) {
    case 'init':
      return { command, ...parseWords(command, commands.init, rest) }
    case 'plan':
      return { command, ...parseWords(command, commands.plan, rest) }
    case 'apply':
      return { command, ...parseWords(command, commands.apply, rest) }
    case 'check':
      return { command, ...parseWords(command, commands.check, rest) }
    case 'outdated':
      return { command, ...parseWords(command, commands.outdated, rest) }
    case 'update':
      return { command, ...parseWords(command, commands.update, rest) }
    case 'lock':
      return { command, ...parseWords(command, commands.lock, rest) }
    case 'rollback':
      return { command, ...parseWords(command, commands.rollback, rest) }
    case 'verify':
      return { command, ...parseWords(command, commands.verify, rest) }
    case 'collect':
      return { command, ...parseWords(command, commands.collect, rest) }
    case 'plugins':
      return { command, ...parseWords(command, commands.plugins, rest) }
    case 'setup':
      return { command, ...parseWords(command, commands.setup, rest) }
    case 'doctor':
      return { command, ...parseWords(command, commands.doctor, rest) }
    case 'demo':
      return { command, ...parseWords(command, commands.demo, rest) }
    case 'completion':
      return { command, shell: shellOf(parseWords(command, commands.completion, rest).words[0] ?? '') }
  }
}

function parseExec(rest: readonly string[]): Invocation {
  const { own, command } = splitCommand(rest, commands.exec.flags)
  if (own.includes('--help') || own.includes('-h')) return { command: 'help', topic: 'exec' }
  const { flags } = parseWords('exec', commands.exec, own)
  if (flags.help) return { command: 'help', topic: 'exec' }
  if (command.length === 0)
    throw usage('exec needs a command to run', 'write it after "--", as in "ollama-config exec -- npm run dev"')
  return { command: 'exec', flags, words: command }
}

/**
 * Cuts the words of `exec` from those of the command that it runs: they begin after `--`, or with the first word that is no flag and no value
 * of one. PowerShell drops a `--`.
 */
function splitCommand(
  words: readonly string[],
  flags: Flags,
): { readonly own: readonly string[]; readonly command: readonly string[] } {
  let index = 0
  for (; index < words.length; index++) {
    const word = words[index] ?? ''
    if (word === '--') return { own: words.slice(0, index), command: words.slice(index + 1) }
    if (!word.startsWith('-') || word === '-') break
    const next = words[index + 1]
    const flag = Object.entries(flags).find(([name, { short }]) => word === `--${name}` || word === `-${short}`)?.[1]
    const takesNext = flag?.type === 'string' && next !== undefined && !next.startsWith('-')
    if (takesNext && (!flag.optional || looksLikePath(next))) index++
  }
  return { own: words.slice(0, index), command: words.slice(index) }
}

/** The words that are ours: behind `exec` stand those of somebody else. */
export function ownWords(words: readonly string[]): readonly string[] {
  if (words[0] !== 'exec') return words
  return ['exec', ...splitCommand(words.slice(1), commands.exec.flags).own]
}

function shellOf(word: string): Shell {
  // As in $SHELL.
  const name = word.slice(word.lastIndexOf('/') + 1)
  const shell = shells.find((known) => known === name)
  if (shell !== undefined) return shell
  throw usage(`There is no completion for the shell ${quoted(word)}`, `there is one for ${shells.join(', ')}`)
}

/** `60s`, `2m`, `500ms`, `1h`; a bare number means seconds. In milliseconds; `undefined`: the default. */
export function parseDuration(
  flag: '--wait' | '--stall-timeout' | '--timeout',
  text: string | undefined,
): number | undefined {
  if (text === undefined) return undefined
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text.trim())
  if (match === null) throw usage(`${flag} ${quoted(text)} is not a time`, 'write 60s, 2m or 1h')
  if (flag === '--stall-timeout' && Number(match[1]) === 0)
    throw usage(`${flag} ${quoted(text)} would end every pull`, 'write 2m, or a long time such as 24h')
  const unit = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[match[2] ?? 's'] ?? 1000
  return Number(match[1]) * unit
}

/** `--concurrency`, how many models are fetched at once, and `--connections`. `undefined`: the default. */
export function parseCount(flag: '--concurrency' | '--connections', text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const count = /^\d{1,3}$/.test(text.trim()) ? Number(text) : 0
  if (count >= 1 && count <= maxCount) return count
  throw usage(`${flag} ${quoted(text)} is not a number from 1 to ${maxCount}`, `write ${flag} 2`)
}

/** Each pull opens up to 16 connections of the server. */
const maxCount = 64

/** What the same thing is called elsewhere. */
const synonyms: Readonly<Record<string, CommandName>> = {
  run: 'exec',
  with: 'exec',
  create: 'init',
  new: 'init',
  import: 'init',
  dump: 'init',
  pull: 'apply',
  install: 'apply',
  sync: 'apply',
  up: 'apply',
  upgrade: 'update',
  pin: 'lock',
  freeze: 'lock',
  undo: 'rollback',
  restore: 'rollback',
  diff: 'plan',
  preview: 'plan',
  status: 'plan',
  list: 'plan',
  ls: 'plan',
  gc: 'collect',
  clean: 'collect',
  cleanup: 'collect',
  fsck: 'verify',
  repair: 'verify',
  diagnose: 'doctor',
  health: 'doctor',
  start: 'setup',
  serve: 'setup',
}

/** Two commands are near to it. */
const pruneHint =
  '"ollama-config collect" removes blobs that no model needs; "ollama-config apply --prune" deletes models that are not in the config'

function isCommand(word: string): word is CommandName {
  return Object.hasOwn(commands, word)
}

function missingCommandHint(words: readonly string[]): string {
  const command = words.find(isCommand)
  if (command === undefined) return 'see "ollama-config --help"'
  const line = [command, ...words.filter((word) => word !== command)].join(' ')
  return `the command comes first: "ollama-config ${printable(line, 200)}"`
}

/** `help`, `help plan`, `help lock-frozen`, `help errors`. */
function topicOf(word: string | undefined): Invocation {
  if (word === undefined) return { command: 'help', topic: undefined }
  if (word === 'errors') return { command: 'errors' }
  const code = errorCodes.find((known) => known === word)
  return code === undefined
    ? { command: 'help', topic: commandName(word, ['errors', ...errorCodes]) }
    : { command: 'explain', code }
}

/** @param others What may be meant besides commands */
function commandName(word: string, others: readonly string[] = []): CommandName {
  if (isCommand(word)) return word
  const near =
    suggest(word, [...Object.keys(commands), ...others]) ?? (Object.hasOwn(synonyms, word) ? synonyms[word] : undefined)
  const help =
    others.length === 0 ? 'see "ollama-config --help"' : 'see "ollama-config --help", or "ollama-config help errors"'
  throw usage(
    `There is no command ${others.length === 0 ? '' : 'or error '}${quoted(word)}`,
    word === 'prune' ? pruneHint : near === undefined ? help : `did you mean "${near}"?`,
  )
}

function parseWords<Info extends CommandInfo>(
  command: string,
  info: Info,
  words: readonly string[],
): { readonly flags: Values<Info['flags']>; readonly words: readonly string[] } {
  const flags: Flags = info.flags
  // Two passes: `strict` would stop at the first bad word with a text of its own, and knows no "did you mean".
  const { values, tokens } = parseArgs({
    args: [...words],
    // As a flag without a value it takes one after `=` all the same, and no other word.
    options: Object.fromEntries(
      Object.entries(flags).map(([name, flag]) => [name, flag.optional ? { ...flag, type: 'boolean' as const } : flag]),
    ),
    strict: false,
    allowPositionals: true,
    tokens: true,
  })
  const found: string[] = []
  /** The word before stood alone, and might have had a value. */
  let alone: { readonly name: string; readonly index: number } | undefined
  let missed: string | undefined
  for (const token of tokens) {
    const before = alone
    alone = undefined
    if (token.kind === 'positional') {
      const follows = before !== undefined && token.index === before.index + 1
      if (follows && looksLikePath(token.value)) {
        values[before.name] = token.value
        continue
      }
      if (follows) missed ??= `--${before.name}=${printable(token.value, 100)}`
      found.push(token.value)
      continue
    }
    if (token.kind !== 'option') continue
    const flag = Object.hasOwn(flags, token.name) ? flags[token.name] : undefined
    if (flag === undefined) throw unknownFlag(command, token.rawName, Object.keys(flags))
    if (flag.optional) {
      if (token.value === '')
        throw usage(`${token.rawName}= needs a value`, `write ${token.rawName}=DIR, or ${token.rawName} alone`)
      if (token.value === undefined) alone = { name: token.name, index: token.index }
      values[token.name] = token.value ?? true
      continue
    }
    if (flag.type === 'boolean' && token.value !== undefined) throw usage(`${token.rawName} takes no value`)
    if (flag.type === 'string' && (token.value === undefined || token.value === '')) {
      throw usage(`${token.rawName} needs a value`, `write ${token.rawName} ${flag.value ?? 'VALUE'}`)
    }
    // The next flag, which was to be one.
    if (flag.type === 'string' && token.inlineValue === false && token.value?.startsWith('-')) {
      const shown = printable(token.value, 100)
      throw usage(
        `${token.rawName} needs a value, and ${shown} follows`,
        `write ${token.rawName} ${flag.value ?? 'VALUE'}, or --${token.name}=${shown} where that is the value`,
      )
    }
  }
  checkCount(command, info, found, missed)
  // The loop above has checked each value against its flag's type.
  return { flags: values as Values<Info['flags']>, words: found }
}

/** What nobody would call a model or a plan: the rest is left to `--flag=VALUE`. */
function looksLikePath(word: string): boolean {
  return /^(?:[/.~]|[A-Za-z]:(?:[\\/]|$))/.test(word)
}

/** @param missed What the user may have meant by a word after a flag that can stand alone. */
function checkCount(
  command: string,
  { words: allowed }: CommandInfo,
  found: readonly string[],
  missed: string | undefined,
): void {
  const { name = '', values, least = 0, most = 0 } = allowed ?? {}
  const help = `see "ollama-config ${command} --help"`
  if (found.length < least)
    throw usage(`${command} needs a ${name}${values === undefined ? '' : `: ${values.join(', ')}`}`, help)
  const extra = found[most]
  if (extra === undefined) return
  const hint = missed === undefined ? help : `as the value of the flag it is written ${missed}`
  throw usage(
    most === 0
      ? `${command} takes no argument: found ${quoted(extra)}`
      : `${command} takes one ${name}: found ${quoted(extra)} too`,
    hint,
  )
}

function unknownFlag(command: string, written: string, known: readonly string[]): OllamaConfigError {
  if (written === '--dry-run')
    return usage(`${command} has no flag ${written}`, '"ollama-config plan" shows what apply would do')
  const near = suggest(written.replace(/^-+/, ''), known)
  return usage(
    `${command} has no flag ${printable(written, 100)}`,
    near === undefined ? `see "ollama-config ${command} --help"` : `did you mean --${near}?`,
  )
}

function usage(message: string, hint?: string): OllamaConfigError {
  return new OllamaConfigError('usage', message, { hint })
}
