/** Where tsx keeps what it compiled, and that it does without where that is no place to keep it. */
import { lstatSync, mkdirSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'

const variable = 'TSX_DISABLE_CACHE'

/** Runs `importTsx`, which is when tsx reads the variable; what the config and its programs find in the environment stays as it was. */
export async function withCache<T>(importTsx: () => Promise<T>): Promise<T> {
  const { env } = process
  if (env[variable] !== undefined || isUsable()) return importTsx()
  env[variable] = '1'
  try {
    return await importTsx()
  } finally {
    delete env[variable]
  }
}

/** tsx fails where it cannot make its folder, and runs what it finds there: in a temporary folder of everybody another user may have made it. */
function isUsable(): boolean {
  const user = process.geteuid?.()
  try {
    const folder = join(tmpdir(), `tsx-${user ?? userInfo().username}`)
    const found = lstatSync(folder, { throwIfNoEntry: false })
    if (found !== undefined)
      return found.isDirectory() && (user === undefined || (found.uid === user && (found.mode & 0o002) === 0))
    mkdirSync(folder, { mode: 0o700 })
    return true
  } catch {
    return false
  }
}
