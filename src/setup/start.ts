/** How a server is started here: by its service manager where it is a service, else as a process of its own. Pure. */
import type { Machine } from './methods.ts'

export interface StartWay {
  readonly kind: 'serve' | 'systemd'
  /** To be typed. */
  readonly command: string
  /** It is not for this user to do. */
  readonly needsRoot: boolean
}

export interface StartFacts {
  readonly machine: Machine
  /** Whether there is a systemd unit that listens at the address that is wanted. */
  readonly hasUnit: boolean
  /** OLLAMA_HOST that the server needs; `undefined` where the environment says it already. */
  readonly listen: string | undefined
}

/** By the service where there is one: as another user the server would keep its models elsewhere. */
export function startWay({ machine, hasUnit, listen }: StartFacts): StartWay {
  if (hasUnit) {
    const command = 'systemctl start ollama'
    return { kind: 'systemd', command: machine.isRoot ? command : `sudo ${command}`, needsRoot: !machine.isRoot }
  }
  const { platform } = machine
  const set =
    listen === undefined ? '' : platform === 'win32' ? `set OLLAMA_HOST=${listen}&& ` : `OLLAMA_HOST=${listen} `
  return { kind: 'serve', command: `${set}ollama serve`, needsRoot: false }
}

/** For a server that shall be there after the next start of the machine too; `undefined` where nothing more is needed. */
export function stayCommand({ platform, has }: Machine, way: StartWay): string | undefined {
  return way.kind === 'serve' && platform === 'darwin' && has('brew') ? 'brew services start ollama' : undefined
}
