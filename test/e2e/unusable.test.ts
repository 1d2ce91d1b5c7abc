/** Models that are listed and of no use, as whole commands: none of them says that all is well, and apply brings back what can be had. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { OllamaServerOptions } from '../support/ollama-server.ts'
import { openRegistry, runCli, startServer, tempFolder } from '../support/run-cli.ts'
import { layer } from '../support/world.ts'

const host = { models: ['a', 'b'], prune: 'undeclared' }

async function onServer(t: TestContext, options: OllamaServerOptions) {
  const server = await startServer(t, options)
  const cwd = tempFolder(t, { 'ollama.config.json': host })
  const run = runner(cwd, server.url)
  return { server, run }
}

function runner(cwd: string, address: string) {
  return async (code: number, ...words: string[]) => {
    const { stdout, stderr, ...result } = await runCli(words, { cwd, env: { OLLAMA_HOST: address } })
    assert.equal(result.code, code, `${words.join(' ')}: ${stdout}${stderr}`)
    return `${stdout}${stderr}`
  }
}

const command = ['exec', '--check', '--', process.execPath, '--version']

test('a model of which the server lost a part is told, and nothing replaces it unasked', async (t) => {
  const { server, run } = await onServer(t, { models: ['a', 'b'] })
  await run(0, 'apply', '--yes')
  // Another version, which no apply has seen.
  server.install({ name: 'a', revision: 'by hand' })
  server.publish({ name: 'a', revision: 'newer' })
  server.loseBlob(server.stored('a').layers[0]?.digest ?? '')
  const before = server.digests()
  const told = /"a:latest" is installed, and cannot be used: a part of it is missing/
  assert.match(await run(0, 'plan'), told)
  assert.match(await run(1, 'check'), told)
  assert.match(await run(1, ...command), told)
  assert.match(await run(1, 'apply', '--yes'), told)
  assert.deepEqual(server.digests(), before)
  server.remove('a')
  assert.match(await run(0, 'apply', '--yes'), /Done: 1 pulled\n/)
  await run(0, 'check')
  await run(0, ...command)
})

test('an update that is asked for replaces it, and a locked version is what comes back', async (t) => {
  const { server, run } = await onServer(t, { models: ['b'] })
  await run(1, 'apply', '--yes')
  server.install('a')
  await run(0, 'lock')
  const [digest] = [server.digests()['a:latest']]
  server.loseBlob(server.stored('a').layers[0]?.digest ?? '')
  server.publish({ name: 'a', revision: 'newer' })
  await run(1, 'apply', '--yes', '--frozen', '--offline')
  assert.equal(server.digests()['a:latest'], digest)
  assert.match(await run(0, 'update', 'a', '--yes'), /Done: 1 updated\n/)
  assert.notEqual(server.digests()['a:latest'], digest)
  await run(0, 'check')
})

test('before the first apply nothing is asked of models, and what one recorded is not asked again', async (t) => {
  const { server, run } = await onServer(t, { models: ['a', 'b'] })
  const shows = () => server.requests.filter(({ path }) => path === '/api/show').length
  await run(0, 'plan')
  await run(0, 'apply', '--yes')
  await run(0, 'check')
  assert.equal(shows(), 0)
  server.install({ name: 'a', revision: 'by hand' })
  await run(0, 'check')
  assert.equal(shows(), 1)
})

test('a model that the server cannot read fails each apply, and no command calls it fine', async (t) => {
  const { server, run } = await onServer(t, { models: ['b'], registry: ['a'] })
  const broken = { kind: 'status', status: 500, body: '{"error":"invalid file magic"}' } as const
  server.fail({ path: '/api/show', model: 'a' }, broken)
  for (let times = 0; times < 2; times++) {
    assert.match(await run(1, 'apply', '--yes'), /a:latest[\s\S]*invalid file magic[\s\S]*Failed: 1 /)
    await run(1, 'check')
    assert.match(await run(0, 'plan'), /cannot be used: the server says "invalid file magic"\n/)
    await run(1, ...command)
  }
  server.heal()
  await run(0, 'check')
})

test('a server that is busy, and a proxy before it, say nothing of its models', async (t) => {
  const { server, run } = await onServer(t, { models: ['a', 'b'] })
  await run(0, 'apply', '--yes')
  server.install({ name: 'a', revision: 'by hand' })
  for (const [status, body] of [
    [503, '{"error":"server busy"}'],
    [500, '<html>Internal Server Error</html>'],
  ] as const) {
    server.fail({ path: '/api/show' }, { kind: 'status', status, body }, 2)
    assert.match(await run(0, 'plan'), /No changes/)
  }
})

test('weights from a registry that are none fail each apply to a store, and no command calls them sound', async (t) => {
  await openRegistry(t, {
    models: [
      { name: 'a', layers: [layer('model', 'no weights')] },
      { name: 'c', layers: [layer('model', 'neither')] },
    ],
  })
  const cwd = tempFolder(t, { 'ollama.config.json': { models: ['a', { name: 'mine', from: 'c', system: 'Hi' }] } })
  const run = runner(cwd, '127.0.0.1:9')
  for (let times = 0; times < 2; times++) {
    const text = await run(1, 'apply', '--yes', '--store=models')
    assert.match(text, /"a:latest" cannot be read\. The weights are no GGUF file/)
    assert.match(text, /"c:latest" cannot be read\. The weights are no GGUF file/)
    await run(1, 'check', '--store=models')
    assert.match(await run(0, 'plan', '--store=models'), /"a:latest" is installed, and cannot be used: .*no GGUF file/)
    await run(1, ...command.toSpliced(1, 0, '--store=models'))
    const verified = await run(1, 'verify', '--store=models', '--all')
    assert.match(
      verified,
      /damaged {3}a:latest .*model: no server can load it\n.*\n.*hint: its bytes are those of its registry/,
    )
    assert.match(verified, /2 damaged, 1 not installed\.\n/)
    assert.doesNotMatch(verified, /To fetch again|To write again/)
  }
})
