/** How the commands look on terminals of every kind: narrow and wide, coloured and not, and read aloud. */
import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { run } from '../../src/cli/run.ts'
import { textWidth } from '../../src/cli/views/text.ts'
import type { OllamaServer } from '../support/ollama-server.ts'
import { startServer, tempFolder, testRegistryUrl } from '../support/run-cli.ts'

const config = {
  models: [
    'all-minilm',
    'hf.co/unsloth/Qwen3-Coder-30B-A3B-Instruct-1M-GGUF:UD-Q4_K_XL',
    { name: 'reviewer', from: 'qwen3:8b', system: 'You review diffs.', parameters: { num_ctx: 16384 } },
    'nowhere:8b',
  ],
}

const lines: readonly string[] = [
  'plan',
  'plan --all --prune',
  'plan --config-only',
  'check',
  'lock',
  'outdated',
  'apply',
  'exec --check -- node',
  'update --yes',
  'verify',
  'doctor',
  'setup',
  'plugins',
  'apply --yes --no-prune',
  'apply --yes',
  'exec -- node',
  'rollback reviewer',
  'update reviwer',
  'help lock-frozen',
  'plan --help',
  'completion --help',
  'init',
  '--help',
  'what',
  '',
]

interface Terminal {
  readonly columns: number
  readonly env?: Readonly<Record<string, string>>
  readonly flags?: readonly string[]
}

interface Shown {
  readonly line: string
  readonly written: string
}

/** Both outputs, as they come. */
async function show(server: OllamaServer, cwd: string, { columns, env = {}, flags = [] }: Terminal): Promise<Shown[]> {
  const shown: Shown[] = []
  for (const line of lines) {
    const written: string[] = []
    const output = {
      isTTY: true,
      columns,
      rows: 50,
      write: (text: string) => {
        written.push(text)
      },
    }
    const stdin = Object.assign(new PassThrough(), { isTTY: true })
    stdin.end('n\nn\n')
    const words = line.split(' ').filter((word) => word !== '')
    // What stands behind it is another program's.
    const end = words.includes('--') ? words.indexOf('--') : words.length
    await run(words.length === 0 || words[0] === '--help' ? words : words.toSpliced(end, 0, ...flags), {
      stdout: output,
      stderr: output,
      stdin,
      env: { OLLAMA_HOST: server.url, HOME: cwd, XDG_STATE_HOME: cwd, PATH: '/usr/bin:/bin', ...env },
      cwd,
      platform: 'linux',
      signal: new AbortController().signal,
      registryUrl: testRegistryUrl,
      retryPauseMs: 0,
    })
    shown.push({ line, written: written.join('') })
  }
  return shown
}

async function place(t: TestContext) {
  const server = await startServer(t, {
    models: ['qwen3:8b', 'gemma3:4b'],
    registry: ['all-minilm', 'hf.co/unsloth/Qwen3-Coder-30B-A3B-Instruct-1M-GGUF:UD-Q4_K_XL'],
  })
  return { server, cwd: tempFolder(t, { 'ollama.config.json': config }) }
}

const codes = /\x1b\[[\d;?]*[A-Za-z]/g

for (const columns of [80, 40]) {
  test(`no command writes past ${columns} columns, but for what is to be typed as it is`, async (t) => {
    const { server, cwd } = await place(t)
    for (const { line, written } of await show(server, cwd, { columns })) {
      const wide = written
        .replaceAll(codes, '')
        .split(/[\n\r]/)
        // Where no space is, nothing can be broken: a path, an address, a name. Nor is a command that is to be copied.
        .filter((text) => textWidth(text) > columns && text.trim().includes(' '))
        .filter((text) => !/^ {2}\S*(ollama|curl|eval|brew|docker|sudo)/.test(text))
      assert.deepEqual(wide, [], line)
    }
  })
}

test('with --plain everything is ASCII, without an escape code, and marks are words', async (t) => {
  const { server, cwd } = await place(t)
  const shown = await show(server, cwd, { columns: 80, flags: ['--plain'] })
  for (const { line, written } of shown.filter(({ line }) => line !== '' && line !== '--help'))
    assert.doesNotMatch(written, /[^\x20-\x7e\n]/, line)
  const textOf = (line: string) => shown.find((one) => one.line === line)?.written ?? ''
  assert.match(textOf('doctor'), /^server: ok: /m)
  assert.match(textOf('doctor'), /^gpu: (ok|warning|unknown): /m)
  assert.match(textOf('update --yes'), /^all-minilm:latest: pulled /m)
  assert.match(textOf('apply --yes --no-prune'), /^nowhere:8b: failed /m)
})

test('where the terminal knows only ASCII, nothing else is written', async (t) => {
  const { server, cwd } = await place(t)
  const environments = [{ TERM: 'dumb' }, { LC_ALL: 'C', NO_COLOR: '1' }, { TERM: 'linux' }]
  for (const env of environments) {
    for (const { line, written } of await show(server, cwd, { columns: 80, env })) {
      const text = env.TERM === 'linux' || env.LC_ALL ? written.replaceAll(codes, '') : written
      assert.doesNotMatch(text, /[^\x20-\x7e\n\r]/, `${line} with ${JSON.stringify(env)}`)
    }
  }
})

test('NO_COLOR takes away the colours, and nothing else', async (t) => {
  const { server, cwd } = await place(t)
  const plain = await show(server, cwd, { columns: 80, env: { NO_COLOR: '1' } })
  for (const { line, written } of plain) assert.doesNotMatch(written, /\x1b\[[\d;]*m/, line)
  assert.match(plain.find(({ line }) => line === 'doctor')?.written ?? '', /[✔✖]/)
})
