/** Whether a signal reaches the programs that we started by itself. */
import { closeSync, openSync, readFileSync } from 'node:fs'

/**
 * Ctrl-C, and the end of a terminal, are sent by the system to every process in the terminal's foreground: what we run has got the signal
 * already. Anybody else names one process, and what that one runs hears nothing.
 *
 * No signal tells its sender in JavaScript, so the place decides: in a terminal's foreground it counts as the terminal's.
 */
export function isSentToGroup(name: NodeJS.Signals, platform: string): boolean {
  // Windows has no signals: Ctrl-C and the closing of a window go to every process of the console, and `kill` ends a process at once.
  if (platform === 'win32') return true
  return /^SIG(INT|QUIT|HUP)$/.test(name) && (isInForeground() ?? hasTerminal())
}

/** `undefined` where the system does not tell it as Linux does. */
function isInForeground(): boolean | undefined {
  let text: string
  try {
    text = readFileSync('/proc/self/stat', 'utf8')
  } catch {
    return undefined
  }
  // proc(5): after the name, which may hold anything, come state, parent, group, session, terminal, and the group in its foreground.
  const [, , group, , terminal, foreground] = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return terminal !== '0' && group === foreground
}

function hasTerminal(): boolean {
  try {
    // Only a process that has a terminal can open this.
    closeSync(openSync('/dev/tty', 'r'))
    return true
  } catch {
    return false
  }
}
