/** What the command table says of the words that can be completed, in the terms of shells. Pure. */
import { errorCodes } from '../../errors.ts'
import type { CommandInfo, Flag } from '../command-table.ts'

/** What a word can be: any text, a file, a folder, a name of a model, or one of a few. */
export type Choice = 'text' | 'file' | 'folder' | 'model' | readonly string[]

export interface CompletedFlag {
  readonly long: string
  readonly short: string | undefined
  readonly summary: string
  /** `optional`: only after an equals sign. */
  readonly value: 'none' | 'needed' | 'optional'
  readonly choice: Choice
}

export interface CompletedCommand {
  readonly name: string
  readonly summary: string
  readonly flags: readonly CompletedFlag[]
  /** `undefined`: it takes no word. */
  readonly word: Choice | undefined
}

export function completedCommands(table: Readonly<Record<string, CommandInfo>>): readonly CompletedCommand[] {
  const known = Object.entries(table).map(([name, { summary, flags, words }]) => ({
    name,
    summary,
    flags: Object.entries(flags).map(([long, flag]) => completedFlag(long, flag)),
    word: words === undefined || words.foreign ? undefined : choiceOf(words.values, words.name),
  }))
  const topics = [...Object.keys(table), ...errorCodes]
  return [...known, { name: 'help', summary: 'tell of a command, or of an error', flags: [], word: topics }]
}

function completedFlag(long: string, { type, optional, short, value, values, summary }: Flag): CompletedFlag {
  return {
    long,
    short,
    summary,
    value: optional ? 'optional' : type === 'boolean' ? 'none' : 'needed',
    choice: choiceOf(values, value),
  }
}

/** @param name As help shows it, such as `FILE` */
function choiceOf(values: readonly string[] | undefined, name = ''): Choice {
  if (values !== undefined) return values
  if (/FILE/.test(name)) return 'file'
  if (/DIR/.test(name)) return 'folder'
  return name === 'MODEL' ? 'model' : 'text'
}
