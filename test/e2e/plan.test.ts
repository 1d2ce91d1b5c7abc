import assert from 'node:assert/strict'
import { existsSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import path from 'node:path'
import { test } from 'node:test'
import { formatVersion } from '../../src/plan/plan.ts'
import { runCli, spawnCli, startServer, tempFolder } from '../support/run-cli.ts'

const posix = { skip: process.platform === 'win32' ? 'a signal of Windows ends a process unasked' : false }
const config = (value: object) => ({ 'ollama.config.json': value })

test('plan shows what is missing and what is not declared, and changes nothing', async (t) => {
  const server = await startServer(t, { models: ['a', 'old:7b'], registry: ['b', 'h:1/n/m'], version: '0.33.0' })
  const cwd = tempFolder(t, config({ models: ['a', 'b', { name: 'h:1/n/m', insecure: true }] }))
  const { code, stdout, stderr } = await runCli(['plan'], { cwd, env: { OLLAMA_HOST: server.url } })
  assert.equal(code, 0)
  assert.equal(stderr, '')
  assert.match(
    stdout,
    new RegExp(`^Config  ollama\\.config\\.json
Host    ${server.url} \\(Ollama 0\\.33\\.0\\)

To pull:
  \\+ h:1/n/m:latest  4\\.3 KB, over plain http
  \\+ b:latest        4\\.3 KB

Not in the config \\(deleted only with --prune, or a yes to a second question\\):
  - old:7b          frees up to \\S+ \\S+

Plan: 2 to pull, 1 as declared\\.
Download: 8\\.\\d KB\\.
To do it: ollama-config apply
$`),
  )
  assert.deepEqual(server.installed(), ['a:latest', 'old:7b'])
  assert.deepEqual(server.problems, [])
  assert.deepEqual(server.remote.problems, [])
  assert.ok(server.requests.every(({ method, path }) => method === 'GET' || method === 'HEAD' || path === '/api/show'))
})

test('plan --detailed-exitcode and check count only what the same flags would apply', async (t) => {
  const server = await startServer(t, { models: ['a', 'old:7b'] })
  const env = { OLLAMA_HOST: server.url }
  const cwd = tempFolder(t, config({ models: ['a'] }))
  const codes = async (...words: string[]) => (await runCli(words, { cwd, env })).code
  assert.equal(await codes('plan', '--detailed-exitcode'), 0)
  assert.equal(await codes('plan', '--detailed-exitcode', '--prune'), 2)
  assert.equal(await codes('plan', '--prune'), 0)
  assert.equal(await codes('check'), 0)
  assert.equal(await codes('check', '--prune'), 1)
  const missing = tempFolder(t, config({ models: ['a', 'b', 'c'] }))
  assert.deepEqual(await runCli(['check'], { cwd: missing, env }), {
    code: 1,
    stdout: 'Pending: pull b:latest, pull c:latest. Run: ollama-config apply\n',
    stderr: '',
  })
  assert.equal((await runCli(['check'], { cwd, env })).stdout, 'The declared model is installed.\n')
})

test('plan --json is the plan, the same byte for byte each time', async (t) => {
  const server = await startServer(t, { models: ['a', 'old:7b'] })
  const cwd = tempFolder(t, config({ models: ['b', 'a'] }))
  const first = await runCli(['plan', '--json'], { cwd, env: { OLLAMA_HOST: server.url } })
  const second = await runCli(['plan', '--json'], { cwd, env: { OLLAMA_HOST: server.url } })
  assert.equal(first.stdout, second.stdout)
  const plan = JSON.parse(first.stdout)
  assert.equal(plan.formatVersion, formatVersion)
  assert.deepEqual(
    plan.targets[0].changes.map((change: { id: string }) => change.id),
    ['no-op:a:latest', 'pull:b:latest', 'delete:old:7b'],
  )
  assert.equal(plan.targets[0].changes[2].requires, 'prune')
  assert.deepEqual(plan.targets[0].changes[1].precondition, { digest: null })
  assert.equal(plan.targets[0].changes[2].precondition.digest, `sha256:${server.digests()['old:7b']}`)
})

test('plan --all and --config-only list what is fine', async (t) => {
  const server = await startServer(t, { models: ['a', 'llava:7b'] })
  const cwd = tempFolder(t, config({ models: ['a'], keep: ['llava'] }))
  const all = await runCli(['plan', '--all'], { cwd, env: { OLLAMA_HOST: server.url } })
  assert.match(
    all.stdout,
    /= a:latest {2}installed\n {2}= llava:7b {2}kept by "llava"\n\nNo changes\. The declared model is installed\.\n$/,
  )
  const only = await runCli(['plan', '--config-only'], { cwd, env: { OLLAMA_HOST: 'http://127.0.0.1:9' } })
  assert.deepEqual(only, {
    code: 0,
    stdout: 'ollama.config.json is fine. It declares 1 model:\n  a:latest\n',
    stderr: '',
  })
})

test('a config that another one in the folder hides is told, and what a compiler made of it is not', async (t) => {
  const cwd = tempFolder(t, {
    'ollama.config.json': { models: ['a'] },
    'ollama.config.ts': "export default { models: ['b'] }\n",
    'ollama.config.js': 'made of it',
  })
  const file = path.join(cwd, 'ollama.config.json')
  const run = async (...words: string[]) => (await runCli(['plan', '--config-only', ...words], { cwd })).stdout
  const warning = `  ! "${file}" is not read: "ollama.config.ts" comes before it\n    keep one of the two, or name one with --config FILE\n`
  assert.equal(await run(), `ollama.config.ts declares 1 model:\n  b:latest\n${warning}`)
  assert.equal(await run('--config', file), 'ollama.config.json is fine. It declares 1 model:\n  a:latest\n')
  const server = await startServer(t, { models: ['b'] })
  const whole = await runCli(['plan', '--host', server.url], { cwd })
  assert.ok(whole.stdout.includes(warning))
  rmSync(file)
  assert.match(await run(), /is fine/)
})

test('which host: --host, then the config, then OLLAMA_HOST; custom headers reach it and are printed nowhere', async (t) => {
  const secret = 'Bearer very-secret-token'
  const server = await startServer(t, { models: ['a'], basePath: '/ollama', requireHeaders: { authorization: secret } })
  const nowhere = 'http://127.0.0.1:9'
  const cwd = tempFolder(t, config({ models: ['a'], host: server.url, headers: { Authorization: { env: 'TOKEN' } } }))
  const log = `${cwd}/log.jsonl`
  const good = await runCli(['plan', '--verbose', '--log-file', log, '--json'], {
    cwd,
    env: { OLLAMA_HOST: nowhere, TOKEN: secret },
  })
  assert.equal(good.code, 0, good.stderr)
  const { readFileSync } = await import('node:fs')
  const logged = readFileSync(log, 'utf8')
  assert.match(logged, /"path":"[^"]*\/api\/tags".*"status":200/)
  for (const text of [good.stdout, good.stderr, logged]) assert.ok(!text.includes('very-secret'))
  const flag = await runCli(['plan', '--host', nowhere], { cwd, env: { TOKEN: secret } })
  assert.equal(flag.code, 1)
  assert.match(flag.stderr, /the address comes from --host/)
  const unset = await runCli(['plan'], { cwd })
  assert.equal(unset.code, 3)
  assert.match(unset.stderr, /TOKEN/)
  const refused = await runCli(['plan', '--debug'], { cwd, env: { TOKEN: 'Bearer wrong-secret' } })
  assert.equal(refused.code, 1)
  assert.match(refused.stderr, /headers/)
  assert.ok(!refused.stderr.includes('wrong-secret'))
})

test('user info in an address becomes a header and is printed nowhere', async (t) => {
  const server = await startServer(t, {
    models: ['a'],
    requireHeaders: { authorization: `Basic ${Buffer.from('me:hunter2').toString('base64')}` },
  })
  const cwd = tempFolder(t, config({ models: ['a'] }))
  const { code, stdout, stderr } = await runCli(
    ['plan', '--verbose', '--json', '--host', server.url.replace('://', '://me:hunter2@')],
    { cwd },
  )
  assert.equal(code, 0, stderr)
  assert.ok(!(stdout + stderr).includes('hunter2'))
  assert.deepEqual(server.problems, [])
})

test('bad configs: a clear error, exit 3, no stack trace, and the server is not asked', async (t) => {
  const server = await startServer(t, { models: ['a'] })
  const cases: [Record<string, string | object>, RegExp][] = [
    [{}, /ollama\.config/],
    [{ 'ollama.config.json': '' }, /ollama\.config\.json/],
    [{ 'ollama.config.json': '{ "models": [' }, /ollama\.config\.json/],
    [{ 'ollama.config.ts': '' }, /export default defineConfig/],
    [{ 'ollama.config.ts': 'export default {}' }, /models is missing/],
    [config({ models: 'qwen3' }), /models must be a list of model names: found "qwen3"/],
    [config({ models: ['a'], prun: false }), /prun is not a known key[\s\S]*did you mean "prune"/],
    [config({ models: ['a', 'A:latest'] }), /models\[1\] declares "A:latest".*"a" in models\[0\]/],
    [config({ models: ['not a name'] }), /models\[0\]: Model name "not a name" is not valid/],
    [config({ models: ['a'], host: 'ftp://x' }), /ftp/],
    [{ 'ollama.config.ts': 'export default () => { models: [] }' }, /returned nothing[\s\S]*parentheses/],
    [{ 'ollama.config.ts': 'export default defineConfig({ models: [] })' }, /add import \{ defineConfig \}/],
    [
      {
        'ollama.config.ts': "import { defineConfig } from 'ollama-confg'\nexport default defineConfig({ models: [] })",
      },
      /did you mean "ollama-config"/,
    ],
    [{ 'ollama.config.ts': "export default () => { throw new Error('not today') }" }, /not today/],
    [{ 'ollama.config.ts': 'export default { models: [ }' }, /ollama\.config\.ts:1/],
  ]
  for (const [files, expected] of cases) {
    const cwd = tempFolder(t, files)
    for (const command of ['plan', 'check']) {
      const { code, stdout, stderr } = await runCli([command], { cwd, env: { OLLAMA_HOST: server.url } })
      assert.equal(code, 3, `${JSON.stringify(files)}\n${stderr}`)
      assert.match(stderr, expected)
      assert.match(stderr, /Next: /)
      assert.doesNotMatch(stderr, /^\s+at /m)
      assert.equal(stdout, '')
    }
  }
  assert.deepEqual(server.requests, [])
})

test('bad servers: a clear error with the next step, exit 1, and no stack trace', async (t) => {
  const cwd = tempFolder(t, config({ models: ['a'] }))
  const closed = await freePort()
  const refused = await runCli(['plan'], { cwd, env: { OLLAMA_HOST: `127.0.0.1:${closed}` } })
  assert.equal(refused.code, 1)
  assert.match(refused.stderr, /ollama-config setup/)
  assert.match(refused.stderr, /the address comes from OLLAMA_HOST/)
  const faults = [
    { kind: 'body', body: '<html><body>It works!</body></html>', contentType: 'text/html' },
    { kind: 'body', body: '{"models":[{"name":"a:lat', contentType: 'application/json' },
    { kind: 'body', body: '[]', contentType: 'application/json' },
    { kind: 'corrupt-listing', defect: 'models-missing' },
    { kind: 'corrupt-listing', defect: 'name-number' },
    { kind: 'status', status: 500, body: '{"error":"stat manifests: \\u001b[31mno such file"}' },
    { kind: 'status', status: 403, body: '' },
    { kind: 'status', status: 404, body: '404 page not found' },
    { kind: 'refuse' },
    { kind: 'reset', afterBytes: 20 },
  ] as const
  for (const fault of faults) {
    const server = await startServer(t, { models: ['a', 'old'] })
    server.fail({ path: '/api/tags' }, fault)
    const { code, stdout, stderr } = await runCli(['plan'], { cwd, env: { OLLAMA_HOST: server.url } })
    assert.equal(code, 1, `${JSON.stringify(fault)}: ${stdout}`)
    assert.match(stderr, /^Error: .+\nNext: .+/, JSON.stringify(fault))
    assert.doesNotMatch(stderr, /^\s+at |\u001b/m)
    assert.equal(stdout, '')
  }
})

test('on Deno, plan needs no more permissions than the README says', { skip: !('Deno' in globalThis) }, async (t) => {
  const server = await startServer(t, { models: ['a'] })
  const cwd = tempFolder(t, {
    'ollama.config.ts':
      "import { defineConfig } from 'ollama-config'\nexport default defineConfig({ models: ['a'] })\n",
  })
  const denoPermissions = ['--allow-net', '--allow-read', '--allow-env', '--allow-sys=homedir']
  const { done } = spawnCli(['plan'], { cwd, env: { OLLAMA_HOST: server.url }, denoPermissions })
  const { code, stderr } = await done
  assert.deepEqual([code, stderr], [0, ''])
})

test('on Deno, each permission that is missing is told with its flag, and nothing else is', {
  skip: !('Deno' in globalThis),
}, async (t) => {
  const server = await startServer(t, { models: ['a'] })
  const cwd = tempFolder(t, config({ models: ['a'] }))
  const all = ['net', 'read', 'env', 'sys', 'write', 'run']
  const cases: readonly (readonly [missing: string, code: number, ...words: string[]])[] = [
    ['env', 3, 'plan'],
    ['env', 3, '--help'],
    ['read', 3, 'plan'],
    ['read', 3, 'help', 'stalled'],
    ['net', 3, 'plan'],
    ['net', 1, 'doctor'],
    ['sys', 3, 'plan'],
    ['sys', 1, 'doctor'],
    ['write', 3, 'lock'],
    ['write', 3, 'plan', '--log-file', 'log.txt'],
    ['run', 126, 'exec', '--', 'true'],
  ]
  for (const [missing, expected, ...words] of cases) {
    const denoPermissions = all.filter((name) => name !== missing).map((name) => `--allow-${name}`)
    const { code, stdout, stderr } = await spawnCli(words, { cwd, env: { OLLAMA_HOST: server.url }, denoPermissions })
      .done
    const told = stdout + stderr
    assert.equal(code, expected, `${words.join(' ')} without ${missing}: ${told}`)
    assert.match(told, new RegExp(`(?:Next:|→) run with .*--allow-${missing}`))
    assert.doesNotMatch(told, /NotCapable|ollama-config setup|this is a bug/)
  }
})

test('a reader that leaves early, as in plan | head, is no error', async (t) => {
  const server = await startServer(t, { models: ['a'] })
  const cwd = tempFolder(t, config({ models: ['a'] }))
  const { child, done } = spawnCli(['plan'], { cwd, env: { OLLAMA_HOST: server.url } })
  child.stdout?.destroy()
  const { code, stderr } = await done
  assert.deepEqual([code, stderr], [0, ''])
})

test('a config that leaves something open, or never comes to an end, does not keep the program', {
  timeout: 60_000,
}, async (t) => {
  const server = await startServer(t, { models: ['a'] })
  const run = (text: string) => {
    const cwd = tempFolder(t, { 'ollama.config.mjs': text })
    return spawnCli(['plan'], { cwd, env: { OLLAMA_HOST: server.url } }).done
  }
  const open = await run("setInterval(() => {}, 1000)\nexport default { models: ['a'] }\n")
  assert.equal(open.code, 0, open.stderr)
  assert.match(open.stdout, /No changes/)
  const pending = await run('export default () => new Promise(() => {})\n')
  assert.deepEqual([pending.code, pending.stdout], [3, ''])
  assert.match(pending.stderr, /never finished/)
})

test('a config that ends the program, fails behind its back or prints to stdout is told, and stdout stays JSON', {
  timeout: 60_000,
}, async (t) => {
  const run = async (text: string, ...words: string[]) => {
    const cwd = tempFolder(t, { 'ollama.config.mjs': text })
    const { code, stdout, stderr } = await spawnCli(words, { cwd, env: { OLLAMA_HOST: '127.0.0.1:9' } }).done
    return { code, stderr, lines: stdout.trimEnd().split('\n'), stdout }
  }
  const exit = await run('process.exit(0)', 'plan', '--json')
  assert.equal(exit.code, 3)
  assert.equal(JSON.parse(exit.stdout).error.code, 'config-load-failed')
  assert.match(exit.stderr, /it calls process\.exit\(\)/)
  const applied = await run('process.exit(0)', 'apply', '--json', '--yes')
  assert.equal(applied.code, 3)
  assert.deepEqual(
    applied.lines.map((line) => JSON.parse(line).type),
    ['version', 'error'],
  )
  const command = await run('process.exit(0)', 'exec', '--', process.execPath, '--version')
  assert.deepEqual([command.code, command.stdout], [3, ''])
  const pause = 'await new Promise((resolve) => setTimeout(resolve, 1e4)); export default {}'
  const late = await run(`setTimeout(() => { throw new Error('late') }, 0); ${pause}`, 'plan', '--json')
  assert.equal(late.code, 1)
  assert.equal(JSON.parse(late.stdout).error.message, 'late')
  assert.doesNotMatch(late.stderr, /\n {4}at /)
  const noisy = await run(
    "process.stdout.write('noise'); export default { models: [] }",
    'plan',
    '--json',
    '--config-only',
  )
  assert.equal(noisy.code, 0)
  assert.deepEqual(JSON.parse(noisy.stdout).models, [])
  assert.match(noisy.stderr, /^noise/)
})

test('an interruption ends the wait for a config function', { timeout: 60_000, ...posix }, async (t) => {
  const text =
    "export default () => { console.log('started'); return new Promise((resolve) => setTimeout(resolve, 1e8)) }\n"
  const cwd = tempFolder(t, { 'ollama.config.mjs': text })
  const { child, kill, done } = spawnCli(['plan', '--config-only'], { cwd })
  child.stderr?.once('data', () => kill('SIGINT'))
  assert.equal((await done).code, 130)
})

test('a secret in the place of a variable name is not printed', async (t) => {
  for (const env of ['Bearer hunter2hunter2', 'hf_hunter2hunter2']) {
    const cwd = tempFolder(t, config({ models: ['a'], headers: { Authorization: { env } } }))
    const { code, stdout, stderr } = await runCli(['plan'], { cwd })
    assert.equal(code, 3)
    assert.match(stderr, /no name of one/)
    assert.ok(!(stdout + stderr).includes('hunter2'))
  }
})

test('an address in the config is checked without a server, and an OLLAMA_HOST that is not used is not looked at', async (t) => {
  const wrong = await runCli(['plan', '--config-only'], {
    cwd: tempFolder(t, config({ models: ['a'], host: 'ftp://x' })),
  })
  assert.equal(wrong.code, 3)
  const text = "export default () => ({ models: ['a'], host: 'http://h' })\n"
  const unused = await runCli(['plan', '--config-only'], {
    cwd: tempFolder(t, { 'ollama.config.mjs': text }),
    env: { OLLAMA_HOST: 'ftp://x' },
  })
  assert.equal(unused.code, 0, unused.stderr)
})

test('output that is lost is a failure', { skip: !existsSync('/dev/full') }, async (t) => {
  const cwd = tempFolder(t, config({ models: ['a'] }))
  const { code, stderr } = await spawnCli(['plan', '--config-only'], { cwd, stdoutFile: '/dev/full' }).done
  assert.equal(code, 1)
  assert.match(stderr, /stdout cannot be written/)
})

test('what a config prints does not mix with the JSON on stdout', async (t) => {
  const server = await startServer(t, { models: ['a'] })
  const cwd = tempFolder(t, { 'ollama.config.mjs': "console.log('hello')\nexport default { models: ['a'] }\n" })
  const { code, stdout, stderr } = await spawnCli(['plan', '--json'], { cwd, env: { OLLAMA_HOST: server.url } }).done
  assert.equal(code, 0, stderr)
  assert.equal(JSON.parse(stdout).formatVersion, formatVersion)
  assert.equal(stderr, 'hello\n')
})

test('the command to type next is for the same config and host, and holds no password', async (t) => {
  const server = await startServer(t, {})
  const cwd = tempFolder(t, { 'my models.json': { models: ['a'] } })
  const flags = ['--config', 'my models.json', '--host', server.url]
  const shown = await runCli(['plan', '--prune', ...flags], { cwd })
  assert.match(
    shown.stdout,
    new RegExp(`To do it: ollama-config apply --prune --config ['"]my models\\.json['"] --host ${server.url}\n$`),
  )
  const secret = await runCli(
    ['check', '-c', 'my models.json', '--host', server.url.replace('://', '://me:hunter2@')],
    { cwd },
  )
  assert.equal(secret.code, 1)
  assert.ok(!secret.stdout.includes('hunter2'))
})

test('errors come as JSON too with --json', async (t) => {
  const cwd = tempFolder(t, config({ models: 7 }))
  const { code, stdout } = await runCli(['plan', '--json'], { cwd })
  assert.equal(code, 3)
  const { error } = JSON.parse(stdout)
  assert.equal(error.code, 'config-invalid')
  assert.equal(error.diagnostics[0].path, 'models')
})

test('the bare command says what to type next', async (t) => {
  assert.match(
    (await runCli([], { cwd: tempFolder(t) })).stdout,
    /no ollama\.config\.ts here\. Next:\n {2}ollama-config init /,
  )
  assert.match((await runCli([], { cwd: tempFolder(t, config({ models: [] })) })).stdout, /ollama-config plan/)
})

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })
}
