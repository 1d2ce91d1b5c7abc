/** docs/plugins.md: its plugin and its config, run as they stand there. */
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createModelManager, pullModelsWithValidation } from '../../src/index.ts'
import { hookNames } from '../../src/plugins/spec.ts'
import { runCli, startServer, tempFolder, testRegistryUrl } from '../support/run-cli.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const page = readFileSync(path.join(root, 'docs/plugins.md'), 'utf8')
const blocks = [...page.matchAll(/^```(\w*)\n(.*?)^```$/gms)].map(([, kind = '', text = '']) => ({ kind, text }))

/** The files of the page, by the name in their first line. */
const files = new Map(
  blocks.flatMap(({ kind, text }) => {
    const name = kind === 'ts' ? /^\/\/ (\S+\.ts)\n/.exec(text)?.[1] : undefined
    return name === undefined ? [] : [[name, text] as const]
  }),
)
const outputs = blocks.filter(({ kind }) => kind === '').map(({ text }) => text)

function project(t: TestContext, change: (text: string, name: string) => string = (text) => text): string {
  const cwd = tempFolder(t)
  // Where valibot is.
  symlinkSync(path.join(root, 'node_modules'), path.join(cwd, 'node_modules'), 'junction')
  for (const [name, text] of files) {
    mkdirSync(path.dirname(path.join(cwd, name)), { recursive: true })
    writeFileSync(path.join(cwd, name), change(text, name))
  }
  return cwd
}

const foreign = 'hf.co/someone/model:Q4_K_M'
const vector = JSON.stringify({ embeddings: [Array.from({ length: 384 }, () => 0)] })

test('the page has a config and a plugin, and names every hook', () => {
  assert.deepEqual([...files.keys()], ['ollama.config.ts', 'plugins/team.plugin.ts'])
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
  const cwd = project(t, (text) => text.replace(`, '${foreign}'`, ''))
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

test('the model manager of the page knows the plugin', async (t) => {
  const server = await startServer(t, {
    registry: [{ name: 'all-minilm', capabilities: ['embedding'] }, 'llava'],
  })
  server.fail({ path: '/api/embed' }, { kind: 'body', body: vector })
  const manager = await createModelManager({ discover: './plugins', cwd: project(t) })
  assert.deepEqual(manager.problems, [])
  assert.deepEqual(
    [...(await manager.availableModels())],
    [['all-minilm:latest', { plugin: 'team', contextLength: 512, capabilities: ['embedding'] }]],
  )
  const { config, reference } = await manager.loadModel('qwen3:8b', { registries: [] })
  assert.deepEqual([reference, config], ['qwen3:8b', { registries: [], embeddings: 'all-minilm' }])
  const options = { manager, host: server.url, env: {}, registryUrl: testRegistryUrl }
  const results = await pullModelsWithValidation(['all-minilm', 'llava'], options)
  assert.deepEqual(
    [...results].map(([name, { pulled, valid }]) => [name, pulled, valid]),
    [
      ['all-minilm:latest', true, true],
      ['llava:latest', true, null],
    ],
  )
})
