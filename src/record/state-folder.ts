/** Where a program may keep what it wants to remember about a user's machines. Pure. */
import path from 'node:path'

type Environment = Readonly<Record<string, string | undefined>>

/** By the XDG specification, which counts an absolute path only; else where the platform expects it. */
export function stateFolder(env: Environment, platform: string, home: string): string {
  const xdg = env['XDG_STATE_HOME'] ?? ''
  if (path.isAbsolute(xdg)) return path.join(xdg, 'ollama-config')
  const local = env['LOCALAPPDATA'] ?? ''
  if (platform === 'win32' && path.isAbsolute(local)) return path.join(local, 'ollama-config')
  if (platform === 'darwin') return path.join(home, 'Library', 'Application Support', 'ollama-config')
  return path.join(home, '.local', 'state', 'ollama-config')
}
