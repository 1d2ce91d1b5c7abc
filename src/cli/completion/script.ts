/** The script that a shell reads to complete words of the command. */
import { commands, type Shell } from '../command-table.ts'
import { bashScript } from './bash.ts'
import { fishScript } from './fish.ts'
import { completedCommands } from './words.ts'
import { zshScript } from './zsh.ts'

export function completionScript(shell: Shell): string {
  const write = { bash: bashScript, zsh: zshScript, fish: fishScript }[shell]
  return write(completedCommands(commands))
}
