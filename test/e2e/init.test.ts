/** `init`: what it writes loads, says what is there, and leaves a plan with nothing to do. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { initConfig, isOllamaConfigError, loadConfig } from '../../src/index.ts'
import { makeGguf } from '../support/gguf.ts'
import type { DeriveFields } from '../support/ollama-server.ts'
import type { ServedModel } from '../support/registry.ts'
import { openRegistry, runCli, spawnCli, tempFolder, testRegistryUrl } from '../support/run-cli.ts'
import { layer, type World, weights, world } from '../support/world.ts'

const base: ServedModel = {
  name: 'base',
  layers: [
    layer('model', makeGguf({ name: 'base' })),
    layer('template', '{{ .Prompt }} <&>'),
    layer('params', '{"stop":["<|end|>"],"temperature":0.7}'),
    layer('license', 'Free'),
  ],
}

/** A host that has these, and no config, lock file or record. */
async function host(t: TestContext, models: (string | ServedModel)[], pulled: readonly unknown[]): Promise<World> {
  const made = await world(t, models, { models: pulled })
  await made.run(0, 'apply', '--yes')
  rmSync(path.join(made.cwd, 'ollama.config.json'))
  rmSync(path.join(made.cwd, '.home'), { recursive: true })
  return made
}

const read = ({ cwd }: World) => readFileSync(path.join(cwd, 'ollama.config.ts'), 'utf8')

async function declaredBy({ cwd }: World) {
  const { config } = await loadConfig({ cwd })
  return { models: config.models, keep: config.keep ?? [] }
}

async function copy({ server }: World, source: string, destination: string): Promise<void> {
  const answer = await fetch(`${server.url}/api/copy`, {
    method: 'POST',
    body: JSON.stringify({ source, destination }),
  })
  assert.equal(answer.status, 200)
}

async function assertNothingToDo(made: World, ...flags: string[]): Promise<void> {
  const plan = await made.run(0, 'plan', '--prune', '--detailed-exitcode', ...flags)
  assert.match(plan.stdout, /No changes/)
  assert.deepEqual(made.server.problems, [])
}

test('what is installed is declared as it was made, and a plan has nothing to do', async (t) => {
  const made = await host(t, [base, 'other', { name: 'r.example/team/x:1' }], ['base', 'other', 'r.example/team/x:1'])
  const { server } = made
  const derive = (name: string, fields: DeriveFields, from = 'base') => server.derive(name, from, fields)
  derive('reviewer', {
    system: 'You review.\nBe `kind`, ${never} \\n rude.',
    parameters: { num_ctx: 4096, stop: ['END'] },
  })
  derive('again', { parameters: { num_ctx: 8192 } }, 'reviewer')
  derive('texts', {
    template: '{{ .System }}\n{{ .Prompt }}"',
    license: ['Only\nhere'],
    messages: [
      { role: 'user', content: "It's you?" },
      { role: 'assistant', content: 'Yes\r\n\u202eno' },
    ],
  })
  derive('newer', { parameters: { brand_new: [1] } })
  server.install({ name: 'gpt:120b-cloud', remoteHost: 'https://ollama.com:443', remoteModel: 'gpt:120b' })
  await copy(made, 'base', 'second')
  await copy(made, 'reviewer', 'critic')
  const { stdout, stderr } = await made.run(0, 'init', '--from-installed')
  assert.equal(stderr, '')
  assert.equal(stdout, 'Wrote ollama.config.ts with 10 models, as installed.\nNext: ollama-config plan\n')
  assert.deepEqual(await declaredBy(made), {
    models: [
      'base:latest',
      'gpt:120b-cloud',
      'other:latest',
      'r.example/team/x:1',
      {
        name: 'again:latest',
        from: 'reviewer:latest',
        parameters: { num_ctx: 8192 },
      },
      {
        name: 'reviewer:latest',
        from: 'base:latest',
        system: 'You review.\nBe `kind`, ${never} \\n rude.',
        parameters: { num_ctx: 4096, stop: ['END'] },
      },
      { name: 'newer:latest', from: 'base:latest', allowUnknownParameters: true, parameters: { brand_new: 1 } },
      {
        name: 'texts:latest',
        from: 'base:latest',
        template: '{{ .System }}\n{{ .Prompt }}"',
        license: 'Only\nhere',
        messages: [
          { role: 'user', content: "It's you?" },
          { role: 'assistant', content: 'Yes\r\n\u202eno' },
        ],
      },
      { name: 'critic:latest', aliasOf: 'reviewer:latest' },
      { name: 'second:latest', aliasOf: 'base:latest' },
    ],
    keep: [],
  })
  // What hides or reorders text in an editor is written as an escape.
  assert.doesNotMatch(read(made), /[\u202e\r]/)
  await assertNothingToDo(made)
  await assertNothingToDo(made, '--offline')
})
