/** Runs somebody's command in our place: with our terminal, our streams and the signals that come to us. */
import { constants } from 'node:os'
import path from 'node:path'
import { quoted, quotedPath } from '../artifact/text.ts'
import { isNotPermitted, OllamaConfigError, toErrorData } from '../errors.ts'
import { batchArguments, isBatchFile } from './batch-file.ts'
import { findProgram, isProgram, programNames } from './find-program.ts'
import { isSentToGroup } from './group-signals.ts'

type Environment = Readonly<Record<string, string | undefined>>

export interface RunCommandOptions {
  readonly env: Environment
  readonly cwd: string
  readonly platform: string
  /** Until the function that it returns is called, the signals that come to us go to the listener alone. */
  readonly takeSignals?: ((listener: (name: NodeJS.Signals) => void) => () => void) | undefined
  /** Only before it has started: afterwards it gets what comes to us. */
  readonly signal?: AbortSignal | undefined
}

type Place = Pick<RunCommandOptions, 'cwd' | 'platform'>

/**
 * Its exit code, and as in a shell 128 and the number of the signal that ended it.
 *
 * @throws {OllamaConfigError} `command-not-found`, `command-not-run`
 * @throws `signal.reason`
 */
export async function runCommand(command: readonly string[], options: RunCommandOptions): Promise<number> {
  const { env, cwd, platform, takeSignals, signal } = options
  signal?.throwIfAborted()
  const [name = '', ...words] = command
  if (name === '') throw notFound(name, options)
  const started = platform === 'win32' ? windowsStart(name, words, options) : { file: name, words, verbatim: false }
  const { spawn } = process.getBuiltinModule('node:child_process')
  return new Promise((resolve, reject) => {
    let child: ReturnType<typeof spawn> | undefined
    let running = false
    // Before it starts: it may be known to others, and get a signal by us, at once.
    const release = takeSignals?.((signalName) => {
      if (!running || child?.pid === undefined || isSentToGroup(signalName, platform)) return
      try {
        // Not child.kill(): after that Deno tells of the signal, whatever the exit code was.
        process.kill(child.pid, signalName)
      } catch {
        // It has just ended, or belongs to somebody else now, as with sudo.
      }
    })
    const fail = (error: unknown) => {
      release?.()
      reject(startError(error, name, options))
    }
    try {
      child = spawn(started.file, started.words, {
        env: { ...env },
        cwd,
        stdio: 'inherit',
        windowsVerbatimArguments: started.verbatim,
      })
    } catch (error) {
      // Such as a name with a zero byte; Deno throws here for every program that it cannot start.
      return fail(error)
    }
    running = child.pid !== undefined
    child.on('error', fail)
    child.on('exit', (code, signalName) => {
      running = false
      release?.()
      resolve(code ?? 128 + (signalName === null ? 0 : constants.signals[signalName]))
    })
  })
}

/** Windows looks for programs, and cannot run a batch file without its shell, by which npm is started too. */
function windowsStart(name: string, words: readonly string[], options: RunCommandOptions) {
  const { env, cwd, platform } = options
  const file = hasFolder(name, options)
    ? programNames(name, env, platform)
        .map((candidate) => path.resolve(cwd, candidate))
        .find((candidate) => isProgram(candidate, true))
    : findProgram(name, env, platform)
  if (file === undefined) throw notFound(name, options)
  if (!isBatchFile(file)) return { file, words: [...words], verbatim: false }
  const shell = Object.entries(env).find(([key]) => key.toUpperCase() === 'COMSPEC')?.[1]
  return { file: shell || 'cmd.exe', words: batchArguments(file, words), verbatim: true }
}

function startError(error: unknown, name: string, place: Place): OllamaConfigError {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  // A file that is there and is not found is a script whose interpreter is not.
  if (code === 'ENOENT' && !(hasFolder(name, place) && isProgram(path.resolve(place.cwd, name), false)))
    return notFound(name, place, error)
  const message = error instanceof Error ? error.message : 'the system says nothing more'
  const [problem, hint] =
    code === 'EACCES'
      ? ['it is not executable', `make it so, as by chmod +x, or name the program that runs it`]
      : code === 'ENOENT'
        ? ['the interpreter that its first line names is not there', 'look at its first line']
        : [message, isNotPermitted(error) ? toErrorData(error).hint : undefined]
  return new OllamaConfigError('command-not-run', `${quoted(name)} cannot be run: ${problem}`, { hint, cause: error })
}

function notFound(name: string, place: Place, cause?: unknown): OllamaConfigError {
  const isPath = hasFolder(name, place)
  return new OllamaConfigError('command-not-found', `There is no program ${quoted(name)}${isPath ? '' : ' on PATH'}`, {
    hint: /\s/.test(name)
      ? 'give its words one by one, without quotes around all of them; a line for a shell goes into sh -c "…"'
      : isPath
        ? `check the path: it leads to ${quotedPath(path.resolve(place.cwd, name))}`
        : `check the name; one of the project's dependencies is run as in npx ${name || 'NAME'}`,
    cause,
  })
}

/** Then it is a path, and PATH has no part in it. */
function hasFolder(name: string, { platform }: Place): boolean {
  return name.includes('/') || (platform === 'win32' && name.includes('\\'))
}
