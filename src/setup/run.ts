/** Runs a command that talks to whoever sits there: it has the terminal. */

type Environment = Readonly<Record<string, string | undefined>>

/**
 * Its exit code; `null` when a signal ended it, or it could not be run.
 *
 * @throws `signal.reason`, once it has ended
 */
export async function runInTerminal(
  file: string,
  words: readonly string[],
  { env, signal }: { readonly env: Environment; readonly signal?: AbortSignal | undefined },
): Promise<number | null> {
  signal?.throwIfAborted()
  const { spawn } = process.getBuiltinModule('node:child_process')
  const child = spawn(file, [...words], { env: { ...env }, stdio: 'inherit' })
  // Ctrl-C reaches it by itself; other signals do not.
  const onAbort = () => void child.kill('SIGTERM')
  signal?.addEventListener('abort', onAbort, { once: true })
  const code = await new Promise<number | null>((resolve) => {
    child.on('error', () => resolve(null))
    child.on('exit', (value) => resolve(value))
  })
  signal?.removeEventListener('abort', onAbort)
  signal?.throwIfAborted()
  return code
}
