import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import type { OllamaServer } from '../support/ollama-server.ts'
import { type CliOptions, runCli, spawnCli, startServer, tempFolder } from '../support/run-cli.ts'

const posix = { skip: process.platform === 'win32' ? 'a signal of Windows ends a process unasked' : false }

const large = (name: string) => ({
  name,
  layers: [{ mediaType: 'application/vnd.ollama.image.model', size: 300_000_000 }],
  bytesPerTick: 1_000_000,
  tickMs: 5,
})

const applied = (server: OllamaServer) =>
  server.requests
    .filter((request) => request.path === '/api/pull' || request.path === '/api/delete')
    .map(({ method, path: route, body }) => `${method} ${route} ${nameOf(body)}`)

function nameOf(body: unknown): unknown {
  return typeof body === 'object' && body !== null
    ? (Reflect.get(body, 'model') ?? Reflect.get(body, 'name'))
    : undefined
}

test('apply --yes pulls what is missing, checks it, leaves the rest alone and says so; a second run has nothing to do', async (t) => {
  const server = await startServer(t, { models: ['old:7b'], registry: ['a', 'b'] })
  const cwd = tempFolder(t, { 'ollama.config.json': { models: ['b', 'a'] } })
  const options: CliOptions = { cwd, env: { OLLAMA_HOST: server.url } }
  const first = await runCli(['apply', '--yes'], options)
  assert.equal(first.code, 0, first.stderr)
  assert.match(first.stdout, /Left alone: 1 model that is not in the config\nDone: 2 pulled\n$/)
  assert.deepEqual(applied(server), ['POST /api/pull a:latest', 'POST /api/pull b:latest'])
  assert.deepEqual(server.installed(), ['a:latest', 'b:latest', 'old:7b'])
  assert.equal(server.stats.pullsAtOnce, 1)
  // One for each pull, and one of the plan, which wants to know where the models lie.
  assert.equal(server.requests.filter(({ path }) => path === '/api/show').length, 3)
  const second = await runCli(['apply', '--yes'], options)
  assert.equal(second.code, 0)
  assert.match(second.stdout, /No changes\. The 2 declared models are installed\./)
  assert.equal(applied(server).length, 2)
  assert.deepEqual(server.problems, [])
})

test('apply without a terminal and without --yes exits with 3 before anything is changed', async (t) => {
  const server = await startServer(t, { registry: ['a'] })
  const cwd = tempFolder(t, { 'ollama.config.json': { models: ['a'], prune: 'undeclared' } })
  for (const words of [['apply'], ['apply', '--prune'], ['apply', '--json'], ['update', 'a']]) {
    const { code, stdout, stderr } = await runCli(words, { cwd, env: { OLLAMA_HOST: server.url } })
    assert.equal(code, 3)
    assert.match(stderr, /add --yes/)
    assert.match(stdout, words.includes('--json') ? /"code":"approval-required"/ : /To pull:\n {2}\+ a:latest/)
  }
  assert.deepEqual(applied(server), [])
})

test('where nothing is to be approved nobody is needed: apply and update without --yes end with 0', async (t) => {
  const server = await startServer(t, { models: ['a', 'undeclared'] })
  const cwd = tempFolder(t, { 'ollama.config.json': { models: ['a'] } })
  for (const words of [['apply'], ['apply', '--json'], ['update'], ['update', 'a']]) {
    const { code, stderr } = await runCli(words, { cwd, env: { OLLAMA_HOST: server.url } })
    assert.equal(code, 0, words.join(' '))
    assert.equal(stderr, '')
  }
  const { stderr } = await runCli(['update', 'undeclared'], { cwd, env: { OLLAMA_HOST: server.url } })
  assert.match(stderr, /undeclared/)
  assert.doesNotMatch(stderr, /--yes/)
  assert.deepEqual(applied(server), [])
})

