/** Words in, exit code out. Never exits by itself and never throws. */
import { existsSync } from 'node:fs'
import path from 'node:path'
import { isOllamaConfigError, OllamaConfigError } from '../errors.ts'
import { version } from '../version.ts'
import { type Invocation, parseArguments } from './arguments.ts'
import { type Context, exitCodes } from './context.ts'

/** Errors that the user's own words or files caused. */
const usageCodes: ReadonlySet<string> = new Set([
  'usage',
  'invalid-reference',
  'invalid-address',
  'config-not-found',
  'config-load-failed',
  'config-invalid',
  'approval-required',
  'prune-refused',
])

/** Runs one command. */
export async function run(words: readonly string[], context: Context): Promise<number> {
  try {
    return await execute(parseArguments(words), context)
  } catch (error) {
    if (context.signal.aborted) {
      context.stderr.write('Interrupted: nothing was changed\n')
      return exitCodes.interrupted
    }
    await showError(error, words, context)
    return isOllamaConfigError(error) && usageCodes.has(error.code) ? exitCodes.usage : exitCodes.failed
  }
}

async function execute(invocation: Invocation, context: Context): Promise<number> {
  switch (invocation.command) {
    case 'plan':
      return (await import('./commands/plan.ts')).plan(invocation.flags, context)
    case 'apply':
      return (await import('./commands/apply.ts')).apply(invocation.flags, context)
    case 'check':
      return (await import('./commands/check.ts')).check(invocation.flags, context)
    case 'help':
      context.stdout.write((await import('./help.ts')).helpText(invocation.topic))
      return exitCodes.done
    case 'version':
      context.stdout.write(`${version}\n`)
      return exitCodes.done
    case 'welcome':
      context.stdout.write((await import('./help.ts')).welcomeText(hasConfig(context.cwd)))
      return exitCodes.done
  }
}

async function showError(error: unknown, words: readonly string[], context: Context): Promise<void> {
  // Read from the words: when the flags themselves are wrong there is nothing parsed to look at.
  const wants = (flag: string) => words.includes(flag)
  const [{ formatError }, { createStyle }, { describeTerminal }] = await Promise.all([
    import('./views/problems.ts'),
    import('./views/style.ts'),
    import('./views/terminal.ts'),
  ])
  if (wants('--json') && words[0] !== 'apply')
    context.stdout.write((await import('./views/json.ts')).errorDocument(error))
  const terminal = describeTerminal(context, { 'no-color': wants('--no-color') })
  context.stderr.write(formatError(error, { style: createStyle(terminal.stderrColor), debug: wants('--debug') }))
}

/** A look at the usual place only: the command without arguments runs nothing and searches nowhere. */
function hasConfig(cwd: string): boolean {
  return ['ts', 'mts', 'js', 'mjs', 'json'].some((extension) =>
    existsSync(path.join(cwd, `ollama.config.${extension}`)),
  )
}

/** The reason that `main.ts` gives to the signal that stops a run. */
export function interruption(name: string): OllamaConfigError {
  return new OllamaConfigError('interrupted', `Interrupted by ${name}`)
}
