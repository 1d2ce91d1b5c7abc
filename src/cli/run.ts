/** Words in, exit code out. Never exits by itself and never throws. */
import { nearestConfig } from '../config/search.ts'
import {
  explainPermission,
  isNotPermitted,
  isOllamaConfigError,
  isUserError,
  OllamaConfigError,
  toErrorData,
} from '../errors.ts'
import { version } from '../version.ts'
import { type Invocation, ownWords, parseArguments } from './arguments.ts'
import { programOf, styleFor } from './command-line.ts'
import type { CommonFlags } from './command-table.ts'
import { apply } from './commands/apply.ts'
import { check } from './commands/check.ts'
import { plan } from './commands/plan.ts'
import { type Context, columnsOf, exitCodes, shownPath } from './context.ts'
import { explain, listErrors } from './explain.ts'
import { helpText, welcomeText } from './help.ts'
import { errorDocument, errorLine, JsonLines } from './views/json.ts'
import { asciiOutput, writeFolded } from './views/output.ts'
import { formatError, moreText } from './views/problems.ts'
import { describeTerminal, type Terminal, type TerminalFlags } from './views/terminal.ts'

export { exitCodes } from './context.ts'

/** Runs one command. */
export async function run(given: readonly string[], context: Context): Promise<number> {
  const words = ownWords(given)
  let invocation: Invocation
  try {
    invocation = parseArguments(given)
  } catch (error) {
    // No command has begun that could tell it as one of its own lines.
    if (writesJsonLines(words) && words.includes('--json')) {
      new JsonLines((text) => context.stdout.write(text), Date.now).error(error)
    }
    showError(error, words, {}, context)
    return exitCodes.usage
  }
  try {
    return await execute(invocation, speakable(words, context))
  } catch (thrown) {
    // What we run may hear of Ctrl-C before we do.
    if (context.signal.aborted || (isOllamaConfigError(thrown) && thrown.code === 'interrupted')) {
      if (words.includes('--json') && !writesJsonLines(words)) {
        context.stdout.write(errorDocument(interruption('a signal')))
      }
      writeFolded(
        context.stderr,
        mayHaveChanged(words)
          ? 'Interrupted: run the same command again to go on from here\n'
          : 'Interrupted: nothing was changed\n',
      )
      return exitCodes.interrupted
    }
    const error = explainPermission(thrown)
    showError(error, words, 'flags' in invocation ? invocation.flags : {}, context)
    return exitCodeOf(error)
  }
}

function exitCodeOf(error: unknown): number {
  const code = isOllamaConfigError(error) ? error.code : undefined
  if (code === 'command-not-found') return exitCodes.notFound
  if (code === 'command-not-run') return exitCodes.notRun
  return isUserError(error) ? exitCodes.usage : exitCodes.failed
}

async function execute(invocation: Invocation, context: Context): Promise<number> {
  switch (invocation.command) {
    case 'plan':
      return plan(invocation.flags, context)
    case 'apply':
      return apply(invocation.flags, invocation.words, context)
    case 'check':
      return check(invocation.flags, context)
    case 'exec':
      return (await import('./commands/exec.ts')).exec(invocation.flags, invocation.words, context)
    case 'outdated':
      return (await import('./commands/outdated.ts')).outdated(invocation.flags, context)
    case 'update':
      return (await import('./commands/update.ts')).update(invocation.flags, invocation.words, context)
    case 'lock':
      return (await import('./commands/lock.ts')).lock(invocation.flags, invocation.words, context)
    case 'rollback':
      return (await import('./commands/rollback.ts')).rollback(invocation.flags, invocation.words, context)
    case 'verify':
      return (await import('./commands/verify.ts')).verify(invocation.flags, invocation.words, context)
    case 'collect':
      return (await import('./commands/collect.ts')).collect(invocation.flags, context)
    case 'init':
      return (await import('./commands/init.ts')).init(invocation.flags, context)
    case 'plugins':
      return (await import('./commands/plugins.ts')).plugins(invocation.flags, context)
    case 'setup':
      return (await import('./commands/setup.ts')).setup(invocation.flags, context)
    case 'doctor':
      return (await import('./commands/doctor.ts')).doctor(invocation.flags, context)
    case 'demo':
      return (await import('./commands/demo.ts')).demo(invocation.flags, context)
    case 'completion':
      context.stdout.write((await import('./completion/script.ts')).completionScript(invocation.shell))
      return exitCodes.done
    case 'complete':
      return (await import('./commands/complete.ts')).complete(invocation.words, context)
    case 'help':
      context.stdout.write(helpText(invocation.topic, context.stdout.columns || undefined, programOf(context)))
      return exitCodes.done
    case 'explain':
      writeFolded(context.stdout, await explain(invocation.code, context.stdout.columns || undefined))
      return exitCodes.done
    case 'errors':
      writeFolded(context.stdout, listErrors(programOf(context)))
      return exitCodes.done
    case 'version':
      context.stdout.write(`${version}\n`)
      return exitCodes.done
    case 'welcome':
      writeFolded(context.stdout, welcomeText(shownConfig(context.cwd), programOf(context)))
      return exitCodes.done
  }
}

