/** Which process has a place that one may have at a time: what it writes of itself, and whether it is known to be dead. */
import { readFile, readlink } from 'node:fs/promises'
import { hostname } from 'node:os'
import { printable } from '../artifact/text.ts'
import { hasCode } from './transport-error.ts'

export interface Holder {
  /** Unique for each time that it is taken; empty when it cannot be read. */
  readonly token: string
  /** `0` when it is not known. */
  readonly pid: number
  /** Name of its machine or container. */
  readonly host: string
  /** Where the number of a process means the same; empty where that cannot be told. */
  readonly space: string
  /** Of the process, in the system's own units: numbers are used again. */
  readonly started: string
  /** What it does; may be empty. */
  readonly command: string
  /** ISO 8601. */
  readonly since: string
}

export async function describeMyself(command: string): Promise<Holder> {
  const { pid } = process
  return {
    token: crypto.randomUUID(),
    pid,
    host: hostName(),
    space: await processSpace(),
    started: (await statusOf(pid))?.started ?? '',
    command: printable(command, 200),
    since: new Date().toISOString(),
  }
}

/** Anybody may have written it. */
export function parseHolder(text: string): Holder {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    // A crash cut it off.
  }
  const fields: Partial<Record<keyof Holder, unknown>> = typeof value === 'object' && value !== null ? value : {}
  const word = (field: unknown) => (typeof field === 'string' ? printable(field, 200) : '')
  const { pid } = fields
  return {
    token: word(fields.token),
    pid: typeof pid === 'number' && Number.isSafeInteger(pid) && pid > 0 ? pid : 0,
    host: word(fields.host),
    space: word(fields.space),
    started: word(fields.started),
    command: word(fields.command),
    since: word(fields.since),
  }
}

/** `unknown` in another container, on another machine, and where neither can be told. */
export async function lifeOf({ pid, space, started }: Holder): Promise<'alive' | 'dead' | 'unknown'> {
  if (pid === 0 || space === '' || space !== (await processSpace())) return 'unknown'
  try {
    process.kill(pid, 0)
  } catch (error) {
    if (hasCode(error) && error.code === 'ESRCH') return 'dead'
    // Of another user: it lives. Deno says so too when it may not look.
  }
  const now = await statusOf(pid)
  if (now === undefined) return 'alive'
  // Dead, and its parent did not ask: in containers nobody may ever.
  if (/^[ZXx]$/.test(now.state)) return 'dead'
  return started === '' || now.started === started ? 'alive' : 'dead'
}

export function wordsFor({ pid, host, command, since }: Holder): string {
  const place = host === '' || host === hostName() ? '' : ` on ${host}`
  const who = pid === 0 ? 'another process' : `process ${pid}${place}`
  return `${who}${command === '' ? '' : ` (${command})`}${since === '' ? '' : `, since ${since}`}`
}

/** The machine since its last start and, in containers, the space of process numbers. Machines and containers may share a name. */
async function processSpace(): Promise<string> {
  if (process.platform !== 'linux') return hostName()
  const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '')
  const numbers = await readlink('/proc/self/ns/pid').catch(() => '')
  return boot === '' || numbers === '' ? '' : `${hostName()} ${boot.trim()} ${numbers}`
}

function hostName(): string {
  try {
    return printable(hostname(), 200)
  } catch {
    // Deno may not be permitted to ask.
    return ''
  }
}

/** From its line in /proc, behind the name, which may have anything in it. `undefined` where there is no /proc. */
async function statusOf(pid: number): Promise<{ readonly state: string; readonly started: string } | undefined> {
  const line = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined)
  const fields = line?.slice(line.lastIndexOf(')') + 2).split(' ')
  // Fields 3 and 22.
  return fields === undefined ? undefined : { state: fields[0] ?? '', started: fields[19] ?? '' }
}
