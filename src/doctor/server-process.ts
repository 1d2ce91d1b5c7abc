/** Finds the process of a server on this machine, and with which environment it was started: on Linux, in /proc. */
import { readdir, readFile, readlink, stat } from 'node:fs/promises'
import path from 'node:path'

export interface ServerProcess {
  readonly pid: number
  /** `null` when it cannot be told. */
  readonly uid: number | null
  /** `null` when this user may not read it. */
  readonly environment: Readonly<Record<string, string>> | null
}

interface Listener {
  readonly inode: string
  readonly uid: number
}

/**
 * The `ollama serve` that listens on this port. Where that cannot be told for sure, as of a server in a container whose port Docker
 * passes on, there is none.
 *
 * @param proc Default: `/proc`
 */
export async function findServerProcess(port: number, proc = '/proc'): Promise<ServerProcess | undefined> {
  const listeners = await listenersOn(port, proc)
  if (listeners.length === 0) return undefined
  const likely: ServerProcess[] = []
  for (const pid of await readdir(proc).catch(() => [])) {
    if (!/^\d+$/.test(pid) || !(await isServer(path.join(proc, pid)))) continue
    const folder = path.join(proc, pid)
    const sockets = await socketsOf(folder)
    const uid = await stat(folder).then(
      (found) => found.uid,
      () => null,
    )
    const found = { pid: Number(pid), uid, environment: await environmentOf(folder) }
    if (sockets?.some((inode) => listeners.some((listener) => listener.inode === inode))) return found
    if (sockets === undefined && listeners.some((listener) => listener.uid === uid)) likely.push(found)
  }
  return likely.length === 1 ? likely[0] : undefined
}

/** Sockets that wait for connections, of all users. */
async function listenersOn(port: number, proc: string): Promise<readonly Listener[]> {
  const tables = await Promise.all(
    ['tcp', 'tcp6'].map((name) => readFile(path.join(proc, 'net', name), 'utf8').catch(() => '')),
  )
  return tables.flatMap((table) =>
    table.split('\n').flatMap((line) => {
      const [, local = '', , state, , , , uid, , inode] = line.trim().split(/\s+/)
      // 0A: listening.
      const matches = state === '0A' && Number.parseInt(local.split(':')[1] ?? '', 16) === port
      return matches && inode !== undefined ? [{ inode, uid: Number(uid) }] : []
    }),
  )
}

async function isServer(folder: string): Promise<boolean> {
  const line = await readFile(path.join(folder, 'cmdline'), 'utf8').catch(() => '')
  const [program = '', command] = line.split('\0')
  return path.basename(program).startsWith('ollama') && command === 'serve'
}

/** Inodes; `undefined` when they cannot be seen. */
async function socketsOf(folder: string): Promise<readonly string[] | undefined> {
  const names = await readdir(path.join(folder, 'fd')).catch(() => undefined)
  if (names === undefined) return undefined
  const targets = await Promise.all(names.map((name) => readlink(path.join(folder, 'fd', name)).catch(() => '')))
  return targets.flatMap((target) => /^socket:\[(\d+)\]$/.exec(target)?.[1] ?? [])
}

async function environmentOf(folder: string): Promise<Readonly<Record<string, string>> | null> {
  const text = await readFile(path.join(folder, 'environ'), 'utf8').catch(() => undefined)
  if (text === undefined) return null
  const pairs = text.split('\0').filter((line) => line.includes('='))
  return Object.fromEntries(pairs.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]))
}
