/**
 * `npm start`: the main job, shown in a few seconds with nothing installed. Stand-ins for Ollama and its registry (those of the
 * tests) on loopback, a config in a temporary folder, and the command.
 */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { run } from '../src/cli/run.ts'
import { startOllamaServer } from './support/ollama-server.ts'
import { startRegistry } from './support/registry.ts'

const root = path.resolve(fileURLToPath(new URL('..', import.meta.url)))
const megabyte = 1_000_000

const slowly = (name: string, megabytes: number) => ({
  name,
  layers: [{ mediaType: 'application/vnd.ollama.image.model', size: megabytes * megabyte }],
  fill: { repeat: new Uint8Array([7]) },
  bytesPerTick: 12 * megabyte,
  tickMs: 60,
})

const installed = [
  { name: 'qwen3:8b', size: 5225 * megabyte },
  { name: 'llava:7b', size: 4733 * megabyte },
]
const pulled = [slowly('all-minilm:latest', 90), slowly('llama3.2:1b', 640)]
const server = await startOllamaServer({ models: installed, registry: [...pulled, 'qwen3:8b'] })
const registry = await startRegistry({ models: [...installed, ...pulled] })
const folder = mkdtempSync(path.join(tmpdir(), 'ollama-config-demo-'))

try {
  mkdirSync(path.join(folder, 'node_modules'))
  symlinkSync(root, path.join(folder, 'node_modules/ollama-config'), 'junction')
  say('A machine has qwen3:8b and llava:7b. This is its ollama.config.ts:')
  config(["'qwen3:8b'", "'all-minilm'"])
  await command('plan')
  await command('apply', '--yes', '--no-prune')
  say('Now the config changes: one model more, and one of our own, built from it.')
  config(["'qwen3:8b'", "'all-minilm'", reviewer('You review diffs.')])
  await command('apply', '--yes', '--prune')
  say('Its prompt changes. Nothing else is touched, and what is equal is not built again.')
  config(["'qwen3:8b'", "'all-minilm'", reviewer('You review diffs. Be brief.')])
  await command('plan')
  await command('apply', '--yes', '--no-prune')
  await command('plan')
  say('Pinned for the team, and a look at what has moved on since.')
  await command('lock')
  registry.publish({ name: 'qwen3:8b', revision: 'newer' })
  await command('outdated')
  say(`Those were stand-ins for Ollama and its registry. Your own, in a folder of yours:

  cat > ollama.config.ts <<'END'
  import { defineConfig } from 'ollama-config'

  export default defineConfig({ models: ['all-minilm'] })
  END
  node ${path.join(root, 'dist/cli/main.js')} plan`)
} finally {
  rmSync(folder, { recursive: true, force: true })
  await Promise.all([server.close(), registry.close()])
}

function reviewer(system: string): string {
  return `{ name: 'reviewer', from: 'llama3.2:1b', system: '${system}', parameters: { num_ctx: 8192 } }`
}

/** @param models In the language of the config */
function config(models: readonly string[]): void {
  const text = `import { defineConfig } from 'ollama-config'

export default defineConfig({
  models: [
${models.map((model) => `    ${model},`).join('\n')}
  ],
  prune: 'undeclared',
})
`
  writeFileSync(path.join(folder, 'ollama.config.ts'), text)
  console.log(`\n${text.trimEnd().replaceAll(/^/gm, '  │ ')}`)
}

function say(text: string): void {
  console.log(`\n${text}`)
}

/** In this process, with everything that a terminal gives, so that the registry can be a stand-in too. */
async function command(...words: readonly string[]): Promise<void> {
  console.log(`\n$ ollama-config ${words.join(' ')}`)
  const { env, platform } = process
  const code = await run(words, {
    stdout: process.stdout,
    stderr: process.stderr,
    stdin: process.stdin,
    env: { ...env, OLLAMA_HOST: server.url, XDG_STATE_HOME: folder },
    cwd: folder,
    platform,
    signal: new AbortController().signal,
    registryUrl: () => registry.url,
  })
  if (code !== 0) throw new Error(`ollama-config ${words.join(' ')} exited with ${code}`)
}
