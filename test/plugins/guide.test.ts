/** docs/plugins.md: its plugin and its config, run as they stand there. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { hookNames } from '../../src/plugins/spec.ts'
import { builtPackage, isNode } from '../support/built.ts'
import { runCli, startServer, tempFolder } from '../support/run-cli.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const page = readFileSync(path.join(root, 'docs/plugins.md'), 'utf8')
const blocks = [...page.matchAll(/^```(\w*)\n(.*?)^```$/gms)].map(([, kind = '', body = '']) => ({ kind, body }))

/** The files of the page, by the name in their first line. */
const files = new Map(
  blocks.flatMap(({ kind, body }) => {
    const name = kind === '' ? undefined : /^\/\/ (\S+\.m?[jt]s)\n/.exec(body)?.[1]
    return name === undefined ? [] : [[name, body] as const]
  }),
)
const outputs = blocks.filter(({ kind }) => kind === '').map(({ body }) => body)

function project(t: TestContext, change: (text: string, name: string) => string = (given) => given): string {
  const cwd = tempFolder(t)
  // Where valibot is.
  symlinkSync(path.join(root, 'node_modules'), path.join(cwd, 'node_modules'), 'junction')
  for (const [name, body] of files) {
    mkdirSync(path.dirname(path.join(cwd, name)), { recursive: true })
    writeFileSync(path.join(cwd, name), change(body, name))
  }
  return cwd
}

const foreign = 'hf.co/someone/model:Q4_K_M'
const vector = JSON.stringify({ embeddings: [Array.from({ length: 384 }, () => 0)] })

test('the page has a config and a plugin, and names every hook', () => {
  assert.deepEqual([...files.keys()], ['ollama.config.ts', 'plugins/team.plugin.ts', 'models.mjs'])
  for (const hook of hookNames) assert.ok(page.includes(`| \`${hook}(`), hook)
})

test('plan says what the page says', async (t) => {
  const server = await startServer(t, { registry: ['qwen3:8b', 'all-minilm', foreign] })
  const { code, stdout } = await runCli(['plan'], { cwd: project(t), env: { OLLAMA_HOST: server.url } })
  assert.equal(code, 1)
  const [shown = ''] = outputs
  assert.ok(stdout.includes(shown), stdout)
  assert.match(stdout, /\+ all-minilm:latest/)
})

test('plugins says what the page says', async (t) => {
  const { code, stdout } = await runCli(['plugins'], { cwd: project(t) })
  assert.equal(code, 0)
  assert.equal(stdout, `${outputs[1]}\n1 plugin.\n`)
})

test('without the model that it refuses the config is applied, and the embedding model tried', async (t) => {
  const server = await startServer(t, { registry: ['qwen3:8b', 'all-minilm'] })
  const cwd = project(t, (body) => body.replace(`, '${foreign}'`, ''))
  const env = { OLLAMA_HOST: server.url }
  server.fail({ path: '/api/embed' }, { kind: 'body', body: '{"embeddings":[[1]]}' }, 1)
  const failed = await runCli(['apply', '--yes'], { cwd, env })
  assert.equal(failed.code, 1, failed.stdout + failed.stderr)
  assert.match(failed.stdout, /x team: all-minilm:latest gives no vector of 384 numbers/)
  server.remove('all-minilm')
  server.fail({ path: '/api/embed' }, { kind: 'body', body: vector }, 1)
  const { code, stdout, stderr } = await runCli(['apply', '--yes'], { cwd, env })
  assert.equal(code, 0, stdout + stderr)
  assert.deepEqual(server.installed(), ['all-minilm:latest', 'qwen3:8b'])
})

test('the program of the page prints what the page says, where nothing but what it names is installed', {
  skip: isNode ? false : 'it is run with node',
}, async (t) => {
  const server = await startServer(t, {
    registry: [{ name: 'all-minilm', capabilities: ['embedding'] }, 'llava'],
  })
  server.fail({ path: '/api/embed' }, { kind: 'body', body: vector })
  const cwd = project(t)
  rmSync(path.join(cwd, 'node_modules'))
  mkdirSync(path.join(cwd, 'node_modules'))
  const installed = { 'ollama-config': builtPackage(), valibot: path.join(root, 'node_modules/valibot') }
  for (const [name, folder] of Object.entries(installed))
    symlinkSync(folder, path.join(cwd, 'node_modules', name), 'junction')
  // Registries are asked by way of nobody.
  const own = { HOME: cwd, XDG_STATE_HOME: cwd, HTTPS_PROXY: 'http://127.0.0.1:9', OLLAMA_HOST: server.url }
  const child = spawn(process.execPath, ['models.mjs'], {
    cwd,
    env: { PATH: process.env['PATH'], ...own },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  assert.equal(await text(child.stdout), outputs[2])
  assert.deepEqual(server.installed(), ['all-minilm:latest', 'llava:latest'])
})
