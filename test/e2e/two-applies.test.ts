/** Two applies to one server from this machine: the second waits, says for whom, and finds done what the first one did. */
import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { runCli, spawnCli, startServer, type TestServer, tempFolder } from '../support/run-cli.ts'

const pull = { path: '/api/pull' } as const

async function ready(t: TestContext): Promise<{ readonly server: TestServer; readonly cwd: string }> {
  const server = await startServer(t, { registry: ['model'] })
  return { server, cwd: tempFolder(t, { 'ollama.config.json': { models: ['model'], host: server.url } }) }
}

/** Resolves with what the first line about waiting says. */
function waits(child: ReturnType<typeof spawnCli>['child']): Promise<string> {
  return new Promise((resolve) => {
    let text = ''
    child.stderr?.on('data', (piece: string) => {
      text += piece
      const found = /Waiting for another run of ollama-config: (.*)\n/.exec(text)
      if (found !== null) resolve(found[1] ?? '')
    })
  })
}

test('the second waits for the first, names it, and pulls nothing again', async (t) => {
  const { server, cwd } = await ready(t)
  server.fail(pull, { kind: 'hold' }, 1)
  const first = spawnCli(['apply', '--yes'], { cwd })
  await server.waitForRequest(pull)
  // The three names of this machine are one server.
  const second = spawnCli(['apply', '--yes', '--host', server.url.replace('127.0.0.1', 'localhost')], { cwd })
  assert.match(await waits(second.child), new RegExp(`^process ${first.child.pid}, since 2`))
  server.release()
  const [{ code, stderr }, other] = [await first.done, await second.done]
  assert.deepEqual([code, other.code], [0, 0], `${stderr}${other.stderr}`)
  assert.match(other.stdout, /Done: 1 pulled/)
  assert.equal(server.requests.filter(({ path: at }) => at === pull.path).length, 1)
  assert.deepEqual(server.problems, [])
})

test('Ctrl-C ends the waiting, and kill -9 of the first lets the second go on at once', {
  skip: process.platform === 'win32',
}, async (t) => {
  const { server, cwd } = await ready(t)
  server.fail(pull, { kind: 'hold' }, 1)
  const first = spawnCli(['apply', '--yes'], { cwd })
  await server.waitForRequest(pull)
  const second = spawnCli(['apply', '--yes'], { cwd })
  await waits(second.child)
  second.kill('SIGINT')
  assert.equal((await second.done).code, 130)
  const third = spawnCli(['apply', '--yes'], { cwd })
  await waits(third.child)
  first.kill('SIGKILL')
  assert.equal((await third.done).code, 0)
  assert.deepEqual(server.installed(), ['model:latest'])
  await first.done
})

test('what changes nothing waits for nobody, and a home that cannot be written keeps nobody from applying', async (t) => {
  const { server, cwd } = await ready(t)
  server.fail(pull, { kind: 'hold' }, 1)
  const first = runCli(['apply', '--yes'], { cwd })
  await server.waitForRequest(pull)
  assert.equal((await runCli(['plan'], { cwd })).code, 0)
  server.release()
  assert.equal((await first).code, 0)
  const blocked = path.join(cwd, 'blocked')
  writeFileSync(blocked, 'a file')
  server.remove('model')
  const env = { XDG_STATE_HOME: blocked }
  assert.equal((await runCli(['apply', '--yes'], { cwd, env })).code, 0)
  const readOnly = path.join(cwd, 'read-only')
  mkdirSync(readOnly)
  chmodSync(readOnly, 0o500)
  server.remove('model')
  assert.equal((await runCli(['apply', '--yes'], { cwd, env: { XDG_STATE_HOME: readOnly } })).code, 0)
})
