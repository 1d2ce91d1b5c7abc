/** Runs a command that talks to whoever sits there: it has the terminal. */
import { constants } from 'node:os'
import path from 'node:path'
import { isOllamaConfigError, OllamaConfigError } from '../errors.ts'
import { isSentToGroup } from '../runtime/group-signals.ts'
import { signalTree } from '../runtime/process-tree.ts'
import { type Ending, startProgram } from './start-program.ts'

export interface RunInTerminalOptions {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly platform: string
  readonly signal?: AbortSignal | undefined
}

/**
 * How it ended.
 *
 * @throws `signal.reason`, once it has ended
 * @throws {OllamaConfigError} `interrupted`, when it was
 */
export async function runInTerminal(
  file: string,
  words: readonly string[],
  { env, platform, signal }: RunInTerminalOptions,
): Promise<Ending> {
  signal?.throwIfAborted()
  const { child, ended } = startProgram(file, words, { env: { ...env }, stdio: 'inherit' })
  // A pipe of a shell goes on without the shell, so that all that it started has to hear of it.
  const onAbort = () => {
    const name = signalOf(signal?.reason)
    if (child?.pid !== undefined && !(name !== undefined && isSentToGroup(name, platform)))
      signalTree(child.pid, name ?? 'SIGTERM')
  }
  signal?.addEventListener('abort', onAbort, { once: true })
  const ending = await ended
  signal?.removeEventListener('abort', onAbort)
  signal?.throwIfAborted()
  // Ctrl-C comes to both of us, and it may have heard of it first.
  if (ending.interrupted) throw new OllamaConfigError('interrupted', `${path.basename(file)} was interrupted`)
  return ending
}

/** The one that came to us; `undefined` when a program gave up. */
function signalOf(reason: unknown): NodeJS.Signals | undefined {
  const name = isOllamaConfigError(reason) ? reason.details?.['signal'] : undefined
  return Object.keys(constants.signals).find((known): known is NodeJS.Signals => known === name)
}