test('apply --yes --prune deletes after the pulls, but not what was made on the host', async (t) => {
  const server = await startServer(t, { models: ['old:7b', 'kept'], registry: ['a'] })
  server.derive('mine', 'old:7b', { system: 'You are mine.' })
  const cwd = tempFolder(t, { 'ollama.config.json': { models: ['a'], prune: 'undeclared', keep: ['kept'] } })
  const { code, stdout } = await runCli(['apply', '--yes', '--prune'], { cwd, env: { OLLAMA_HOST: server.url } })
  assert.equal(code, 0)
  assert.deepEqual(applied(server), ['POST /api/pull a:latest', 'DELETE /api/delete old:7b'])
  assert.match(stdout, /Kept, since no registry can give it back and no person approved it: mine:latest/)
  assert.match(stdout, /Done: 1 pulled, 1 deleted/)
  assert.deepEqual(server.installed(), ['a:latest', 'kept:latest', 'mine:latest'])
  assert.deepEqual(server.problems, [])
})

test('apply --prune is refused with 3, before the server is asked, where the config or the place does not allow it', async (t) => {
  const server = await startServer(t, { models: ['old'] })
  const cases: [object, Record<string, string>, RegExp][] = [
    [{ models: ['a'], prune: false }, { OLLAMA_HOST: server.url }, /prune: false/],
    [{ models: ['a'] }, { OLLAMA_HOST: server.url }, /"prune" key/],
    [{ models: ['a'], prune: 'undeclared' }, { OLLAMA_HOST: 'gpu-box.example:1' }, /OLLAMA_HOST/],
  ]
  for (const [config, env, expected] of cases) {
    const { code, stderr } = await runCli(['apply', '--yes', '--prune'], {
      cwd: tempFolder(t, { 'ollama.config.json': config }),
      env,
    })
    assert.equal(code, 3, stderr)
    assert.match(stderr, expected)
  }
  assert.deepEqual(server.requests, [])
})

test('in a terminal apply asks one question for the pulls and one for the deletions, which defaults to no', async (t) => {
  const cwd = tempFolder(t, { 'ollama.config.json': { models: ['a'] } })
  const cases: [string[], string[], number, string[]][] = [
    [[], ['y', 'y'], 0, ['a:latest']],
    [[], ['yes', ''], 0, ['a:latest', 'old:latest']],
    [[], ['y', 'n'], 0, ['a:latest', 'old:latest']],
    [[], ['n'], 3, ['old:latest']],
    [[], [''], 3, ['old:latest']],
    [['--yes'], ['y'], 0, ['a:latest']],
    [['--yes', '--no-prune'], [], 0, ['a:latest', 'old:latest']],
    [['--yes', '--prune'], [], 0, ['a:latest']],
    [['--prune'], ['y'], 0, ['a:latest']],
    [['--prune'], ['n'], 3, ['old:latest']],
    [['--no-prune'], ['y'], 0, ['a:latest', 'old:latest']],
  ]
  for (const [flags, answers, expected, installed] of cases) {
    const server = await startServer(t, { models: ['old'], registry: ['a'] })
    const { code, stderr } = await runCli(['apply', ...flags], { cwd, env: { OLLAMA_HOST: server.url }, answers })
    assert.equal(code, expected, `${flags} ${answers}: ${stderr}`)
    assert.deepEqual(server.installed(), installed, `${flags} ${answers}`)
    assert.equal(stderr.split('[y/N]').length - 1, answers.length, stderr)
    if (stderr.includes('Delete')) assert.match(stderr, /Installed, but not in the config:\n {2}old:latest {2}frees/)
  }
})

