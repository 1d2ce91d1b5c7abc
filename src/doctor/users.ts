/** Names of users, where the system keeps them in a file. */
import { readFile } from 'node:fs/promises'

/** `user 998` for one without a name; `null` for nobody. */
export async function userName(uid: number | null, passwd = '/etc/passwd'): Promise<string | null> {
  if (uid === null) return null
  const text = await readFile(passwd, 'utf8').catch(() => '')
  const line = text.split('\n').find((entry) => entry.split(':')[2] === String(uid))
  return line?.split(':')[0] || `user ${uid}`
}
