/** Whose process answers at a port and with which environment it was started; what cannot be told is not guessed. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { readServerEnvironment } from '../../src/doctor/server-environment.ts'
import { findServerProcess } from '../../src/doctor/server-process.ts'
import { readService, splitWords } from '../../src/doctor/service.ts'
import { posixOnly, standInPrograms } from '../support/programs.ts'
import { tempFolder } from '../support/run-cli.ts'

const port = 11434
const hex = '2CAA'
const own = process.getuid?.() ?? 0

interface FakeProcess {
  readonly command: string
  /** Left out: they cannot be seen. */
  readonly sockets?: readonly number[]
  readonly environment?: Readonly<Record<string, string>>
}

/** A folder like /proc: who listens, as `uid inode`, and processes by their number. */
function fakeProc(t: TestContext, listeners: readonly string[], processes: Readonly<Record<number, FakeProcess>>) {
  const proc = tempFolder(t)
  mkdirSync(path.join(proc, 'net'))
  const row = (address: string, state: string, uid: string, inode: string) =>
    `   0: ${address} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000 ${uid}        0 ${inode} 1 0 100 0 0 10 0`
  const rows = listeners.map((text) => row(`0100007F:${hex}`, '0A', ...(text.split(' ') as [string, string])))
  // A connection to it, and another port.
  rows.push(row(`0100007F:${hex}`, '01', '7', '70'), row('0100007F:0050', '0A', '0', '80'))
  writeFileSync(path.join(proc, 'net', 'tcp'), `  sl  local_address …\n${rows.join('\n')}\n`)
  for (const [pid, { command, sockets, environment }] of Object.entries(processes)) {
    const folder = path.join(proc, pid)
    mkdirSync(folder)
    writeFileSync(path.join(folder, 'cmdline'), command.replaceAll(' ', '\0'))
    if (environment !== undefined) {
      const pairs = Object.entries(environment).map(([name, value]) => `${name}=${value}\0`)
      writeFileSync(path.join(folder, 'environ'), pairs.join(''))
    }
    if (sockets === undefined) continue
    mkdirSync(path.join(folder, 'fd'))
    for (const inode of sockets) symlinkSync(`socket:[${inode}]`, path.join(folder, 'fd', String(inode)))
  }
  return proc
}

test('the process that has the listening socket is the one, whatever else runs', posixOnly, async (t) => {
  const environment = { HOME: '/home/ada', HTTPS_PROXY: 'http://p:1', ODD: 'a=b' }
  const proc = fakeProc(t, ['1000 42'], {
    11: { command: '/usr/local/bin/ollama serve', sockets: [41], environment: { HOME: '/other' } },
    12: { command: '/usr/local/bin/ollama serve', sockets: [1, 42], environment },
    13: { command: '/usr/local/bin/ollama runner --port 1', sockets: [42] },
  })
  const found = await findServerProcess(port, proc)
  assert.deepEqual([found?.pid, found?.environment], [12, environment])
  assert.equal(await findServerProcess(port + 1, proc), undefined)
})

test(
  'of another user the socket is not seen: the only one of that user is taken, without its environment',
  posixOnly,
  async (t) => {
    const hidden = { command: 'ollama serve' }
    const found = await findServerProcess(port, fakeProc(t, [`${own} 42`], { 12: hidden }))
    assert.deepEqual(found, { pid: 12, uid: own, environment: null })
    // Two of them, or one of another user: nobody knows.
    assert.equal(await findServerProcess(port, fakeProc(t, [`${own} 42`], { 12: hidden, 13: hidden })), undefined)
    assert.equal(await findServerProcess(port, fakeProc(t, [`${own + 1} 42`], { 12: hidden })), undefined)
  },
)

test('what passes a port on, as Docker does, is not taken for the server behind it', posixOnly, async (t) => {
  const proc = fakeProc(t, ['0 42'], {
    11: { command: '/usr/bin/docker-proxy -proto tcp', sockets: [42], environment: { HTTPS_PROXY: 'http://wrong:1' } },
    12: { command: '/bin/ollama serve', sockets: [77], environment: { HTTPS_PROXY: 'http://inside:1' } },
  })
  assert.equal(await findServerProcess(port, proc), undefined)
  const environment = await readServerEnvironment({ env: {}, platform: 'linux', port, proc })
  assert.deepEqual([environment.source, environment.complete, environment.values], ['unknown', false, {}])
  assert.match(environment.reason, /may run in a container/)
})

