/** `setup` as a whole, with stand-ins for package managers, the installer and Ollama itself on PATH, and real servers on loopback. */
import assert from 'node:assert/strict'
import { chmodSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { type Machine, planSetup, type RunSetupOptions, runSetup } from '../../src/index.ts'
import { startOllamaServer } from '../support/ollama-server.ts'
import { type Programs, posixOnly, standInPrograms } from '../support/programs.ts'
import { runCli, spawnCli, tempFolder } from '../support/run-cli.ts'

/** What a stand-in for `ollama serve` does, as a module: it writes the number of its process, and listens at OLLAMA_HOST. */
const serverCode = `
import { createServer } from 'node:http'
import { writeFileSync } from 'node:fs'
const [host, port] = (process.env.OLLAMA_HOST ?? '127.0.0.1:11434').split(':')
writeFileSync(new URL('pid', import.meta.url), String(process.pid))
console.error('listening, proxy http://user:hunter2@proxy:1/ \\u001b[31m')
createServer((request, response) => {
  const answers = { '/api/version': { version: '0.33.0' }, '/api/tags': { models: [] } }
  response.end(JSON.stringify(answers[request.url] ?? {}))
}).listen(Number(port), host)
`

/** For a line of a shell. */
const runtime = 'Deno' in globalThis ? `'${process.execPath}' run --allow-all` : `'${process.execPath}'`

interface World {
  readonly cwd: string
  readonly programs: Programs
  /** Where nobody listens yet. */
  readonly host: string
  readonly env: Readonly<Record<string, string>>
  /** The script of an `ollama` that serves. */
  readonly serving: string
  /** The process of the server that was started; `undefined` when there was none. */
  pid(): number | undefined
}

async function world(t: TestContext): Promise<World> {
  // What is registered first runs first: the number is in the folder that goes.
  t.after(() => {
    const started = pid()
    if (started !== undefined && isAlive(started)) process.kill(started, 'SIGKILL')
  })
  const folder = tempFolder(t, { 'server.mjs': serverCode })
  const cwd = path.join(folder, 'project')
  mkdirSync(cwd)
  const programs = standInPrograms(folder)
  // Everything that must never be called by us.
  for (const name of ['sudo', 'doas', 'pkexec']) programs.add(name)
  const pid = () => {
    const file = path.join(folder, 'pid')
    return existsSync(file) ? Number(readFileSync(file, 'utf8')) : undefined
  }
  return {
    cwd,
    programs,
    host: `127.0.0.1:${await freePort()}`,
    env: { PATH: programs.path, HOME: cwd },
    serving: `[ "$1" = serve ] && exec ${runtime} '${folder}/server.mjs'`,
    pid,
  }
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  return typeof address === 'object' && address !== null ? address.port : 0
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    // One that ended, and whose parent did not ask, is still there.
    const stat = existsSync(`/proc/${pid}/stat`) ? readFileSync(`/proc/${pid}/stat`, 'utf8') : ''
    return !/\) Z /.test(stat)
  } catch {
    return false
  }
}

/** Looks again and again until it is so; the test's own time is the limit. */
async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 5))
}

const anywhere: Machine = {
  platform: 'darwin',
  isRoot: false,
  has: (name) => name === 'brew',
  hasSystemd: false,
  ownsLocalBin: false,
}
const optionsOf = ({ host, env }: World, more: Partial<RunSetupOptions> = {}): RunSetupOptions => ({
  host,
  env,
  machine: anywhere,
  ...more,
})

test('without --run nothing is run, whatever there is', posixOnly, async (t) => {
  const here = await world(t)
  const { programs, cwd, env, host } = here
  for (const name of ['curl', 'brew', 'pacman', 'docker', 'winget']) programs.add(name)
  const install = await runCli(['setup', '--host', host], { cwd, env })
  assert.equal(install.code, 0)
  assert.match(install.stdout, /^Ollama is not installed here, and no server answers at http:\S+ \(from --host\)\.\n/)
  const [expected, other] =
    process.platform === 'darwin' ? ['brew install ollama', 'docker'] : ['pacman -S ollama', 'script']
  assert.match(install.stdout, new RegExp(`\\n {2}(?:sudo )?${expected}\\n`))
  assert.match(install.stdout, new RegExp(`Other ways \\(--with NAME\\):\\n(?: {2}.*\\n)* {2}${other} `))
  programs.add('ollama')
  const start = await runCli(['setup', '--host', host], { cwd, env })
  assert.match(start.stdout, /^Ollama is here, but no server answers[\s\S]*\n {2}OLLAMA_HOST=\S+ ollama serve\n/)
  assert.match(start.stdout, /To have it done: ollama-config setup --run --host 127/)
  assert.deepEqual(
    programs.calls().filter((call) => !call.startsWith('systemctl show')),
    [],
  )
})

