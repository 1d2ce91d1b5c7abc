/** The built package, which is bundled and loads its parts otherwise than the sources do. Node only: it is what builds. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { chmodSync, cpSync, mkdirSync, symlinkSync } from 'node:fs'
import { userInfo } from 'node:os'
import path from 'node:path'
import { before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { startServer, tempFolder } from '../support/run-cli.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const node = 'Deno' in globalThis ? { skip: 'the build runs on Node' } : {}
const hasScript = spawnSync('script', ['--version']).status === 0
const pty = hasScript ? node : { skip: 'script(1) is not there to make a terminal' }

let main = ''
before((context) => {
  if ('skip' in node) return
  const folder = tempFolder(context as Parameters<typeof tempFolder>[0])
  cpSync(path.join(root, 'package.json'), path.join(folder, 'package.json'))
  symlinkSync(path.join(root, 'node_modules'), path.join(folder, 'node_modules'), 'junction')
  const { status, stderr } = spawnSync(process.execPath, ['build.mjs', path.join(folder, 'dist')], {
    cwd: root,
    encoding: 'utf8',
  })
  assert.equal(status, 0, stderr)
  main = path.join(folder, 'dist/cli/main.js')
})

interface Finished {
  readonly code: number | null
  readonly output: string
}

/** Runs a program; each time a question stands at the end of what it wrote, the next answer is typed. */
function converse(
  file: string,
  args: readonly string[],
  cwd: string,
  env: NodeJS.ProcessEnv,
  answers: readonly string[],
): Promise<Finished> {
  const child = spawn(file, args, {
    cwd,
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], NO_COLOR: '1', ...env },
  })
  const open = [...answers]
  let output = ''
  const take = (text: string) => {
    output += text
    if (output.endsWith('[y/N] ')) child.stdin.write(`${open.shift() ?? ''}\n`)
  }
  child.stdout.setEncoding('utf8').on('data', take)
  child.stderr.setEncoding('utf8').on('data', take)
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, output }))
  })
}

const configText = "import { defineConfig } from 'ollama-config'\nexport default defineConfig({ models: ['a'] })\n"

test('the built command does the main job', { ...node, timeout: 60_000 }, async (t) => {
  const server = await startServer(t, { models: ['old'], registry: ['a'] })
  const cwd = tempFolder(t, { 'ollama.config.ts': configText })
  const run = (...words: string[]) => converse(process.execPath, [main, ...words], cwd, { OLLAMA_HOST: server.url }, [])
  const steps: [string[], number, RegExp][] = [
    [['--help'], 0, /Commands:/],
    [['plan', '--detailed-exitcode'], 2, /Plan: 1 to pull/],
    [['apply'], 3, /--yes/],
    [['apply', '--yes'], 0, /Done: 1 pulled/],
    [['check'], 0, /The declared model is installed/],
  ]
  for (const [words, code, expected] of steps) {
    const finished = await run(...words)
    assert.equal(finished.code, code, finished.output)
    assert.match(finished.output, expected)
  }
  assert.deepEqual(server.installed(), ['a:latest', 'old:latest'])
})

test('the built command asks in a terminal', { ...pty, timeout: 60_000 }, async (t) => {
  const server = await startServer(t, { models: ['old'], registry: ['a'] })
  const cwd = tempFolder(t, { 'ollama.config.ts': configText })
  const command = `'${process.execPath}' '${main}' apply`
  const { code, output } = await converse('script', ['-qec', command, '/dev/null'], cwd, { OLLAMA_HOST: server.url }, [
    'y',
    'y',
  ])
  assert.equal(code, 0, output)
  assert.match(output, /Pull 1 model\? \[y\/N\][\s\S]*Delete it\? \[y\/N\][\s\S]*Done: 1 pulled, 1 deleted/)
  assert.deepEqual(server.installed(), ['a:latest'])
})

test('what is written after the terminal became narrower fits', { ...pty, timeout: 60_000 }, async (t) => {
  const server = await startServer(t, { models: ['old'], registry: ['a'] })
  const narrow = "import { execSync } from 'node:child_process'\nexecSync('stty cols 40 < /dev/tty')\n"
  const cwd = tempFolder(t, { 'ollama.config.ts': `${narrow}export default { models: ['a'] }\n` })
  const command = `stty cols 100; '${process.execPath}' '${main}' plan`
  const { output } = await converse('script', ['-qec', command, '/dev/null'], cwd, { OLLAMA_HOST: server.url }, [])
  assert.match(output, /Not in the config/)
  for (const line of output.split(/\r?\n/)) assert.ok(line.length <= 40, output)
})

