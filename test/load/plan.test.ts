/** Plans of very many models, and readers of them that stop early or take their time. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { commandWords } from '../support/built.ts'
import { runCli, tempFolder } from '../support/run-cli.ts'

/** Lists so many models, and knows nothing else: the test server would take longer to have them than this whole file. */
async function listing(t: TestContext, count: number): Promise<string> {
  const models = Array.from({ length: count }, (_, index) => ({
    name: `team-${index % 50}/model-${index}:1`,
    digest: index.toString(16).padStart(64, '0'),
    size: 1_000_000,
  }))
  const text = JSON.stringify({ models })
  const server = createServer((request, response) => {
    response.end(request.url === '/api/tags' ? text : '{"version":"0.33.0"}')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const config = { models: ['team-1/model-1:1'], keep: ['team-1/*', 'team-2/model-*:*'] }

test('130,000 listed models are planned and shown', async (t) => {
  // No function takes as many arguments, which is what spreading a list into one comes to.
  const env = { OLLAMA_HOST: await listing(t, 130_000) }
  const text = await runCli(['plan', '--all'], { cwd: tempFolder(t, { 'ollama.config.json': config }), env })
  assert.equal(text.code, 0, text.stderr)
  assert.equal(text.stdout.match(/^ {2}- /gm)?.length, 130_000 - 5200)
  assert.equal(text.stdout.match(/^ {2}= /gm)?.length, 5200)
})

/** More than a pipe takes at once. */
const many = 5000

function spawnPlan(cwd: string, env: Readonly<Record<string, string>>) {
  const child = spawn(process.execPath, [...commandWords(), 'plan'], {
    cwd,
    env: { PATH: process.env['PATH'], HOME: cwd, XDG_STATE_HOME: cwd, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const ended = new Promise<{ readonly code: number | null; readonly stderr: string }>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, stderr }))
  })
  return { stdout: child.stdout, ended }
}

test('a reader that takes its time gets all of a long plan', async (t) => {
  const env = { OLLAMA_HOST: await listing(t, many) }
  const cwd = tempFolder(t, { 'ollama.config.json': config })
  const expected = await runCli(['plan'], { cwd, env })
  const { stdout, ended } = spawnPlan(cwd, env)
  let text = ''
  for await (const chunk of stdout.setEncoding('utf8')) {
    text += chunk
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
  }
  assert.ok(text.length > 200_000)
  assert.equal(text, expected.stdout)
  assert.deepEqual(await ended, { code: 0, stderr: expected.stderr })
})

test('a reader that leaves ends a long plan, without a word', async (t) => {
  const env = { OLLAMA_HOST: await listing(t, many) }
  const { stdout, ended } = spawnPlan(tempFolder(t, { 'ollama.config.json': config }), env)
  await new Promise((resolve) => stdout.once('data', resolve))
  stdout.destroy()
  assert.deepEqual(await ended, { code: 0, stderr: '' })
})
