/** What a command may use of the process. Only `main.ts` touches the real one (and `views/tasks.ts` its exit, to show the cursor again). */
import path from 'node:path'
import { printable } from '../artifact/text.ts'
import type { ConnectOptions, Environment } from '../runner.ts'

/** The part of a writable stream that the CLI uses. */
export interface Output {
  write(text: string): unknown
  readonly isTTY?: boolean | undefined
  readonly columns?: number | undefined
  readonly rows?: number | undefined
}

export interface Context {
  /** Plan text, the final report, JSON. */
  readonly stdout: Output
  /** Tree, questions, progress, logs, errors. */
  readonly stderr: Output
  readonly stdin: NodeJS.ReadableStream & { readonly isTTY?: boolean | undefined }
  readonly env: Environment
  readonly cwd: string
  readonly platform: string
  /** Where registries are asked. Default: at their own address. */
  readonly registryUrl?: ConnectOptions['registryUrl']
  /** Before a failed pull is tried again, in milliseconds. Default: as of `applyPlan`. */
  readonly retryPauseMs?: number
  /** Milliseconds since 1970. Default: the clock of this machine. */
  readonly now?: () => number
  /** Up after the first SIGINT, SIGTERM or SIGHUP. */
  readonly signal: AbortSignal
  /** From then on these signals go to the listener instead, until the function that it returns is called. Default: they do not. */
  readonly takeSignals?: (listener: (name: NodeJS.Signals) => void) => () => void
}

/** Where lines may be broken; `undefined` for a file or a pipe. */
export function columnsOf({ isTTY, columns }: Output): number | undefined {
  return isTTY === true && columns !== undefined && columns > 20 ? columns : undefined
}

/** A path as it is shown: relative where it lies below the working directory. */
export function shownPath(file: string, { cwd }: Pick<Context, 'cwd'>): string {
  const relative = path.relative(cwd, file)
  return printable(relative.startsWith('..') ? file : relative, 1000)
}

/** `0` done or nothing to do. */
export const exitCodes = {
  done: 0,
  /** Something failed, or `check` found changes. */
  failed: 1,
  /** Changes are pending: `plan --detailed-exitcode` only. */
  pending: 2,
  /** Usage or config error, or an approval is missing. */
  usage: 3,
  /** `exec`, as in a shell: the command is there and cannot be run. */
  notRun: 126,
  /** `exec`, as in a shell: there is no such command. */
  notFound: 127,
  /** By a signal. */
  interrupted: 130,
} as const