test('the built plugins are there, each by the name that a config imports', node, async () => {
  const script = `
    import { isPlugin } from 'ollama-config/plugin'
    for (const name of ['capabilities', 'memory-fit', 'persona', 'smoke-test']) {
      const { default: factory } = await import('ollama-config/plugins/' + name)
      console.log(factory.spec.name, isPlugin(factory([])))
    }`
  // From inside of the package its own name leads to its own entry points.
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    cwd: path.dirname(path.dirname(path.dirname(main))),
    encoding: 'utf8',
  })
  assert.equal(stderr, '')
  assert.equal(stdout, 'capabilities true\nmemory-fit true\npersona true\nsmoke-test true\n')
})

// Not by the sources: what compiles them needs a temporary folder itself.
test(
  'without a temporary folder a config in TypeScript loads, with its environment as it was, and demo tells the next step',
  node,
  (t) => {
    const text =
      "const models: string[] = [process.env['TSX_DISABLE_CACHE'] ?? 'as-it-was']\nexport default { models }\n"
    const cwd = tempFolder(t, { 'ollama.config.ts': text, file: '' })
    const user = process.geteuid?.() ?? userInfo().username
    const taken = tempFolder(t, { [`tsx-${user}`]: '' })
    // Root may write everywhere, but not there.
    const closed = user === 0 ? '/proc' : tempFolder(t)
    if (user !== 0) chmodSync(closed, 0o500)
    for (const TMPDIR of [path.join(cwd, 'file'), path.join(cwd, 'missing'), taken, closed]) {
      const env = { ...process.env, TMPDIR, TEMP: TMPDIR, TMP: TMPDIR }
      const { status, stdout, stderr } = spawnSync(process.execPath, [main, 'plan', '--config-only'], {
        cwd,
        env,
        encoding: 'utf8',
      })
      assert.equal(stderr, '', TMPDIR)
      assert.equal(status, 0)
      assert.match(stdout, /as-it-was:latest/)
    }
    const env = { ...process.env, TMPDIR: path.join(cwd, 'file'), TEMP: path.join(cwd, 'file') }
    const { status, stderr } = spawnSync(process.execPath, [main, 'demo'], { cwd, env, encoding: 'utf8' })
    assert.equal(status, 1)
    assert.match(stderr, /^Error: No folder can be made in the temporary folder .*\nNext: name one .* TMPDIR/)
  },
)

// Not by the sources: what compiles them looks for the working folder itself.
test('in a folder that was removed the next step is told, and what needs no folder works', {
  ...(process.platform === 'win32' ? { skip: 'Windows removes no folder that is in use' } : node),
}, (t) => {
  const top = tempFolder(t)
  const run = (...words: readonly string[]) => {
    mkdirSync(path.join(top, 'gone'))
    const script = 'rmdir "$PWD" && exec "$@"'
    return spawnSync('/bin/sh', ['-c', script, 'sh', process.execPath, main, ...words], {
      cwd: path.join(top, 'gone'),
      encoding: 'utf8',
    })
  }
  for (const words of [['--version'], ['--help'], ['help', 'plan'], ['completion', 'bash']]) {
    const { status, stdout, stderr } = run(...words)
    assert.deepEqual([status, stderr], [0, ''], words.join(' '))
    assert.notEqual(stdout, '')
  }
  const told = /^Error: The working folder is gone, .*\nNext: change to another one, .*\n$/
  for (const words of [[], ['plan'], ['apply', '--yes'], ['init'], ['exec', '--', 'true']]) {
    const { status, stdout, stderr } = run(...words)
    assert.deepEqual([status, stdout], [3, ''], words.join(' '))
    assert.match(stderr, told)
  }
  for (const words of [
    ['plan', '--json'],
    ['apply', '--yes', '--json'],
    ['doctor', '--json'],
  ]) {
    const { status, stdout, stderr } = run(...words)
    assert.equal(status, 3)
    const { error } = JSON.parse(words[0] === 'apply' ? (stdout.trimEnd().split('\n').at(-1) ?? '') : stdout)
    assert.equal(error.code, 'usage')
    assert.match(stderr, told)
  }
})

test('a Node that is too old is told so, and not by a stack', node, (t) => {
  // As before Node 20.16.
  const cwd = tempFolder(t, { 'old.cjs': 'delete process.getBuiltinModule' })
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--require', path.join(cwd, 'old.cjs'), main], {
    cwd,
    encoding: 'utf8',
  })
  assert.deepEqual([status, stdout], [3, ''])
  assert.match(stderr, /^Error: ollama-config needs Node 20\.19 or later, and this is v\S+\nNext: .*\n$/)
})
