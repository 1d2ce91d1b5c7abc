import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { helpText } from '../../src/cli/help.ts'
import { run } from '../../src/cli/run.ts'
import { environmentOf } from '../../src/index.ts'
import { commandWords } from '../support/built.ts'
import type { OllamaServerOptions } from '../support/ollama-server.ts'
import { runCli, type SpawnedCli, type SpawnOptions, spawnCli, startServer, tempFolder } from '../support/run-cli.ts'

const options = { timeout: 60_000 }
const posix = { ...options, skip: process.platform === 'win32' ? 'signals and modes of POSIX' : false }
/** Runs a JavaScript file. */
const runtime = [process.execPath, ...('Deno' in globalThis ? ['run', '--allow-all', '--no-prompt'] : [])]

/** What it was given goes to stdout, as JSON. */
const tell = `
let input = ''
for await (const piece of process.stdin.setEncoding('utf8')) input += piece
const { OLLAMA_HOST, OLLAMA_MODELS } = process.env
process.stdout.write(JSON.stringify({ words: process.argv.slice(2), input, cwd: process.cwd(), OLLAMA_HOST, OLLAMA_MODELS }))
process.exitCode = 7
`

/** The models that the server has then, after what stdin said. */
const list = `
let input = ''
for await (const piece of process.stdin.setEncoding('utf8')) input += piece
const { models } = await (await fetch(process.env.OLLAMA_HOST + '/api/tags')).json()
console.log(JSON.stringify([input, ...models.map(({ name }) => name).sort()]))
`

/** Counts signals until the last one, which it sends to exec when stdin says something: what exec had to send before has come then. */
const count = `
const last = process.argv[2]
const parent = process.ppid
const seen = []
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(name, () => {
  seen.push(name)
  console.log('got ' + seen.join(','))
  if (name === last) process.exit(40)
})
process.stdin.on('data', () => process.kill(process.ppid, last))
setInterval(() => process.ppid === parent || process.exit(), 1000)
console.log('ready')
`

interface Place {
  readonly cwd: string
  readonly server: Awaited<ReturnType<typeof startServer>>
  exec(words: readonly string[], options?: Partial<SpawnOptions>): SpawnedCli
}

async function place(t: TestContext, models: readonly string[], server: OllamaServerOptions): Promise<Place> {
  const started = await startServer(t, server)
  const cwd = tempFolder(t, { 'ollama.config.json': { models }, 'tell.mjs': tell, 'count.mjs': count })
  const exec: Place['exec'] = (words, { env, ...rest } = {}) => {
    const run = spawnCli(['exec', ...words], {
      cwd,
      env: { OLLAMA_HOST: started.url, ...env },
      detached: true,
      ...rest,
    })
    // Of a test that fails nothing is left behind.
    t.after(() => void (run.child.exitCode === null && run.kill('SIGKILL')))
    return run
  }
  return { cwd, server: started, exec }
}

/** `show` only reads. */
function writes({ requests }: Place['server']) {
  return requests.filter(({ method, path }) => method !== 'GET' && path !== '/api/show')
}

/** Once the command has said it. */
function said({ child }: Pick<SpawnedCli, 'child'>, text: string): Promise<void> {
  let output = ''
  return new Promise((resolve, reject) => {
    child.stdout?.on('data', (piece) => {
      output += piece
      if (output.includes(text)) resolve()
    })
    child.once('close', () => reject(new Error(`ended without ${text}: ${output}`)))
  })
}

test(
  'where all is there, exec says nothing, and the command has words, streams, exit code and the host',
  options,
  async (t) => {
    const { cwd, server, exec } = await place(t, ['a'], { models: ['a', 'old:7b'] })
    const words = ['a b', '$HOME;`x`', '--help', '--json', '--', '*', '', 'ü"\\']
    const env = { OLLAMA_HOST: server.url.replace('http://', '') }
    const { code, stdout, stderr } = await exec(['--', ...runtime, 'tell.mjs', ...words], { input: 'in', env }).done
    assert.equal(stderr, '')
    assert.deepEqual(JSON.parse(stdout), { words, input: 'in', cwd, OLLAMA_HOST: server.url })
    assert.equal(code, 7)
    assert.deepEqual(writes(server), [])
  },
)

