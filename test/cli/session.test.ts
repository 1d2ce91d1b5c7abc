/** What commands begin with, and that they all do it alike: the folder, the server, the wait for it. */
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { runCli, startServer, tempFolder } from '../support/run-cli.ts'

test('every command waits for a server that is starting, and says so in the same way', async (t) => {
  const server = await startServer(t, { models: ['a'] })
  const cwd = tempFolder(t, { 'ollama.config.json': { models: ['a'] } })
  const options = { cwd, env: { OLLAMA_HOST: server.url } }
  assert.equal((await runCli(['plan', '--out', 'saved.json'], options)).code, 0)
  assert.equal((await runCli(['lock'], options)).code, 0)
  const commands = [
    ['plan'],
    ['apply', '--yes'],
    ['apply', 'saved.json'],
    ['check'],
    ['exec', '--check'],
    ['outdated'],
    ['update', '--yes'],
    ['update', '--lock-only'],
    ['lock'],
    // These go on to say why they cannot, which takes an answer of the server.
    ['rollback', 'a', '--yes'],
    ['verify'],
    ['collect'],
    ['init', '--from-installed', '--offline', '--cwd', tempFolder(t)],
  ]
  for (const words of commands) {
    server.fail({ path: '/api/tags' }, { kind: 'refuse' }, 1)
    const after = words[0] === 'exec' ? ['--', 'no-such-program'] : []
    const { stderr } = await runCli([...words, '--wait', '60s', ...after], options)
    assert.match(stderr, /^Waiting for the server to answer …\n/, words.join(' '))
    assert.doesNotMatch(stderr, /the address comes from/, words.join(' '))
  }
})

test('a folder that is not there is told alike by every command that takes --cwd', async (t) => {
  const cwd = tempFolder(t, { 'ollama.config.json': { models: [] }, file: 'no folder' })
  const commands = [
    ...[
      'plan',
      'apply',
      'check',
      'outdated',
      'update',
      'lock',
      'verify',
      'collect',
      'init',
      'plugins',
      'setup',
      'doctor',
    ],
    ...['rollback a', 'apply saved.json', 'update --lock-only', 'collect --store', 'verify --all', 'exec -- node'],
  ]
  for (const name of ['gone', 'file']) {
    const folder = path.join(cwd, name)
    for (const command of commands) {
      const [word = '', ...rest] = command.split(' ')
      const yes = ['apply', 'update'].includes(word) && rest.length === 0 ? ['--yes'] : []
      const { code, stdout, stderr } = await runCli([word, '--cwd', name, ...yes, ...rest], { cwd })
      assert.equal(code, 3, command)
      assert.equal(stdout, '', command)
      assert.equal(stderr, `Error: There is no folder "${folder}"\nNext: check --cwd\n`, command)
    }
  }
})

test('where no server answers, it is told where the address came from, with a config and without', async (t) => {
  const server = await startServer(t, { models: ['a'] })
  const cwd = tempFolder(t, { 'ollama.config.json': { models: ['a'] } })
  const bare = tempFolder(t)
  const env = { OLLAMA_HOST: server.url }
  assert.equal((await runCli(['plan', '--out', path.join(bare, 'saved.json')], { cwd, env })).code, 0)
  server.fail({ path: '/api/tags' }, { kind: 'refuse' })
  for (const folder of [cwd, bare]) {
    for (const words of [['verify', '--all'], ['collect'], ['apply', path.join(bare, 'saved.json')]]) {
      const told = await runCli(words, { cwd: folder, env })
      assert.match(told.stderr, /^Next: .*; the address comes from OLLAMA_HOST$/m, words.join(' '))
      const flagged = await runCli([...words, '--host', server.url], { cwd: folder })
      assert.match(flagged.stderr, /^Next: .*; the address comes from --host$/m, words.join(' '))
    }
  }
  writeFileSync(path.join(cwd, 'ollama.config.json'), JSON.stringify({ models: ['a'], host: server.url }))
  const { stderr } = await runCli(['lock'], { cwd })
  assert.match(stderr, /^Next: .*; the address comes from the config$/m)
})

test('check and exec --check tell the next step of a plan that cannot be applied, in the same line', async (t) => {
  const server = await startServer(t, { models: ['a'] })
  const cwd = tempFolder(t, {
    'ollama.config.mjs': `
      import { definePlugin } from 'ollama-config'
      const review = () => [{ severity: 'error', code: 'no', message: 'Not today', hint: 'see "ollama-config plan"' }]
      const policy = definePlugin({ apiVersion: 1, name: 'policy', review })
      export default { models: ['a'], host: '${server.url}', plugins: [policy()] }
    `,
  })
  const line = 'policy: Not today. Next: see "ollama-config plan --config ollama.config.mjs"\n'
  const check = await runCli(['check', '--config', 'ollama.config.mjs'], { cwd })
  assert.deepEqual([check.code, check.stdout, check.stderr], [1, line, ''])
  const exec = await runCli(['exec', '--check', '--config', 'ollama.config.mjs', '--', 'no-such-program'], { cwd })
  assert.deepEqual([exec.code, exec.stdout, exec.stderr], [1, '', line])
})

test('what goes on without a config does not where there is one that cannot be read: it may name another server', async (t) => {
  const cwd = tempFolder(t)
  mkdirSync(path.join(cwd, 'ollama.config.json'))
  for (const words of [['collect'], ['verify', '--all']]) {
    const { code, stderr } = await runCli(words, { cwd })
    assert.equal(code, 3, words.join(' '))
    assert.match(stderr, /ollama\.config\.json" is not a file but a folder/)
  }
  const { stderr } = await runCli(['setup'], { cwd, env: { OLLAMA_HOST: 'http://127.0.0.1:9' } })
  assert.match(stderr, /its "host" is not known: .*is not a file but a folder/)
})