test('a failed model does not stop the others, nothing is deleted, and the report says so', async (t) => {
  const server = await startServer(t, {
    models: ['old'],
    registry: [{ name: 'a', error: 'missing' }, 'b', { name: 'c', error: 'disk-full' }],
  })
  const cwd = tempFolder(t, { 'ollama.config.json': { models: ['a', 'b', 'c'], prune: 'undeclared' } })
  const { code, stdout } = await runCli(['apply', '--yes', '--prune'], { cwd, env: { OLLAMA_HOST: server.url } })
  assert.equal(code, 1)
  assert.deepEqual(server.installed(), ['b:latest', 'old:latest'])
  assert.match(stdout, / {2}x .*"a:latest".+\n.+\n {2}x .*"c:latest".+\n/)
  assert.match(stdout, /Nothing was deleted, since something failed\nFailed: 1 pulled, 2 failed\n/)
  assert.deepEqual(server.problems, [])
})

test('HTTP 200 proves nothing: errors in the stream, streams that just end and lost blobs are failures', async (t) => {
  const faults = [
    { kind: 'line', line: '{"error":"pull model manifest: 412: the model needs a newer Ollama"}', afterLines: 1 },
    { kind: 'end', afterLines: 2 },
    { kind: 'truncate', afterLines: 1 },
    { kind: 'reset', afterLines: 1 },
    { kind: 'line', line: 'garbage', afterLines: 1 },
    { kind: 'body', body: '<html></html>', contentType: 'text/html' },
    { kind: 'status', status: 502, body: 'Bad Gateway' },
  ] as const
  const cwd = tempFolder(t, { 'ollama.config.json': { models: ['a'] } })
  for (const fault of faults) {
    const server = await startServer(t, { registry: ['a'] })
    server.fail({ path: '/api/pull' }, fault)
    const { code, stdout, stderr } = await runCli(['apply', '--yes'], { cwd, env: { OLLAMA_HOST: server.url } })
    assert.equal(code, 1, `${JSON.stringify(fault)}\n${stdout}${stderr}`)
    assert.match(stdout, / {2}x .*a:latest.+\n.+\nFailed: 1 failed/)
    assert.doesNotMatch(stdout + stderr, /^\s+at /m)
  }
})

test('apply --json writes JSON lines opened by a version message, never asks, and ends with the report', async (t) => {
  const server = await startServer(t, { models: ['old'], registry: ['a', { name: 'b', error: 'missing' }] })
  const cwd = tempFolder(t, { 'ollama.config.json': { models: ['a', 'b'] } })
  const { code, stdout, stderr } = await runCli(['apply', '--json', '--yes'], {
    cwd,
    env: { OLLAMA_HOST: server.url },
    answers: [],
  })
  assert.equal(code, 1)
  assert.equal(stderr, '')
  const lines = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  assert.deepEqual(
    [lines[0].type, lines[0].formatVersion, lines[1].type, lines.at(-1).type],
    ['version', '1.0', 'plan', 'report'],
  )
  const finished = lines.filter(({ type }) => type === 'change-finished').map(({ id, outcome }) => `${id} ${outcome}`)
  assert.deepEqual(finished, ['delete:old:latest skipped', 'pull:a:latest done', 'pull:b:latest failed'])
  assert.equal(lines.at(-1).report.outcome, 'failed')
  assert.equal(lines.at(-1).report.targets[0].results[2].error.code, 'model-not-found')
})

test('the question about deletions says beside each name what speaks for or against it', async (t) => {
  const server = await startServer(t, { models: ['a', { name: 'made', parentModel: 'a' }] })
  const cwd = tempFolder(t, { 'ollama.config.json': { models: ['a'], prune: 'undeclared' } })
  const { stderr } = await runCli(['apply'], { cwd, env: { OLLAMA_HOST: server.url }, answers: ['n'] })
  assert.match(
    stderr,
    /no registry can give them back:\n {2}made:latest {2}frees .*; built from a:latest\nDelete it\? \[y\/N\] /,
  )
  assert.deepEqual(server.installed(), ['a:latest', 'made:latest'])
})

