/** A yes-or-no question on the terminal. */
import { sleep } from '../runtime/sleep.ts'
import { type Context, columnsOf } from './context.ts'
import { fold } from './views/text.ts'

/**
 * Asks on stderr and reads one line. Anything but `y` or `yes` is a no, and so is the end of the input.
 *
 * @throws `signal.reason` when interrupted at the question
 */
export async function confirm(
  question: string,
  { stdin, stderr, signal }: Pick<Context, 'stdin' | 'stderr' | 'signal'>,
): Promise<boolean> {
  signal.throwIfAborted()
  // With room for the answer.
  const columns = columnsOf(stderr)
  const text = `${fold(`${question} [y/N]`, columns && columns - 2)} `
  if (!(await forgetTyped(stdin, signal))) {
    stderr.write(`${text}\n`)
    return false
  }
  // Not imported: most commands ask nothing.
  const { createInterface } = process.getBuiltinModule('node:readline')
  // Without `terminal` readline leaves the line editing to the terminal, and Ctrl-C remains a signal to the process.
  const lines = createInterface({ input: stdin, terminal: false })
  let onAbort = () => {}
  try {
    const answer = await new Promise<string | undefined>((resolve, reject) => {
      onAbort = () => {
        stderr.write('\n')
        reject(signal.reason)
      }
      signal.addEventListener('abort', onAbort)
      lines.once('line', resolve)
      lines.once('close', () => resolve(undefined))
      stderr.write(text)
    })
    if (answer === undefined) stderr.write('\n')
    return /^\s*y(es)?\s*$/i.test(answer ?? '')
  } finally {
    signal.removeEventListener('abort', onAbort)
    lines.close()
  }
}

/** Long enough for what the terminal holds to arrive, too short to notice. */
const drainMs = 100

/** What was typed, or pasted, before a question is no answer to it. False when the input came to its end meanwhile. */
async function forgetTyped(stdin: Context['stdin'], signal: AbortSignal): Promise<boolean> {
  let open = true
  const ignore = () => {}
  const onEnd = () => {
    open = false
  }
  stdin.on('data', ignore).on('end', onEnd).on('close', onEnd)
  stdin.resume()
  try {
    await sleep(drainMs, signal)
  } finally {
    stdin.off('data', ignore).off('end', onEnd).off('close', onEnd)
    stdin.pause()
  }
  return open
}