test('a server that answers is left alone', posixOnly, async (t) => {
  const { programs, cwd, env } = await world(t)
  for (const name of ['curl', 'brew', 'ollama']) programs.add(name)
  const server = await startOllamaServer({ models: ['a'] })
  t.after(() => server.close())
  const run = (...words: string[]) => runCli(['setup', '--host', server.url, ...words], { cwd, env })
  const told = (next: string) => `Ollama 0.33.0 answers already: nothing to do.\nNext: ollama-config ${next}\n`
  // Without a config there is nothing to apply, and an example knows of no host.
  assert.equal((await run()).stdout, told('init'))
  writeFileSync(path.join(cwd, 'ollama.config.json'), '{ "models": [] }')
  for (const words of [[], ['--run']]) {
    const { code, stdout } = await run(...words)
    assert.deepEqual([code, stdout], [0, told(`apply --host ${server.url}`)])
  }
  assert.deepEqual(programs.calls(), [])
})

test('--run installs what is missing, starts the server and waits until it answers', posixOnly, async (t) => {
  const here = await world(t)
  const { programs, env, host, serving, cwd } = here
  const file = path.join(programs.path, 'ollama')
  programs.add('ollama', serving)
  const text = readFileSync(file, 'utf8')
  writeFileSync(path.join(cwd, 'ollama-file'), text)
  chmodSync(file, 0o644)
  programs.add('brew', `cp '${path.join(cwd, 'ollama-file')}' '${file}'; chmod 755 '${file}'`)
  const steps: string[] = []
  const result = await runSetup(undefined, optionsOf(here, { onStep: (step) => steps.push(step) }))
  const logFile = result.logFile ?? ''
  assert.deepEqual(result, { installed: true, started: true, serverVersion: '0.33.0', logFile })
  assert.match(readFileSync(logFile, 'utf8'), /listening/)
  assert.deepEqual(programs.calls(), ['brew install ollama', 'ollama serve'])
  assert.deepEqual(steps, [
    'Running: brew install ollama',
    `Starting: OLLAMA_HOST=${host} ollama serve`,
    `Waiting for an answer at http://${host}`,
  ])
  // It goes on, and the next run finds it.
  assert.ok(isAlive(here.pid() ?? 0))
  const again = await runCli(['setup', '--run', '--host', host], { cwd, env })
  assert.match(again.stdout, /^Ollama 0\.33\.0 answers already/)
})

test('the official script runs as it is written; nothing else is', posixOnly, async (t) => {
  const here = await world(t)
  const { programs, serving, env } = here
  const file = path.join(programs.path, 'ollama')
  programs.add('ollama', serving)
  const text = readFileSync(file, 'utf8')
  writeFileSync(path.join(here.cwd, 'ollama-file'), text)
  chmodSync(file, 0o644)
  programs.add('curl', `echo "cp '${here.cwd}/ollama-file' '${file}' && chmod 755 '${file}'"`)
  const machine = { ...anywhere, platform: 'linux', isRoot: true, has: (name: string) => name === 'curl' }
  const withShell = { ...env, PATH: `${programs.path}:/usr/bin:/bin` }
  // A systemd of the machine that the test runs on is not asked.
  programs.add('systemctl', 'exit 1')
  const result = await runSetup(undefined, optionsOf(here, { machine, env: withShell }))
  assert.deepEqual([result.installed, result.serverVersion], [true, '0.33.0'])
  const calls = programs.calls().filter((call) => !call.startsWith('systemctl'))
  assert.deepEqual(calls, ['curl -fsSL https://ollama.com/install.sh', 'ollama serve'])
})