test('exec pulls what is missing first, deletes nothing, and tells of it on stderr alone', options, async (t) => {
  const { cwd, server, exec } = await place(t, ['a', 'b'], { models: ['a', 'old:7b'], registry: ['b'] })
  writeFileSync(path.join(cwd, 'list.mjs'), list)
  // Whatever asks or draws must leave stdin alone.
  const { code, stdout, stderr } = await exec(['--', ...runtime, 'list.mjs'], { input: 'in' }).done
  assert.equal(code, 0, stderr)
  assert.deepEqual(JSON.parse(stdout), ['in', 'a:latest', 'b:latest', 'old:7b'])
  assert.match(stderr, /^b:latest: pulling\nb:latest: pulled .*\n$/)
  assert.deepEqual(server.problems, [])
})

test('exec --check changes nothing: one line with the next step, exit code 1, and no command', options, async (t) => {
  const { cwd, server, exec } = await place(t, ['a', 'b'], { models: ['a'], registry: ['b'] })
  const touch = ['--', ...runtime, 'touch.mjs']
  writeFileSync(path.join(cwd, 'touch.mjs'), `(await import('node:fs')).writeFileSync('ran', '')`)
  const { code, stdout, stderr } = await exec(['--check', ...touch]).done
  assert.deepEqual([code, stdout, stderr], [1, '', 'Pending: pull b:latest. Run: ollama-config apply\n'])
  assert.ok(!existsSync(path.join(cwd, 'ran')))
  assert.deepEqual(writes(server), [])
  assert.equal((await exec(touch).done).code, 0)
  assert.equal((await exec(['--check', ...touch]).done).code, 0)
  assert.ok(existsSync(path.join(cwd, 'ran')))
})

test('nothing is run after a failed pull, without a server, or with a config that is wrong', options, async (t) => {
  const { cwd, server, exec } = await place(t, ['gone'], { registry: [{ name: 'gone', error: 'missing' }] })
  writeFileSync(path.join(cwd, 'touch.mjs'), `(await import('node:fs')).writeFileSync('ran', '')`)
  const touch = ['--', ...runtime, 'touch.mjs']
  const failed = await exec(touch).done
  assert.equal(failed.code, 1)
  assert.match(failed.stderr, /gone[\s\S]*Failed: 1 failed\nMore: .*\n".*" was not started\n$/)
  assert.equal(failed.stdout, '')
  await server.close()
  for (const check of [[], ['--check']]) {
    const { code, stdout, stderr } = await exec([...check, ...touch]).done
    assert.deepEqual([code, stdout], [1, ''])
    assert.match(stderr, /^Error: .*127\.0\.0\.1.*\nNext: .*the address comes from OLLAMA_HOST/)
  }
  writeFileSync(path.join(cwd, 'ollama.config.json'), '{ "model": [] }')
  assert.equal((await exec(touch).done).code, 3)
  assert.ok(!existsSync(path.join(cwd, 'ran')))
})

test('exec --wait runs the command once the server answers', options, async (t) => {
  const { server, exec } = await place(t, ['a'], { models: ['a'] })
  server.fail({ path: '/api/tags' }, { kind: 'refuse' }, 2)
  const { code, stdout, stderr } = await exec(['--wait', '50s', '--', ...runtime, 'tell.mjs'], { input: '' }).done
  assert.equal(code, 7, stderr)
  assert.equal(JSON.parse(stdout).OLLAMA_HOST, server.url)
  assert.equal(stderr, 'Waiting for the server to answer …\n')
})

