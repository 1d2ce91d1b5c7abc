/** Runs a program for what it prints, never longer than it is given. */

type Environment = Readonly<Record<string, string | undefined>>

export interface RunOptions {
  readonly env: Environment
  /** It is killed then. */
  readonly timeoutMs: number
  readonly signal?: AbortSignal | undefined
}

/** More is not wanted of any. */
const maxLength = 262_144

/**
 * What it printed to stdout; `undefined` when it could not be run, failed, took too long or said too much.
 *
 * @throws `signal.reason`
 */
export async function outputOf(
  file: string,
  words: readonly string[],
  { env, timeoutMs, signal }: RunOptions,
): Promise<string | undefined> {
  signal?.throwIfAborted()
  const { spawn } = process.getBuiltinModule('node:child_process')
  const windows = process.platform === 'win32'
  const start = () =>
    spawn(file, [...words], {
      env: { ...env },
      stdio: ['ignore', 'pipe', 'ignore'] as const,
      windowsHide: true,
      // A group of its own: what it starts ends with it.
      detached: !windows,
    })
  return new Promise((resolve, reject) => {
    let child: ReturnType<typeof start>
    try {
      child = start()
    } catch {
      // Deno was not permitted to run it.
      return resolve(undefined)
    }
    let text = ''
    const end = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
      // What it started may hold the pipe open after it is gone.
      child.stdout.destroy()
    }
    const finish = (result: string | undefined) => {
      end()
      resolve(result)
    }
    const kill = () => {
      try {
        if (windows || child.pid === undefined) child.kill('SIGKILL')
        else process.kill(-child.pid, 'SIGKILL')
      } catch {
        // It has just ended.
      }
    }
    const giveUp = () => {
      kill()
      finish(undefined)
    }
    const onAbort = () => {
      kill()
      end()
      reject(signal?.reason)
    }
    const timer = setTimeout(giveUp, timeoutMs)
    signal?.addEventListener('abort', onAbort, { once: true })
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
      if (text.length > maxLength) giveUp()
    })
    child.on('error', () => finish(undefined))
    child.on('close', (code) => finish(code === 0 ? text : undefined))
  })
}