/** These tell their errors as lines of their own. */
function writesJsonLines([command = '', ...flags]: readonly string[]): boolean {
  return ['apply', 'update', 'rollback'].includes(command) && !flags.includes('--lock-only')
}

/** These change one file after the other, and have no report that says how far they came. */
function mayHaveChanged([command = '', ...flags]: readonly string[]): boolean {
  return (
    command === 'collect' ||
    (command === 'verify' && flags.includes('--repair')) ||
    (command === 'setup' && flags.includes('--run'))
  )
}

/** Read from the words: when the flags themselves are wrong there is nothing parsed to look at. */
function looksOf(words: readonly string[]): TerminalFlags {
  return { 'no-color': words.includes('--no-color'), plain: words.includes('--plain') }
}

/** Without a look at stdin, which would open it: it belongs to what `exec` runs. */
function terminalOf({ stdout, stderr, env, platform }: Context, words: readonly string[]): Terminal {
  return describeTerminal({ stdin: {}, stdout, stderr, env, platform }, looksOf(words))
}

/** Where figures and arrows cannot be shown, texts have none. JSON stays as it is. */
function speakable(words: readonly string[], context: Context): Context {
  if (words.includes('--json') || terminalOf(context, words).unicode) return context
  return derived(context, { stdout: asciiOutput(context.stdout), stderr: asciiOutput(context.stderr) })
}

/** What Deno does not let us read counts as not set: the error that says so is shown all the same. */
function withReadableEnvironment(context: Context): Context {
  const get = (_: object, name: string | symbol) => {
    try {
      return context.env[String(name)]
    } catch {
      return undefined
    }
  }
  return derived(context, { env: new Proxy<Record<string, string>>({}, { get }) })
}

/** Not spread: stdin is opened, and the folder looked up, when it is looked at. */
function derived(context: Context, changes: Partial<Context>): Context {
  const own = Object.getOwnPropertyDescriptors
  return Object.create(Object.prototype, { ...own(context), ...own(changes) })
}

function showError(error: unknown, words: readonly string[], flags: CommonFlags, given: Context): void {
  const context = speakable(words, withReadableEnvironment(given))
  // Read from the words: when the flags themselves are wrong there is nothing parsed to look at.
  const wants = (flag: string) => words.includes(flag)
  if (wants('--json') && !writesJsonLines(words)) context.stdout.write(errorDocument(error))
  const terminal = terminalOf(context, words)
  context.stderr.write(
    formatError(error, {
      style: styleFor(terminal.stderrColor, flags, context),
      debug: wants('--debug'),
      columns: columnsOf(context.stderr),
      more: wants('--json') ? undefined : moreText(toErrorData(error).code, programOf(context)),
    }),
  )
}

/** As it is shown. */
function shownConfig(cwd: string): string | undefined {
  const file = nearestConfig(cwd)
  return file === undefined ? undefined : shownPath(file, { cwd })
}

/** Tells of what no command could catch, since code of others did it to the whole process. Returns the exit code. */
export function tellBreak(thrown: unknown, given: readonly string[], context: Context): number {
  const error = explainPermission(thrown)
  const words = ownWords(given)
  if (words.includes('--json') && writesJsonLines(words)) context.stdout.write(errorLine(error))
  showError(error, words, {}, context)
  return exitCodeOf(error)
}

/** The config awaits what never comes, and nothing else is left that could go on. */
export function neverFinished(): OllamaConfigError {
  return new OllamaConfigError(
    'config-load-failed',
    'The config never finished: it awaits something that cannot happen any more',
    { hint: 'look for an await whose promise nothing settles' },
  )
}

/** Somebody called `process.exit`. */
export function exitedEarly(): OllamaConfigError {
  return new OllamaConfigError(
    'config-load-failed',
    'The config, or a plugin or module of it, ended the program: it calls process.exit()',
    { hint: 'throw an error instead: it is told with its place' },
  )
}

/** The reason that `main.ts` gives to the signal that stops a run. */
export function interruption(name: string): OllamaConfigError {
  return new OllamaConfigError('interrupted', `Interrupted by ${name}`, { details: { signal: name } })
}

/** What to throw when the system does not say where we are. What Deno did not permit passes untouched. */
export function noWorkingFolder(cause: unknown): unknown {
  if (isNotPermitted(cause)) return cause
  const hint = 'change to another one, or to the same path again if it was made anew'
  return new OllamaConfigError('usage', 'The working folder is gone, or may not be looked into', { hint, cause })
}
