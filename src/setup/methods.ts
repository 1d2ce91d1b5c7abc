/** The ways to install Ollama: the command of each as its makers give it, and which fits this machine. Pure. */

export type MethodName = 'pacman' | 'brew' | 'winget' | 'script' | 'docker'

export interface Method {
  readonly name: MethodName
  /** As in `installed with Homebrew`. */
  readonly title: string
  /** As its makers write it, to be typed. */
  readonly command: string
  /** What is run for it: a program on PATH and its words. */
  readonly run: readonly [program: string, ...words: string[]]
  /** It changes what belongs to root, and this user is not root: then it is not run here. */
  readonly needsRoot: boolean
  /** For somebody who is not root. */
  readonly rootCommand: string
  /** The server is started as a part of it. */
  readonly startsServer: boolean
  readonly why: string
  /** Brings a newer version. */
  readonly upgrade: string
}

export interface Machine {
  /** As `process.platform`. */
  readonly platform: string
  readonly isRoot: boolean
  /** Whether a program is on PATH. */
  readonly has: (program: string) => boolean
  /** Whether systemd runs here: then the script sets up a service. */
  readonly hasSystemd: boolean
  /** Whether this user may put links into `/usr/local/bin`. */
  readonly ownsLocalBin: boolean
}

const script = 'curl -fsSL https://ollama.com/install.sh | sh'
const windowsScript = 'irm https://ollama.com/install.ps1 | iex'
const docker = 'docker run -d -v ollama:/root/.ollama -p 11434:11434 --name ollama ollama/ollama'

/** Those that can be used here, the one to take first. */
export function methodsFor(machine: Machine): readonly Method[] {
  const { platform, has } = machine
  const all: readonly (Method | undefined)[] =
    platform === 'win32'
      ? [has('winget') ? winget : undefined, has('powershell') ? powershell : undefined]
      : platform === 'darwin'
        ? [has('brew') ? brew : undefined, has('curl') ? scriptOn(machine) : undefined]
        : platform === 'linux'
          ? [
              has('pacman') ? pacman(machine) : undefined,
              has('curl') ? scriptOn(machine) : undefined,
              has('brew') ? brew : undefined,
            ]
          : []
  return [...all, has('docker') ? dockerImage : undefined].filter((method) => method !== undefined)
}

function rootless(command: string): Pick<Method, 'command' | 'needsRoot' | 'rootCommand'> {
  return { command, needsRoot: false, rootCommand: command }
}

const brew: Method = {
  name: 'brew',
  title: 'Homebrew',
  ...rootless('brew install ollama'),
  run: ['brew', 'install', 'ollama'],
  startsServer: false,
  why: 'Homebrew is here, keeps it up to date and needs no password',
  upgrade: 'brew upgrade ollama',
}

const winget: Method = {
  name: 'winget',
  title: 'winget',
  ...rootless('winget install --id Ollama.Ollama --exact'),
  run: ['winget', 'install', '--id', 'Ollama.Ollama', '--exact'],
  startsServer: true,
  why: 'winget is here and runs the official installer',
  upgrade: 'winget upgrade --id Ollama.Ollama --exact',
}

const powershell: Method = {
  name: 'script',
  title: "Ollama's script",
  ...rootless(windowsScript),
  run: ['powershell', '-NoProfile', '-ExecutionPolicy', 'Bypass', '-Command', windowsScript],
  startsServer: true,
  why: 'it is the official way, and there is no winget here',
  upgrade: windowsScript,
}

const dockerImage: Method = {
  name: 'docker',
  title: 'Docker',
  ...rootless(docker),
  run: ['docker', ...docker.split(' ').slice(1)],
  startsServer: true,
  why: 'Docker is here; other machines can reach it, unless 127.0.0.1: stands before the port, and the models run on the CPU without its GPU options',
  upgrade: 'docker pull ollama/ollama, and make the container anew',
}

function pacman({ isRoot }: Machine): Method {
  return {
    name: 'pacman',
    title: 'pacman',
    command: 'pacman -S ollama',
    run: ['pacman', '-S', 'ollama'],
    needsRoot: !isRoot,
    rootCommand: 'sudo pacman -S ollama',
    startsServer: false,
    why: 'pacman is here, and keeps it up to date',
    upgrade: isRoot ? 'pacman -Syu ollama' : 'sudo pacman -Syu ollama',
  }
}

/** It calls sudo by itself where it needs to, so that it is not run by us then. */
function scriptOn({ platform, isRoot, hasSystemd, ownsLocalBin }: Machine): Method {
  const mac = platform === 'darwin'
  return {
    name: 'script',
    title: "Ollama's script",
    command: script,
    run: ['sh', '-c', script],
    needsRoot: !(mac ? ownsLocalBin : isRoot),
    // On macOS it installs the app of the user who runs it.
    rootCommand: mac ? script : script.replace('| sh', '| sudo sh'),
    startsServer: mac || hasSystemd,
    why: mac
      ? 'it is the official way, and there is no Homebrew here'
      : 'it is the official way where no package manager has it',
    upgrade: isRoot || mac ? script : script.replace('| sh', '| sudo sh'),
  }
}
