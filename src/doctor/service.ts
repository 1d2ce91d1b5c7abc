/** The environment that a service manager gives the server: of systemd its unit, of launchd what it gives every app. */
import { readFile } from 'node:fs/promises'
import { findProgram } from '../runtime/find-program.ts'
import { outputOf } from '../runtime/run-program.ts'

type Environment = Readonly<Record<string, string | undefined>>

export interface Service {
  readonly manager: 'systemd' | 'launchd'
  /** Whether a server runs as this service; `null` when it cannot be told. */
  readonly active: boolean | null
  /** Its process; `null` when it cannot be told. */
  readonly pid: number | null
  readonly environment: Readonly<Record<string, string>>
  /** Whether what is not in `environment` is not set. */
  readonly complete: boolean
}

export interface ServiceOptions {
  readonly env: Environment
  readonly platform: string
  /** Whose values are asked, where each is asked by itself. */
  readonly names: readonly string[]
  readonly signal?: AbortSignal | undefined
}

const timeoutMs = 700

/** `undefined` when there is no such service, or its manager does not answer. */
export async function readService(options: ServiceOptions): Promise<Service | undefined> {
  if (options.platform === 'linux') return readUnit(options)
  return options.platform === 'darwin' ? readLaunchd(options) : undefined
}

const properties = 'LoadState,ActiveState,MainPID,Environment,EnvironmentFiles'

async function readUnit({ env, platform, signal }: ServiceOptions): Promise<Service | undefined> {
  const systemctl = findProgram('systemctl', env, platform)
  if (systemctl === undefined) return undefined
  const words = ['show', 'ollama.service', `--property=${properties}`]
  const text = await outputOf(systemctl, words, { env, timeoutMs, signal })
  if (text === undefined) return undefined
  const values = (name: string) =>
    text.split('\n').flatMap((line) => (line.startsWith(`${name}=`) ? [line.slice(name.length + 1)] : []))
  if (values('LoadState')[0] !== 'loaded') return undefined
  const files = values('EnvironmentFiles').map((value) => value.replace(/ \(ignore_errors=\w+\)$/, ''))
  const read = await Promise.all(files.map((file) => readFile(file, 'utf8').catch(() => undefined)))
  const lines = [
    ...values('Environment').flatMap(splitWords),
    // Its quotes are those of systemd.
    ...read.flatMap((file) => file?.split('\n').filter((line) => !/^\s*[#;]/.test(line)) ?? []).flatMap(splitWords),
  ]
  const pid = Number(values('MainPID')[0])
  return {
    manager: 'systemd',
    active: values('ActiveState')[0] === 'active',
    pid: Number.isSafeInteger(pid) && pid > 0 ? pid : null,
    environment: assignments(lines),
    complete: read.every((file) => file !== undefined),
  }
}

/** As systemd prints and reads them: separated by spaces, with quotes around a word that has some in it. */
export function splitWords(text: string): readonly string[] {
  return [...text.matchAll(/(?:"(?:\\.|[^"\\])*"|'[^']*'|\\.|[^\s"'\\])+/g)].map(([word]) =>
    word.replace(
      /"((?:\\.|[^"\\])*)"|'([^']*)'|\\(.)/g,
      (_, double: string | undefined, single: string | undefined, escaped: string | undefined) =>
        double?.replace(/\\(.)/g, '$1') ?? single ?? escaped ?? '',
    ),
  )
}

function assignments(words: readonly string[]): Readonly<Record<string, string>> {
  const pairs = words.filter((word) => /^[A-Za-z_]\w*=/.test(word))
  return Object.fromEntries(pairs.map((word) => [word.slice(0, word.indexOf('=')), word.slice(word.indexOf('=') + 1)]))
}

/** What apps get. A server that a terminal or Homebrew started has more. */
async function readLaunchd({ env, platform, names, signal }: ServiceOptions): Promise<Service | undefined> {
  const launchctl = findProgram('launchctl', env, platform)
  if (launchctl === undefined) return undefined
  const values = await Promise.all(
    names.map(async (name) => {
      const text = await outputOf(launchctl, ['getenv', name], { env, timeoutMs, signal })
      return [name, text?.trim() ?? ''] as const
    }),
  )
  const environment = Object.fromEntries(values.filter(([, value]) => value !== ''))
  return { manager: 'launchd', active: null, pid: null, environment, complete: false }
}
