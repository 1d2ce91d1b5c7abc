/**
 * `ollama-config __complete models COMMAND [WORD]… PREFIX`: what the scripts of `completion` call while somebody types. One name a line,
 * and nothing else whatever happens: no error, no question. Runs nothing of the folder.
 */
import { findModelNames } from '../../runner.ts'
import { parseArguments } from '../arguments.ts'
import { type Context, exitCodes } from '../context.ts'
import { folderOf, sessionWithout } from './session.ts'

export async function complete([kind, ...line]: readonly string[], context: Context): Promise<number> {
  // Some shells pass the quotes that are open.
  const prefix = (line.at(-1) ?? '').replace(/^["']/, '')
  const names = kind === 'models' ? await modelNames(line.slice(0, -1), prefix, context).catch(() => []) : []
  for (const name of names) context.stdout.write(`${name}\n`)
  return exitCodes.done
}

async function modelNames(words: readonly string[], prefix: string, context: Context): Promise<readonly string[]> {
  // The word that is typed counts: where there can be no other one, there is nothing to offer.
  const invocation = parseArguments([...words, prefix === '' ? 'x' : prefix])
  if (!('words' in invocation && 'flags' in invocation)) return []
  const { flags, words: typed } = invocation
  // Nobody has asked for a log yet.
  const { verbose: _, 'log-file': __, ...quiet } = flags
  const cwd = folderOf(flags, context)
  const { connection } = sessionWithout(quiet, context)
  const found = await findModelNames({ ...connection, cwd, configFile: flags.config })
  const fits = (name: string) => name.startsWith(prefix) && !typed.slice(0, -1).includes(name)
  const declared = found.declared.filter(fits)
  // Only verify --all takes what is not declared. Elsewhere it helps where the config computes its names.
  const isEnough = declared.length > 0 && !('all' in flags && flags.all)
  return isEnough ? declared : [...new Set([...declared, ...(await found.installed()).filter(fits)])].sort()
}