test('apply --json tells an error as a line too', async (t) => {
  const { code, stdout } = await runCli(['apply', '--json', '--yes'], { cwd: tempFolder(t) })
  assert.equal(code, 3)
  const lines = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  assert.deepEqual(
    lines.map(({ type }) => type),
    ['version', 'error'],
  )
  assert.equal(lines[1].error.code, 'config-not-found')
})

test('apply --json tells a wrong flag as lines, too', async (t) => {
  const { code, stdout } = await runCli(['apply', '--json', '--yess'], { cwd: tempFolder(t) })
  assert.equal(code, 3)
  const types = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line).type)
  assert.deepEqual(types, ['version', 'error'])
})

test('apply --wait is over when its time is, also with a server that takes the connection and says nothing', {
  timeout: 20_000,
}, async (t) => {
  const server = await startServer(t, { registry: ['a'] })
  server.fail({ path: '/api/tags' }, { kind: 'stall' })
  const cwd = tempFolder(t, { 'ollama.config.json': { models: ['a'] } })
  const { code, stderr } = await runCli(['apply', '--yes', '--wait', '500ms'], {
    cwd,
    env: { OLLAMA_HOST: server.url },
  })
  assert.equal(code, 1)
  assert.match(stderr, /did not answer in the time given by --wait/)
})

test('apply --wait waits for a server that is still starting', async (t) => {
  const server = await startServer(t, { registry: ['a'] })
  server.fail({ path: '/api/tags' }, { kind: 'refuse' }, 1)
  const cwd = tempFolder(t, { 'ollama.config.json': { models: ['a'] } })
  const { code, stderr } = await runCli(['apply', '--yes', '--wait', '60s'], { cwd, env: { OLLAMA_HOST: server.url } })
  assert.equal(code, 0, stderr)
  assert.match(stderr, /^Waiting for the server to answer/)
  assert.deepEqual(server.installed(), ['a:latest'])
})

test(
  'an interrupted apply exits with 130, says what is left, and the next one goes on from there',
  posix,
  async (t) => {
    const server = await startServer(t, { registry: ['old', large('a'), 'b'] })
    const cwd = tempFolder(t, { 'ollama.config.json': { models: ['old'] } })
    const options = { cwd, env: { OLLAMA_HOST: server.url } }
    // That an apply brought it in is what lets a script delete it where no registry can be asked.
    assert.equal((await runCli(['apply', '--yes'], options)).code, 0)
    writeFileSync(path.join(cwd, 'ollama.config.json'), JSON.stringify({ models: ['a', 'b'], prune: 'undeclared' }))
    const { kill, done } = spawnCli(['apply', '--yes', '--prune'], options)
    await server.waitForRequest({ path: '/api/pull', model: 'a' })
    kill('SIGINT')
    const { code, exitSignal, stdout } = await done
    assert.deepEqual([code, exitSignal], [130, null])
    assert.match(
      stdout,
      /Left to do:\n {4}pull a:latest\n {4}pull b:latest\n {4}delete old:latest\nInterrupted: nothing changed\n/,
    )
    await server.waitForRequest({ path: '/api/pull', aborted: true })
    assert.deepEqual(server.installed(), ['old:latest'])
    server.publish('a')
    const second = await runCli(['apply', '--yes', '--prune'], options)
    assert.equal(second.code, 0)
    assert.deepEqual(server.installed(), ['a:latest', 'b:latest'])
    assert.deepEqual(server.problems, [])
  },
)

test('an interruption before the server answered cancels the request and exits with 130', posix, async (t) => {
  const server = await startServer(t, { registry: ['a'] })
  server.fail({ path: '/api/tags' }, { kind: 'stall' })
  const cwd = tempFolder(t, { 'ollama.config.json': { models: ['a'] } })
  const { kill, done } = spawnCli(['plan'], { cwd, env: { OLLAMA_HOST: server.url } })
  await server.waitForRequest({ path: '/api/tags' })
  kill('SIGTERM')
  assert.equal((await done).code, 130)
  await server.waitForRequest({ path: '/api/tags', aborted: true })
})