test('what needs root is not run, and the command is told', posixOnly, async (t) => {
  const here = await world(t)
  const { programs } = here
  for (const name of ['curl', 'pacman']) programs.add(name)
  const linux = (program: string): Machine => ({ ...anywhere, platform: 'linux', has: (name) => name === program })
  for (const [program, hint] of [
    ['pacman', 'run it yourself: sudo pacman -S ollama'],
    ['curl', 'run it yourself: curl -fsSL https://ollama.com/install.sh | sudo sh'],
  ] as const)
    await assert.rejects(runSetup(undefined, optionsOf(here, { machine: linux(program) })), {
      code: 'needs-root',
      hint,
    })
  // A service belongs to root as well.
  programs.add('ollama')
  programs.add(
    'systemctl',
    'printf "LoadState=loaded\\nActiveState=inactive\\nMainPID=0\\nEnvironment=OLLAMA_HOST=$LISTEN\\n"',
  )
  const service = { machine: linux('none'), env: { ...here.env, LISTEN: here.host } }
  await assert.rejects(runSetup(undefined, optionsOf(here, service)), {
    code: 'needs-root',
    hint: 'run it yourself: sudo systemctl start ollama',
  })
  // A unit for another address is none for this one.
  const elsewhere = await planSetup(undefined, optionsOf(here, { ...service, env: { ...here.env, LISTEN: ':1' } }))
  assert.equal(elsewhere.start?.kind, 'serve')
  assert.deepEqual(
    [...new Set(programs.calls().map((call) => call.split(' --')[0]))],
    ['systemctl show ollama.service'],
  )
})

test('root starts the service by its manager, and waits for it', posixOnly, async (t) => {
  const here = await world(t)
  const { programs, serving, host } = here
  programs.add('ollama', serving)
  const show = `printf "LoadState=loaded\\nActiveState=inactive\\nMainPID=0\\nEnvironment=OLLAMA_HOST=${host}\\n"`
  const start = `OLLAMA_HOST=${host} '${programs.path}/ollama' serve > /dev/null 2>&1 &`
  programs.add('systemctl', `if [ "$1" = show ]; then ${show}; else ${start} fi`.replace('& fi', '&\nfi'))
  const machine = { ...anywhere, platform: 'linux', isRoot: true }
  const result = await runSetup(undefined, optionsOf(here, { machine }))
  assert.deepEqual(result, { installed: false, started: true, serverVersion: '0.33.0', logFile: null })
  assert.ok(programs.calls().includes('systemctl start ollama'))
})

test('a service that is active is only waited for', posixOnly, async (t) => {
  const here = await world(t)
  const { programs, serving, host } = here
  programs.add('ollama', serving)
  const show = `printf "LoadState=loaded\\nActiveState=active\\nMainPID=0\\nEnvironment=OLLAMA_HOST=${host}\\n"`
  // The first who looks finds it starting.
  const server = `OLLAMA_HOST=${host} '${programs.path}/ollama' serve > /dev/null 2>&1 &`
  programs.add('systemctl', `${show}\n${server}`)
  const result = await runSetup(undefined, optionsOf(here, { machine: { ...anywhere, platform: 'linux' } }))
  assert.deepEqual(result, { installed: false, started: true, serverVersion: '0.33.0', logFile: null })
  assert.ok(programs.calls().every((call) => !call.startsWith('systemctl start')))
})

test('an installation that fails, or leaves no ollama, is told', posixOnly, async (t) => {
  const here = await world(t)
  const cases: readonly [script: string, how: string | RegExp][] = [
    ['exit 7', 'The installation ended with exit code 7: brew install ollama'],
    ['kill -KILL $$', 'The installation was ended by SIGKILL: brew install ollama'],
    ['', 'Homebrew is done, but there is no ollama on PATH'],
  ]
  for (const [script, message] of cases) {
    here.programs.add('brew', script)
    const hint = /printed.* or see https:\/\/ollama\.com\/download$/
    await assert.rejects(runSetup(undefined, optionsOf(here)), { code: 'setup-failed', message, hint })
  }
  writeFileSync(path.join(here.programs.path, 'brew'), '#!/no/such/interpreter\n')
  const both = { ...anywhere, has: (name: string) => name === 'brew' || name === 'docker' }
  await assert.rejects(runSetup(undefined, optionsOf(here, { machine: both })), {
    code: 'setup-failed',
    message: /^The installation could not be run \(.*\): brew install ollama$/,
    hint: /or take another way, as in setup --run --with docker$/,
  })
  here.programs.add('docker')
  await assert.rejects(runSetup(undefined, optionsOf(here, { machine: both, method: 'docker', timeoutMs: 1 })), {
    code: 'host-timeout',
    hint: 'wait longer with --timeout, or look at the log of the server: docker logs ollama',
  })
  const none = { ...anywhere, has: () => false }
  await assert.rejects(runSetup(undefined, optionsOf(here, { machine: none })), {
    code: 'setup-failed',
    hint: 'see https://ollama.com/download',
  })
  await assert.rejects(planSetup(undefined, optionsOf(here, { method: 'winget' })), {
    code: 'usage',
    message: /with winget here/,
    hint: 'there is brew',
  })
})