test('the environment of a real process is read, and only what is asked for is kept', {
  skip: process.platform !== 'linux' || 'Deno' in globalThis ? 'needs /proc, and Node as a server' : false,
}, async (t) => {
  const folder = tempFolder(t, {
    serve: "const s = require('node:net').createServer().listen(0, '127.0.0.1', () => console.log(s.address().port))\n",
  })
  // A process is known by its name: Node by another one, which runs the file "serve".
  symlinkSync(process.execPath, path.join(folder, 'ollama'))
  const env = { HOME: folder, OLLAMA_NOPRUNE: '1', HTTPS_PROXY: 'http://p:1', SECRET: 'not for us' }
  const child = spawn(path.join(folder, 'ollama'), ['serve'], {
    cwd: folder,
    // Where coverage is measured, Node adds its variable to what it is given.
    env: { ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(() => child.kill('SIGKILL'))
  const [line] = await new Promise<readonly string[]>((resolve) =>
    child.stdout.once('data', (data) => resolve([String(data)])),
  )
  const found = await readServerEnvironment({ env: {}, platform: 'linux', port: Number(line) })
  const { SECRET: _, ...kept } = env
  const { NODE_V8_COVERAGE: __, ...values } = found.values
  assert.deepEqual([values, found.source, found.complete, found.own], [kept, 'process', true, true])
})

const unit = (environment: string, more = '') =>
  `cat <<'EOF'\nLoadState=loaded\nActiveState=active\nMainPID=12\nEnvironment=${environment}\n${more}\nEOF`

test('what the process hides, its systemd unit tells', posixOnly, async (t) => {
  const folder = tempFolder(t, { 'ollama.env': '# comment\nHTTPS_PROXY="http://p:1"\n' })
  const programs = standInPrograms(folder)
  const options = {
    env: { PATH: programs.path },
    platform: 'linux',
    port,
    proc: fakeProc(t, [`${own} 42`], { 12: { command: 'ollama serve' } }),
  }
  programs.add('systemctl', unit('PATH=/usr/bin "OLLAMA_MODELS=/srv/my models" OLLAMA_NOPRUNE=1'))
  const known = await readServerEnvironment(options)
  assert.deepEqual(known.values, { OLLAMA_MODELS: '/srv/my models', OLLAMA_NOPRUNE: '1' })
  assert.deepEqual([known.source, known.complete, known.manager], ['systemd', true, 'systemd'])

  const file = path.join(folder, 'ollama.env')
  programs.add('systemctl', unit('A=1', `EnvironmentFiles=${file} (ignore_errors=no)`))
  assert.deepEqual((await readServerEnvironment(options)).values, { HTTPS_PROXY: 'http://p:1' })
  // One that cannot be read may set anything.
  programs.add('systemctl', unit('A=1', `EnvironmentFiles=${file}.gone (ignore_errors=yes)`))
  assert.equal((await readServerEnvironment(options)).complete, false)
  // Another process than that of the unit answers at this port.
  programs.add('systemctl', unit('OLLAMA_NOPRUNE=1').replace('MainPID=12', 'MainPID=13'))
  assert.deepEqual((await readServerEnvironment(options)).values, {})
  // There is no such unit, or it does not run.
  for (const [from, to] of [
    ['loaded', 'not-found'],
    ['active', 'inactive'],
  ] as const) {
    programs.add('systemctl', unit('OLLAMA_NOPRUNE=1').replace(`=${from}`, `=${to}`))
    assert.equal((await readServerEnvironment(options)).source, 'unknown')
  }
  programs.add('systemctl', 'echo "Failed to connect to bus" >&2; exit 1')
  assert.equal((await readServerEnvironment(options)).source, 'unknown')
})

test('words of a unit are separated as systemd does it', () => {
  const cases: readonly [string, readonly string[]][] = [
    ['A=1 B=2', ['A=1', 'B=2']],
    ['"A=a b"  C=d', ['A=a b', 'C=d']],
    ['A="a b"', ['A=a b']],
    ['"A=say \\"hi\\""', ['A=say "hi"']],
    ["A='x y' B=", ['A=x y', 'B=']],
    ['', []],
  ]
  for (const [text, words] of cases) assert.deepEqual(splitWords(text), words, text)
})

test('launchd tells what is set for apps; what is not there may be set elsewhere', posixOnly, async (t) => {
  const programs = standInPrograms(tempFolder(t))
  programs.add('launchctl', 'if [ "$2" = OLLAMA_NOPRUNE ]; then echo 1; fi')
  const options = { env: { PATH: programs.path }, platform: 'darwin', names: ['OLLAMA_NOPRUNE', 'HTTPS_PROXY'] }
  assert.deepEqual(await readService(options), {
    manager: 'launchd',
    active: null,
    pid: null,
    environment: { OLLAMA_NOPRUNE: '1' },
    complete: false,
  })
})
