/** Where a program may keep what it wants to remember about a user's machines. Pure. */
import path from 'node:path'

type Environment = Readonly<Record<string, string | undefined>>

/** By the XDG specification, which counts an absolute path only; else where the platform expects it. */
export function stateFolder(env: Environment, platform: string, home: string): string {
  const { isAbsolute, join } = platform === 'win32' ? path.win32 : path.posix
  const xdg = env['XDG_STATE_HOME'] ?? ''
  if (isAbsolute(xdg)) return join(xdg, 'ollama-config')
  const local = env['LOCALAPPDATA'] ?? ''
  if (platform === 'win32' && isAbsolute(local)) return join(local, 'ollama-config')
  if (platform === 'darwin') return join(home, 'Library', 'Application Support', 'ollama-config')
  return join(home, '.local', 'state', 'ollama-config')
}