test('a server that ends at its start is told with the end of its log, without secrets', posixOnly, async (t) => {
  const here = await world(t)
  const { programs, cwd, env, host } = here
  programs.add(
    'ollama',
    'echo "proxy http://user:hunter2@proxy:1/ \\033[31mred"; echo "Error: listen: address in use" >&2; exit 1',
  )
  const { code, stderr } = await runCli(['setup', '--run', '--host', host], { cwd, env })
  assert.equal(code, 1)
  assert.match(stderr, /"ollama serve" ended with exit code 1 before it answered/)
  assert.match(stderr, /\n {2}proxy http:\/\/…@proxy:1\/ red\n {2}Error: listen: address in use\n/)
  assert.match(stderr, new RegExp(`all of its log: .*serve-${host.split(':')[1]}\\.log`))
  assert.doesNotMatch(stderr, /hunter2|\x1b/)
})

test('one that never answers is given up in time, and not left running', posixOnly, async (t) => {
  const here = await world(t)
  const { programs, cwd, env, host } = here
  programs.add('ollama', `echo "still loading"; echo $$ > '${cwd}/../pid'; exec sleep 600`)
  const { code, stderr } = await runCli(['setup', '--run', '--host', host, '--timeout', '1s'], { cwd, env })
  assert.equal(code, 1)
  assert.match(stderr, /Ollama did not answer at http:\S+ within 1 s\n\n {2}still loading\n/)
  const pid = here.pid()
  assert.ok(pid !== undefined)
  assert.ok(!isAlive(pid))
})

test('with one that does not answer ends what it started, also when it does not want to', posixOnly, async (t) => {
  const here = await world(t)
  const { programs, cwd, host } = here
  programs.add('ollama', `trap '' TERM; sleep 600 & echo $! > '${cwd}/../pid'; wait; while :; do sleep 600; done`)
  const stop = new AbortController()
  const running = runSetup(undefined, optionsOf(here, { host, signal: stop.signal }))
  await until(() => (here.pid() ?? 0) > 0)
  stop.abort(new Error('stop'))
  await assert.rejects(running, { message: 'stop' })
  await until(() => !isAlive(here.pid() ?? 0))
})

test('what a server that has ended left behind ends too', posixOnly, async (t) => {
  const here = await world(t)
  const { programs, cwd } = here
  programs.add('ollama', `sleep 600 & echo $! > '${cwd}/../pid'; printf 'Error: no GPU'; exit 1`)
  await assert.rejects(runSetup(undefined, optionsOf(here)), {
    code: 'setup-failed',
    message: '"ollama serve" ended with exit code 1 before it answered',
    details: { frame: '  Error: no GPU' },
  })
  assert.ok(!isAlive(here.pid() ?? 0))
})

test('a server that ends without a word, or was ended, is told with what to type', posixOnly, async (t) => {
  const here = await world(t)
  const hint = `run it yourself to see more: OLLAMA_HOST=${here.host} ollama serve`
  here.programs.add('ollama', 'exit 127')
  await assert.rejects(runSetup(undefined, optionsOf(here)), { code: 'setup-failed', hint, details: undefined })
  // The line is cut: what follows may have been a password.
  here.programs.add('ollama', 'printf "proxy http://user:hunt"; kill -KILL $$')
  await assert.rejects(runSetup(undefined, optionsOf(here)), { message: /was ended by SIGKILL/, hint })
  here.programs.add('ollama', 'exec sleep 600')
  await assert.rejects(runSetup(undefined, optionsOf(here, { timeoutMs: 1 })), {
    code: 'host-timeout',
    hint: `wait longer with --timeout, or ${hint}`,
  })
})

