/** Which command installs Ollama on which machine, as plain facts: nothing is looked up and nothing is run. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Machine, methodsFor } from '../../src/setup/methods.ts'
import { startWay, stayCommand } from '../../src/setup/start.ts'

const machine = (platform: string, programs: readonly string[], more: Partial<Machine> = {}): Machine => ({
  platform,
  isRoot: false,
  has: (name) => programs.includes(name),
  hasSystemd: false,
  ownsLocalBin: false,
  ...more,
})

const script = 'curl -fsSL https://ollama.com/install.sh | sh'
const docker = 'docker run -d -v ollama:/root/.ollama -p 11434:11434 --name ollama ollama/ollama'

test('the command is that of its makers, and the first fits best', () => {
  const everything = ['pacman', 'curl', 'brew', 'docker', 'winget', 'powershell']
  const cases: readonly [platform: string, programs: readonly string[], commands: readonly string[]][] = [
    ['linux', everything, ['pacman -S ollama', script, 'brew install ollama', docker]],
    ['linux', ['curl', 'apt'], [script]],
    ['linux', ['docker'], [docker]],
    ['linux', ['apt', 'winget'], []],
    ['darwin', everything, ['brew install ollama', script, docker]],
    ['darwin', ['curl'], [script]],
    [
      'win32',
      everything,
      ['winget install --id Ollama.Ollama --exact', 'irm https://ollama.com/install.ps1 | iex', docker],
    ],
    ['win32', ['powershell'], ['irm https://ollama.com/install.ps1 | iex']],
    ['freebsd', ['curl'], []],
  ]
  for (const [platform, programs, commands] of cases)
    assert.deepEqual(
      methodsFor(machine(platform, programs)).map(({ command }) => command),
      commands,
      `${platform}: ${programs.join(' ')}`,
    )
})

test('what needs root is told, with sudo where it is typed, and never in what is run', () => {
  const cases: readonly [Machine, needsRoot: boolean, rootCommand: string][] = [
    [machine('linux', ['curl']), true, 'curl -fsSL https://ollama.com/install.sh | sudo sh'],
    [machine('linux', ['curl'], { isRoot: true }), false, ''],
    [machine('linux', ['pacman']), true, 'sudo pacman -S ollama'],
    [machine('linux', ['pacman'], { isRoot: true }), false, ''],
    [machine('linux', ['brew']), false, ''],
    // The script asks for a password itself where it may not write.
    [machine('darwin', ['curl']), true, script],
    [machine('darwin', ['curl'], { ownsLocalBin: true }), false, ''],
    [machine('win32', ['winget']), false, ''],
  ]
  for (const [on, needsRoot, rootCommand] of cases) {
    const [method] = methodsFor(on)
    assert.equal(method?.needsRoot, needsRoot)
    if (needsRoot) assert.equal(method?.rootCommand, rootCommand)
    assert.doesNotMatch(method?.run.join(' ') ?? 'sudo', /sudo/)
  }
})

test('a server is started by its service manager where it is a service, else by itself', () => {
  const linux = machine('linux', [])
  const start = (hasUnit: boolean, on = linux, listen?: string) => startWay({ machine: on, hasUnit, listen })
  assert.deepEqual(start(false), { kind: 'serve', command: 'ollama serve', needsRoot: false })
  assert.equal(start(false, linux, '127.0.0.1:11500').command, 'OLLAMA_HOST=127.0.0.1:11500 ollama serve')
  assert.deepEqual(start(true), { kind: 'systemd', command: 'sudo systemctl start ollama', needsRoot: true })
  const root = machine('linux', [], { isRoot: true })
  assert.deepEqual(start(true, root), { kind: 'systemd', command: 'systemctl start ollama', needsRoot: false })
  const mac = machine('darwin', ['brew'])
  assert.equal(stayCommand(mac, start(false, mac)), 'brew services start ollama')
  assert.equal(stayCommand(linux, start(false)), undefined)
})
