import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { commands, shells } from '../../src/cli/command-table.ts'
import { completionScript } from '../../src/cli/completion/script.ts'
import { formatLock } from '../../src/record/lock-file.ts'
import { commandWords } from '../support/built.ts'
import { runCli, startServer, tempFolder } from '../support/run-cli.ts'

/** Whether a program is there, in words for `skip`. */
function lacks(...programs: readonly string[]): string | false {
  const folders = (process.env['PATH'] ?? '').split(path.delimiter)
  const missing = programs.find((name) => !folders.some((folder) => existsSync(path.join(folder, name))))
  if (process.platform !== 'linux') return '"script" differs here'
  return missing === undefined ? false : `there is no ${missing}`
}

const config = `
import { writeFileSync } from 'node:fs'
writeFileSync('config-was-run', '')
export default { models: ['all-minilm', 'qwen3:8b', { name: 'reviewer', from: 'qwen3:8b' }, 'r.example:5000/team/base:1'] }
`

test('the scripts have every command and every flag of the table', () => {
  for (const shell of shells) {
    const script = completionScript(shell)
    for (const [name, { flags }] of Object.entries(commands)) {
      assert.match(script, new RegExp(`\\b${name}\\b`), `${shell}: ${name}`)
      for (const flag of Object.keys(flags)) assert.match(script, new RegExp(`(--|-l )${flag}\\b`), `${shell}: ${flag}`)
    }
  }
})

/** What is typed, and the words that the command is then called with. `\t` asks for a completion; quotes are closed with it. */
const typed: readonly (readonly [keys: string, words: string])[] = [
  ['upd\t', 'update'],
  ['update qwen3:\t', 'update qwen3:8b'],
  ['update "qwen3:\t', 'update qwen3:8b'],
  ['lock r.example:5000/t\t', 'lock r.example:5000/team/base:1'],
  ['rollback rev\t', 'rollback reviewer:latest'],
  ['update zebra\t', 'update zebra'],
  ['plan --det\t', 'plan --detailed-exitcode'],
  ['plan --config=sp\t', 'plan --config=space config.json'],
  ['plan -c oll\t', 'plan -c ollama.config.ts'],
  ['setup --with do\t', 'setup --with docker'],
  ['completion f\t', 'completion fish'],
  ['help lock-fr\t', 'help lock-frozen'],
  ['exec --che\t -- x', 'exec --check -- x'],
]

/** Words that a shell in a terminal called the command with, line by line. */
async function typeInto(shell: string, cwd: string): Promise<readonly string[]> {
  const bin = path.join(cwd, 'bin')
  const log = path.join(cwd, 'calls')
  mkdirSync(bin)
  const real = [process.execPath, ...commandWords()].map((word) => `'${word}'`).join(' ')
  writeFileSync(
    path.join(bin, 'ollama-config'),
    `#!/bin/sh\nif [ "$1" = __complete ]; then exec ${real} "$@"; fi\necho "$*" >> '${log}'\n`,
  )
  chmodSync(path.join(bin, 'ollama-config'), 0o755)
  const child = spawn('script', ['-qec', shell, '/dev/null'], {
    cwd,
    env: { PATH: `${bin}:${process.env['PATH']}`, HOME: cwd, TERM: 'dumb', OLLAMA_HOST: '127.0.0.1:9', ZDOTDIR: cwd },
    stdio: ['pipe', 'ignore', 'ignore'],
    // A quote that stays open waits for ever.
    signal: AbortSignal.timeout(90_000),
    killSignal: 'SIGKILL',
  })
  child.stdin.end(`${typed.map(([keys]) => `ollama-config ${keys}\n`).join('')}exit\n`)
  await new Promise((resolve, reject) => child.on('error', reject).on('close', resolve))
  return readFileSync(log, 'utf8').trimEnd().split('\n')
}

function project(t: TestContext): string {
  return tempFolder(t, { 'ollama.config.ts': config, 'space config.json': '{}' })
}

test('bash completes commands, flags, files and names with colons', { skip: lacks('bash', 'script') }, async (t) => {
  const cwd = project(t)
  writeFileSync(path.join(cwd, 'bashrc'), completionScript('bash'))
  const words = await typeInto('bash --noprofile --rcfile bashrc -i', cwd)
  assert.deepEqual(
    words,
    typed.map(([, expected]) => expected),
  )
  assert.ok(!existsSync(path.join(cwd, 'config-was-run')))
})

test('zsh completes the same', { skip: lacks('zsh', 'script') }, async (t) => {
  const cwd = project(t)
  writeFileSync(
    path.join(cwd, '.zshrc'),
    `autoload -Uz compinit\ncompinit -u -D\nsetopt no_auto_menu\n${completionScript('zsh')}`,
  )
  const words = await typeInto('zsh -i', cwd)
  assert.deepEqual(
    words,
    typed.map(([, expected]) => expected),
  )
})