test(
  'the log of a server is its own: a second one at another port, and a link in its place, touch no other file',
  posixOnly,
  async (t) => {
    const here = await world(t)
    const { programs, cwd, env } = here
    programs.add('ollama', 'echo "for $OLLAMA_HOST"; exit 1')
    const logs = path.join(cwd, '.home/ollama-config')
    mkdirSync(logs, { recursive: true })
    writeFileSync(path.join(cwd, 'precious'), 'mine')
    const ports = [await freePort(), await freePort()]
    for (const port of ports) {
      symlinkSync(path.join(cwd, 'precious'), path.join(logs, `serve-${port}.log`))
      const { stderr } = await runCli(['setup', '--run', '--host', `127.0.0.1:${port}`], { cwd, env })
      assert.match(stderr, /ended with exit code 1/)
    }
    for (const port of ports)
      assert.equal(readFileSync(path.join(logs, `serve-${port}.log`), 'utf8'), `for 127.0.0.1:${port}\n`)
    assert.equal(readFileSync(path.join(cwd, 'precious'), 'utf8'), 'mine')
  },
)

test('Ctrl-C while it waits ends it, and the server that never answered', posixOnly, async (t) => {
  const here = await world(t)
  const { programs, cwd, env, host } = here
  programs.add('ollama', `echo $$ > '${cwd}/../pid'; exec sleep 600`)
  const { kill, done } = spawnCli(['setup', '--run', '--host', host], { cwd, env })
  await until(() => (here.pid() ?? 0) > 0)
  const pid = here.pid() ?? 0
  kill('SIGINT')
  const { code, stderr } = await done
  assert.equal(code, 130)
  assert.match(stderr, /Interrupted: run the same command again/)
  await until(() => !isAlive(pid))
})

test('Ctrl-C while it installs ends that too', posixOnly, async (t) => {
  const here = await world(t)
  here.programs.add('brew', `echo $$ > '${here.cwd}/../pid'; exec sleep 600`)
  const stop = new AbortController()
  const running = runSetup(undefined, optionsOf(here, { signal: stop.signal }))
  await until(() => (here.pid() ?? 0) > 0)
  stop.abort(new Error('stop'))
  await assert.rejects(running, { message: 'stop' })
  assert.ok(!isAlive(here.pid() ?? 0))
})

test('an installer that Ctrl-C ended before we heard of it was interrupted, and did not fail', posixOnly, async (t) => {
  const here = await world(t)
  const { programs, cwd, env, host } = here
  // The one lets itself be ended, the other takes the signal and says so as shells do.
  for (const script of ['kill -INT $$', 'exit 130']) {
    programs.add('brew', script)
    await assert.rejects(runSetup(undefined, optionsOf(here)), { code: 'interrupted', message: 'brew was interrupted' })
    const { code, stderr } = await runCli(['setup', '--run', '--with', 'brew', '--host', host], { cwd, env })
    assert.equal(code, 130)
    assert.match(stderr, /\nInterrupted: run the same command again/)
  }
})

/** Starts a process in another thread than its first, as programs in Go do. */
const threadCode = `
import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { isMainThread, Worker } from 'node:worker_threads'
if (isMainThread) new Worker(new URL(import.meta.url))
else writeFileSync(new URL('pid', import.meta.url), String(spawn('sleep', ['600']).pid))
`

test('SIGTERM while it installs ends also what the installer started', posixOnly, async (t) => {
  for (const inThread of [false, true]) {
    const here = await world(t)
    const { programs, cwd, env, host } = here
    const folder = path.dirname(cwd)
    writeFileSync(path.join(folder, 'thread.mjs'), threadCode)
    programs.add(
      'brew',
      inThread ? `${runtime} '${folder}/thread.mjs'` : `sh -c 'echo $$ > "${folder}/pid"; sleep 600' | cat`,
    )
    const { kill, done } = spawnCli(['setup', '--run', '--with', 'brew', '--host', host], { cwd, env })
    await until(() => (here.pid() ?? 0) > 0)
    kill('SIGTERM')
    assert.equal((await done).code, 130)
    await until(() => !isAlive(here.pid() ?? 0))
  }
})

