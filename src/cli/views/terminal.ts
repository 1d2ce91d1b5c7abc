/** Decides, from facts alone, what may be written to which stream. Pure. */

/** The parts of the process it looks at; the CLI's `Context` is one. */
export interface TerminalFacts {
  readonly stdin: { readonly isTTY?: boolean | undefined }
  readonly stdout: { readonly isTTY?: boolean | undefined }
  readonly stderr: { readonly isTTY?: boolean | undefined; readonly columns?: number | undefined }
  readonly env: Readonly<Record<string, string | undefined>>
  /** `process.platform`. */
  readonly platform: string
}

export interface TerminalFlags {
  readonly 'no-color'?: boolean | undefined
  /** For screen readers and what else reads lines. */
  readonly plain?: boolean | undefined
}

export interface Terminal {
  /** Somebody is there to be asked: stdin and stderr are terminals. */
  readonly interactive: boolean
  readonly stdoutColor: boolean
  readonly stderrColor: boolean
  /** The task tree on stderr; else plain lines. */
  readonly animate: boolean
  /** Figures such as ✔ and █; else ASCII. */
  readonly unicode: boolean
  /** Words instead of signs. Then nothing is coloured, drawn over or other than ASCII. */
  readonly plain: boolean
}

/** Below this even a model's name has no room in the tree. */
const minColumns = 20

export function describeTerminal(facts: TerminalFacts, flags: TerminalFlags = {}): Terminal {
  const { stdout, stderr, env } = facts
  const dumb = env['TERM'] === 'dumb'
  const plain = flags.plain === true
  const forced = colorWish(env, flags)
  const color = (stream: { readonly isTTY?: boolean | undefined }) => forced ?? (stream.isTTY === true && !dumb)
  return {
    interactive: stderr.isTTY === true && facts.stdin.isTTY === true,
    stdoutColor: color(stdout),
    stderrColor: color(stderr),
    // A pseudo terminal without a size (`script`, some CI) says 0 columns.
    animate: !plain && stderr.isTTY === true && (stderr.columns ?? 0) >= minColumns && !dumb && !isSet(env['CI']),
    unicode: !plain && !dumb && supportsUnicode(facts),
    plain,
  }
}

/** What the user asked for, by flag or environment; `null` when it is left to the stream. */
function colorWish(env: TerminalFacts['env'], flags: TerminalFlags): boolean | null {
  if (flags['no-color'] || flags.plain) return false
  if (env['NO_COLOR']) return false // no-color.org: any text but the empty one
  const force = env['FORCE_COLOR']
  return force ? isSet(force) : null
}

function supportsUnicode({ env, platform }: TerminalFacts): boolean {
  if (platform === 'win32') {
    return (
      isSet(env['CI']) ||
      Boolean(env['WT_SESSION']) || // Windows Terminal
      Boolean(env['ConEmuTask']) ||
      env['TERM_PROGRAM'] === 'vscode' ||
      env['TERM'] === 'xterm-256color' ||
      env['TERM'] === 'alacritty'
    )
  }
  if (env['TERM'] === 'linux') return false // the console's font has no braille
  // The first that is set decides (POSIX). None set, as in containers: nearly every terminal reads UTF-8.
  const locale = env['LC_ALL'] || env['LC_CTYPE'] || env['LANG']
  return locale ? /utf-?8/i.test(locale) : true
}

/** `CI=false` and `FORCE_COLOR=0` are meant as written. */
function isSet(value: string | undefined): boolean {
  return value !== undefined && value !== '' && value !== '0' && value !== 'false'
}