test('fish completes the same', { skip: lacks('fish') }, (t) => {
  const cwd = project(t)
  const lines = typed.map(([keys]) => keys.slice(0, keys.indexOf('\t')))
  writeFileSync(path.join(cwd, 'script.fish'), completionScript('fish'))
  const program = [process.execPath, ...commandWords()].map((word) => `'${word}'`).join(' ')
  mkdirSync(path.join(cwd, 'bin'))
  writeFileSync(path.join(cwd, 'bin', 'ollama-config'), `#!/bin/sh\nexec ${program} "$@"\n`)
  chmodSync(path.join(cwd, 'bin', 'ollama-config'), 0o755)
  const asked = lines.map((line) => `complete -C 'ollama-config ${line}'`).join('\necho ==\n')
  const output = execFileSync('fish', ['--no-config', '-c', `source script.fish\n${asked}`], {
    cwd,
    encoding: 'utf8',
    env: { PATH: `${path.join(cwd, 'bin')}:${process.env['PATH']}`, HOME: cwd, OLLAMA_HOST: '127.0.0.1:9' },
  })
  const found = output.split('==\n').map((block) => block.trim().replace(/\t.*$/s, ''))
  const expected = typed.map(([keys, words]) => {
    const begun = keys.slice(0, keys.indexOf('\t')).split(/ "?/).at(-1) ?? ''
    if (begun === 'zebra') return ''
    return begun.startsWith('--config=')
      ? '--config=space config.json'
      : words.split(' ').find((word) => word.startsWith(begun))
  })
  assert.deepEqual(found, expected)
})

const locked = { digest: `sha256:${'2'.repeat(64)}`, registry: 'registry.ollama.ai', config: null, layers: null }

test('names come from the text of the config and the lock file; nothing is run, and nobody is asked', async (t) => {
  const server = await startServer(t, { models: ['installed:1'] })
  const cwd = tempFolder(t, {
    'ollama.config.ts': config,
    'ollama.lock.json': formatLock({ models: { 'computed:7b': locked } }),
  })
  const env = { OLLAMA_HOST: server.url }
  const { code, stdout, stderr } = await runCli(['__complete', 'models', 'update', ''], { cwd, env })
  assert.deepEqual(
    [code, stdout, stderr],
    [0, 'all-minilm:latest\ncomputed:7b\nqwen3:8b\nr.example:5000/team/base:1\nreviewer:latest\n', ''],
  )
  assert.deepEqual([...server.requests], [])
  assert.ok(!existsSync(path.join(cwd, 'config-was-run')))
})

test('names come from the host where the config has none that fits, and for verify --all', async (t) => {
  const server = await startServer(t, { models: ['installed:1', 'other:2'] })
  const cwd = tempFolder(t, { 'ollama.config.json': { models: ['qwen3:8b'] } })
  const names = async (...words: string[]) => {
    const { stdout } = await runCli(['__complete', 'models', ...words], { cwd, env: { OLLAMA_HOST: server.url } })
    return stdout.split('\n').filter((line) => line !== '')
  }
  assert.deepEqual(await names('update', 'in'), ['installed:1'])
  assert.deepEqual(await names('verify', ''), ['qwen3:8b'])
  assert.deepEqual(await names('verify', '--all', 'other:2', ''), ['installed:1', 'qwen3:8b'])
  assert.deepEqual(await names('update', '--host', '127.0.0.1:9', 'in'), [])
  assert.deepEqual(await names('rollback', 'qwen3:8b', ''), [], 'it takes one')
  assert.deepEqual(await names('update', '--what', ''), [], 'no such flag')
})

test('a host that only the config names is not asked', async (t) => {
  const server = await startServer(t, { models: ['installed:1'] })
  const cwd = tempFolder(t, { 'ollama.config.json': { host: server.url, models: [] } })
  const { stdout } = await runCli(['__complete', 'models', 'update', ''], { cwd })
  assert.equal(stdout, '')
  assert.deepEqual([...server.requests], [])
})

test('a hostile host adds nothing that a shell would run or a terminal obey, and one that hangs is left', async (t) => {
  const names = ['fine:1', '$(touch x):1', 'a b:1', '`x`:1', "it's:1", '\x1b[31mred:1', 'a\nb:1', '-rf:1', 'x;y:1']
  let hangs = false
  const server = createServer((_, response) => {
    if (hangs) return
    const models = names.map((name) => ({ name, model: name, digest: '0'.repeat(64), size: 1, details: {} }))
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ models, version: '0.33.0' }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const cwd = tempFolder(t)
  const env = { OLLAMA_HOST: `127.0.0.1:${(server.address() as AddressInfo).port}` }
  const ask = async () => {
    const { code, stdout, stderr } = await runCli(['__complete', 'models', 'update', ''], { cwd, env })
    return [code, stdout, stderr]
  }
  assert.deepEqual(await ask(), [0, 'fine:1\n', ''])
  hangs = true
  assert.deepEqual(await ask(), [0, '', ''])
})

test('completion takes the name of a shell, or its path', async (t) => {
  const cwd = tempFolder(t)
  const { stdout } = await runCli(['completion', '/usr/bin/zsh'], { cwd })
  assert.equal(stdout, completionScript('zsh'))
  const { code, stderr } = await runCli(['completion', 'tcsh'], { cwd })
  assert.equal(code, 3)
  assert.match(stderr, /no completion for the shell "tcsh"[\s\S]*bash, zsh, fish/)
  assert.match((await runCli(['completion'], { cwd })).stderr, /completion needs a SHELL: bash, zsh, fish\n/)
  assert.match((await runCli(['completion', '--help'], { cwd })).stdout, /\nSHELL: bash, zsh, fish\n/)
})