test('with --store the command finds the models by OLLAMA_MODELS, and OLLAMA_HOST is as it was', options, async (t) => {
  const { cwd, exec } = await place(t, [], {})
  const words = ['--store=models', '--', ...runtime, 'tell.mjs']
  const { stdout } = await exec(words, { input: '', env: { OLLAMA_HOST: 'h:1' } }).done
  const { OLLAMA_HOST, OLLAMA_MODELS } = JSON.parse(stdout)
  assert.deepEqual([OLLAMA_HOST, OLLAMA_MODELS], ['h:1', path.join(cwd, 'models')])
})

test('--cwd is also that of the command', options, async (t) => {
  const { cwd, exec } = await place(t, ['a'], { models: ['a'] })
  const { stdout } = await exec(['--cwd', cwd, '--', ...runtime, 'tell.mjs'], { input: '', cwd: path.dirname(cwd) })
    .done
  assert.equal(JSON.parse(stdout).cwd, cwd)
})

test('a signal that comes to exec alone reaches the command once, and its exit code counts', posix, async (t) => {
  const { exec } = await place(t, ['a'], { models: ['a'] })
  for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    const other = name === 'SIGINT' ? 'SIGTERM' : 'SIGINT'
    const run = exec(['--', ...runtime, 'count.mjs', name])
    await said(run, 'ready')
    const heard = said(run, `got ${other}\n`)
    run.kill(other)
    await heard
    run.kill(name)
    const { code, stdout, stderr } = await run.done
    assert.deepEqual([code, stdout, stderr], [40, `ready\ngot ${other}\ngot ${other},${name}\n`, ''])
  }
})

test('signals that would end exec, or start a debugger in it, reach the command too', posix, async (t) => {
  const { exec } = await place(t, ['a'], { models: ['a'] })
  for (const name of ['SIGUSR1', 'SIGUSR2', 'SIGALRM', 'SIGQUIT'] as const) {
    const run = exec([
      '--',
      'sh',
      '-c',
      `trap 'echo got ${name}; exit 40' ${name.slice(3)}; echo ready; while :; do sleep 0.05; done`,
    ])
    await said(run, 'ready')
    run.kill(name)
    const { code, stdout, stderr } = await run.done
    assert.deepEqual([code, stdout], [40, `ready\ngot ${name}\n`])
    // Deno starts its debugger whoever listens, once a program has run for half a second.
    if (!('Deno' in globalThis && name === 'SIGUSR1')) assert.equal(stderr, '')
  }
})

test('a command that a signal ended gives 128 and its number', posix, async (t) => {
  const { exec } = await place(t, ['a'], { models: ['a'] })
  assert.equal((await exec(['--', 'sh', '-c', 'kill -KILL $$']).done).code, 137)
  const run = exec(['--', 'sh', '-c', 'echo ready; exec sleep 60'])
  await said(run, 'ready')
  run.kill('SIGTERM')
  const { code, stderr } = await run.done
  assert.deepEqual([code, stderr], [143, ''])
})

test('an interrupted pull ends exec with 130 before the command', posix, async (t) => {
  const slow = {
    name: 'b',
    layers: [{ mediaType: 'application/vnd.ollama.image.model', size: 1e9 }],
    bytesPerTick: 1e6,
    tickMs: 5,
  }
  const { server, exec } = await place(t, ['b'], { registry: [slow] })
  const run = exec(['--', 'echo', 'ran'])
  await server.waitForRequest({ path: '/api/pull' })
  run.kill('SIGINT')
  const { code, stdout, stderr } = await run.done
  assert.deepEqual([code, stdout], [130, ''])
  assert.match(stderr, /Interrupted: .*\nRun the same command again to go on from here\n$/)
})

const hasScript = spawnSync('script', ['--version'], { encoding: 'utf8' }).stdout?.includes('util-linux') ?? false

