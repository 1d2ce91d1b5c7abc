/** How Ollama is installed and started, for people: the commands stand alone on their lines, to be copied. */
import { printable } from '../../artifact/text.ts'
import type { SetupPlan, SetupResult } from '../../runner.ts'
import { fold, padEnd } from './text.ts'

export interface SetupViewOptions {
  /** Of the terminal; where it is left out, lines may have any length. */
  readonly columns: number | undefined
  /** The command that comes after it. */
  readonly next: string
}

export function formatSetup(plan: SetupPlan, options: SetupViewOptions & { readonly runCommand: string }): string {
  const { state, address, source, program, methods, start, stay } = plan
  if (state === 'ready') return readyText({ ...plan, installed: false, started: false, logFile: null }, options)
  const { columns, runCommand } = options
  const [method, ...others] = methods
  const silent = `no server answers at ${address} (${source})`
  const title = state === 'install' ? `Ollama is not installed here, and ${silent}.` : `Ollama is here, but ${silent}.`
  const byHand = method?.needsRoot || start?.needsRoot
  const blocks = [
    [title, ...(program === null ? [] : [`Program  ${printable(program, 1000)}`])],
    method === undefined
      ? []
      : [
          `Install it with ${method.title}: ${method.why}.`,
          command(method.needsRoot ? method.rootCommand : method.command),
        ],
    start === null
      ? [
          state === 'install'
            ? 'The server is started by it.'
            : 'Its service is active, and may still be starting. Its log: journalctl -e -u ollama',
        ]
      : [
          'Start the server:',
          command(start.command),
          ...(stay === null ? [] : ['To have it started at each login:', command(stay)]),
        ],
    others.length === 0
      ? []
      : [
          'Other ways (--with NAME):',
          ...others.map(
            (other) => `  ${padEnd(other.name, 6)}  ${other.needsRoot ? other.rootCommand : other.command}`,
          ),
        ],
    [
      byHand
        ? 'This needs root: run it yourself, since ollama-config never calls sudo.'
        : `To have it done: ${runCommand}`,
    ],
  ]
  // Commands are never broken: they would not be what is to be typed.
  const lines = blocks
    .filter((block) => block.length > 0)
    .map((block) => block.map((line) => (line.startsWith('  ') ? line : fold(line, columns))).join('\n'))
  return `${lines.join('\n\n')}\n`
}

function command(text: string): string {
  return `  ${text}`
}

/** @param result With the address of its plan where nothing was to be done */
export function readyText(
  { installed, started, serverVersion, logFile }: SetupResult,
  { columns, next }: SetupViewOptions,
): string {
  const name = serverVersion === null ? 'Ollama' : `Ollama ${printable(serverVersion, 80)}`
  const done = installed
    ? 'is installed and answers'
    : started
      ? 'was started and answers'
      : 'answers already: nothing to do'
  const log = logFile === null ? [] : [`Its log: ${printable(logFile, 1000)}`]
  return fold(`${[`${name} ${done}.`, ...log, `Next: ${next}`].join('\n')}\n`, columns)
}