test(
  'only a server of this machine is started, at a plain address, and nothing in the place of another program',
  posixOnly,
  async (t) => {
    const here = await world(t)
    const { programs } = here
    programs.add('ollama')
    programs.add('brew')
    const cases: readonly [host: string, code: string][] = [
      ['unix:///nowhere/ollama.sock', 'usage'],
      ['https://127.0.0.1:9', 'usage'],
      ['http://127.0.0.1:9/prefix', 'usage'],
      // Reserved for documentation: no host has this name.
      ['http://host.invalid:11434', 'host-unreachable'],
    ]
    for (const [host, code] of cases)
      await assert.rejects(runSetup(undefined, optionsOf(here, { host })), { code }, host)
    const web = await startOllamaServer({})
    t.after(() => web.close())
    web.fail({}, { kind: 'status', status: 404, body: '<html>' })
    await assert.rejects(runSetup(undefined, optionsOf(here, { host: web.url })), { code: 'host-not-ollama' })
    // One that cannot list its models answers all the same.
    const ailing = await startOllamaServer({ version: '0.33.0' })
    t.after(() => ailing.close())
    ailing.fail({ path: '/api/tags' }, { kind: 'status', status: 500, body: '{"error":"stat: no such file"}' })
    const plan = await planSetup(undefined, optionsOf(here, { host: ailing.url }))
    assert.deepEqual([plan.state, plan.serverVersion], ['ready', '0.33.0'])
    assert.deepEqual(programs.calls(), [])
  },
)

test('what starts a server at its own port does not start one at another', posixOnly, async (t) => {
  const here = await world(t)
  const machine = { ...anywhere, hasSystemd: true, has: (name: string) => name === 'curl' }
  const plan = await planSetup(undefined, optionsOf(here, { machine }))
  assert.deepEqual([plan.methods[0]?.name, plan.methods[0]?.startsServer], ['script', false])
  assert.match(plan.start?.command ?? '', new RegExp(`OLLAMA_HOST=${here.host} ollama serve`))
})

test('Docker gets the port that is wanted, and its server is only waited for', posixOnly, async (t) => {
  const here = await world(t)
  const { programs, serving, host, env } = here
  programs.add('hidden', serving)
  programs.add('docker', `OLLAMA_HOST=${host} '${programs.path}/hidden' serve > /dev/null 2>&1 &`)
  const machine = { ...anywhere, has: (name: string) => name === 'docker' }
  const result = await runSetup(undefined, optionsOf(here, { machine, env }))
  // A version that does not come at once is none.
  const { serverVersion: _, ...rest } = result
  assert.deepEqual(rest, { installed: true, started: true, logFile: null })
  const port = host.split(':')[1]
  assert.deepEqual(programs.calls(), [
    `docker run -d -v ollama:/root/.ollama -p ${port}:11434 --name ollama ollama/ollama`,
    'hidden serve',
  ])
})

test(
  'the config says which host, and one that does not load yet stops it only where it is asked for',
  posixOnly,
  async (t) => {
    const here = await world(t)
    const { cwd, env, host } = here
    here.programs.add('ollama')
    writeFileSync(path.join(cwd, 'ollama.config.json'), JSON.stringify({ models: [], host }))
    const found = await runCli(['setup'], { cwd, env })
    assert.match(found.stdout, new RegExp(`no server answers at http://${host} \\(from the config\\)`))
    writeFileSync(path.join(cwd, 'ollama.config.json'), '{')
    const broken = await runCli(['setup'], { cwd, env })
    assert.equal(broken.code, 0)
    assert.match(broken.stderr, /The config does not load, so that its "host" is not known/)
    assert.equal((await runCli(['setup', '--config', 'ollama.config.json'], { cwd, env })).code, 3)
    assert.equal((await runCli(['setup', '--host', host], { cwd, env })).code, 0)
    assert.equal((await runCli(['setup', '--with', 'apt'], { cwd, env })).code, 3)
    assert.equal((await runCli(['setup', '--run', '--timeout', 'soon'], { cwd, env })).code, 3)
  },
)