test('Ctrl-C in a terminal reaches the command once: exec does not send it again', {
  ...options,
  skip: hasScript ? false : 'needs script of util-linux',
}, async (t) => {
  const { cwd, server } = await place(t, ['a'], { models: ['a'] })
  const words = [process.execPath, ...commandWords(), 'exec', '--', ...runtime, 'count.mjs', 'SIGTERM']
  // The shell between them would give its own exit code after Ctrl-C.
  const line = `exec ${words.map((word) => `'${word}'`).join(' ')}`
  const child: ChildProcess = spawn('script', ['-qec', line, '/dev/null'], {
    cwd,
    env: { PATH: process.env['PATH'], HOME: cwd, OLLAMA_HOST: server.url },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  t.after(() => void child.kill('SIGKILL'))
  await said({ child }, 'ready')
  for (const times of ['SIGINT', 'SIGINT,SIGINT']) {
    const heard = said({ child }, `got ${times}\r\n`)
    child.stdin?.write('\u0003')
    await heard
  }
  const ended = said({ child }, 'got SIGINT,SIGINT,SIGTERM\r\n')
  const code = new Promise((resolve) => child.once('close', resolve))
  child.stdin?.write('q\n')
  await ended
  assert.equal(await code, 40)
})

test('a command that is not there gives 127, one that cannot be run 126', posix, async (t) => {
  const { cwd, exec } = await place(t, ['a'], { models: ['a'] })
  writeFileSync(path.join(cwd, 'plain'), 'echo\n')
  for (const [name, code] of [
    ['no-such-tool', 127],
    ['./plain', 126],
  ] as const) {
    const result = await exec(['--', name, '--json']).done
    assert.deepEqual([result.code, result.stdout], [code, ''])
    assert.match(result.stderr, /^Error: .*\nNext: .*\nMore: .*\n$/)
  }
})

test('exec without a command, or with a flag that it does not know, exits with 3', async (t) => {
  const cwd = tempFolder(t)
  for (const words of [['exec'], ['exec', '--'], ['exec', '--check'], ['exec', '--yes', '--', 'true']]) {
    const { code, stdout, stderr } = await runCli(words, { cwd })
    assert.deepEqual([code, stdout], [3, ''])
    assert.match(stderr, /exec needs a command to run\nNext: .* exec -- npm run dev|exec has no flag --yes/)
  }
  assert.match(helpText('exec'), /Usage: ollama-config exec \[FLAGS\] -- COMMAND…\n/)
})

test('environmentOf() names the host with scheme and port, and never hands on what is secret', () => {
  const models: readonly string[] = []
  const cases: readonly [env: Record<string, string>, host: string | undefined, expected: string | undefined][] = [
    [{}, undefined, 'http://127.0.0.1:11434'],
    [{ OLLAMA_HOST: '0.0.0.0:8000' }, undefined, 'http://127.0.0.1:8000'],
    [{ OLLAMA_HOST: 'other' }, 'https://box/ollama/', 'https://box:443/ollama'],
    [{}, 'https://me:secret@box', 'https://box:443'],
    [{ OLLAMA_HOST: 'https://me:secret@box' }, undefined, undefined],
    [{}, 'unix:///run/ollama.sock', 'unix:///run/ollama.sock'],
  ]
  for (const [env, host, expected] of cases)
    assert.equal(environmentOf({ models }, { env, host })['OLLAMA_HOST'], expected, host)
  assert.deepEqual(environmentOf({ models }, { env: {}, store: '/srv/models' }), {
    OLLAMA_MODELS: path.resolve('/srv/models'),
  })
})

test('nothing of ours looks at the stdin of the command', async (t) => {
  const cwd = tempFolder(t)
  const written: string[] = []
  const output = { isTTY: true, columns: 80, write: (text: string) => void written.push(text) }
  const code = await run(['exec', '--', 'true'], {
    stdout: output,
    stderr: output,
    get stdin(): never {
      throw new Error('it was opened')
    },
    env: {},
    cwd,
    platform: process.platform,
    signal: new AbortController().signal,
  })
  assert.equal(code, 3)
  assert.match(written.join(''), /No ollama.config/)
})
