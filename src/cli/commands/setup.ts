/** `ollama-config setup`: how Ollama is installed and started here; with `--run` it is done. */
import { printable, quoted } from '../../artifact/text.ts'
import { nearestConfig } from '../../config/search.ts'
import { isOllamaConfigError, OllamaConfigError } from '../../errors.ts'
import { type LoadedConfig, loadConfig, planSetup, runSetup, type SetupOptions } from '../../runner.ts'
import { parseDuration } from '../arguments.ts'
import { commandLine } from '../command-line.ts'
import { commands, type SetupFlags } from '../command-table.ts'
import { type Context, columnsOf, exitCodes } from '../context.ts'
import { createLogger } from '../log.ts'
import { writeFolded } from '../views/output.ts'
import { formatSetup, readyText } from '../views/setup.ts'
import { folderOf, isForNone } from './session.ts'

const methodNames = commands.setup.flags.with.values

export async function setup(flags: SetupFlags, context: Context): Promise<number> {
  const { env, signal, stdout, stderr } = context
  const cwd = folderOf(flags, context)
  const logger = createLogger(flags, { stderr, cwd })
  const options: SetupOptions = { host: flags.host, env, signal, logger, method: methodOf(flags.with) }
  const timeoutMs = parseDuration('--timeout', flags.timeout)
  const config = await load(flags, cwd, context)
  const write = (text: string) => stdout.write(text)
  const isNew = flags.config === undefined && nearestConfig(cwd) === undefined
  const next = isNew
    ? commandLine(['init'], flags.cwd === undefined ? {} : { cwd: flags.cwd }, context)
    : commandLine(['apply'], flags, context)
  const view = { columns: columnsOf(stdout), next }
  if (!flags.run) {
    const plan = await planSetup(config, options)
    const words = ['setup', '--run', ...(flags.with === undefined ? [] : ['--with', flags.with])]
    write(formatSetup(plan, { ...view, runCommand: commandLine(words, flags, context) }))
    return exitCodes.done
  }
  const onStep = (text: string) => void stderr.write(`${text}\n`)
  const result = await runSetup(config, { ...options, timeoutMs, onStep })
  write(readyText(result, view))
  return exitCodes.done
}

/** Only its host and headers matter: a config that does not load yet is none, unless it was asked for. */
async function load(flags: SetupFlags, cwd: string, context: Context): Promise<LoadedConfig | undefined> {
  const { env, signal } = context
  try {
    return await loadConfig({ cwd, configFile: flags.config, host: flags.host, env, signal })
  } catch (error) {
    signal.throwIfAborted()
    if (flags.config !== undefined || !isOllamaConfigError(error)) throw error
    if (flags.host === undefined && !isForNone(error))
      writeFolded(
        context.stderr,
        `The config does not load, so that its "host" is not known: ${printable(error.message)}\n`,
      )
    return undefined
  }
}

function methodOf(text: string | undefined): SetupOptions['method'] {
  if (text === undefined) return undefined
  const known = methodNames.find((name) => name === text)
  if (known !== undefined) return known
  throw new OllamaConfigError('usage', `--with ${quoted(text)} is no way to install Ollama`, {
    hint: `write one of ${methodNames.join(', ')}`,
  })
}
