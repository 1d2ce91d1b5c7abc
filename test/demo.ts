/**
 * `npm start`: the main job, shown in a few seconds with nothing installed. A stand-in for Ollama (the test server) on
 * loopback, a config in a temporary folder, and the built command, run as a user would.
 */
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { startOllamaServer } from './support/ollama-server.ts'

const root = path.resolve(fileURLToPath(new URL('..', import.meta.url)))
const megabyte = 1_000_000

const slowly = (name: string, megabytes: number) => ({
  name,
  layers: [{ mediaType: 'application/vnd.ollama.image.model', size: megabytes * megabyte }],
  bytesPerTick: 12 * megabyte,
  tickMs: 60,
})

const server = await startOllamaServer({
  models: [
    { name: 'qwen3:8b', size: 5225 * megabyte },
    { name: 'llava:7b', size: 4733 * megabyte },
  ],
  registry: [slowly('all-minilm:latest', 90), slowly('llama3.2:1b', 640), 'qwen3:8b'],
})
const folder = mkdtempSync(path.join(tmpdir(), 'ollama-config-demo-'))

try {
  mkdirSync(path.join(folder, 'node_modules'))
  symlinkSync(root, path.join(folder, 'node_modules/ollama-config'), 'junction')
  say('A machine has qwen3:8b and llava:7b. This is its ollama.config.ts:')
  config(['qwen3:8b', 'all-minilm'])
  await command('plan')
  await command('apply', '--yes', '--no-prune')
  say('Now the config changes: one model more.')
  config(['qwen3:8b', 'all-minilm', 'llama3.2:1b'])
  await command('apply', '--yes', '--prune')
  await command('plan')
  say(`That was a stand-in for Ollama, in memory. Your own, in a folder of yours:

  cat > ollama.config.ts <<'END'
  import { defineConfig } from 'ollama-config'

  export default defineConfig({ models: ['all-minilm'] })
  END
  node ${path.join(root, 'dist/cli/main.js')} plan`)
} finally {
  rmSync(folder, { recursive: true, force: true })
  await server.close()
}

function config(models: readonly string[]): void {
  const list = models.map((name) => `'${name}'`).join(', ')
  const text = `import { defineConfig } from 'ollama-config'

export default defineConfig({
  models: [${list}],
  prune: 'undeclared',
})
`
  writeFileSync(path.join(folder, 'ollama.config.ts'), text)
  console.log(`\n${text.trimEnd().replaceAll(/^/gm, '  │ ')}`)
}

function say(text: string): void {
  console.log(`\n${text}`)
}

function command(...args: readonly string[]): Promise<void> {
  console.log(`\n$ ollama-config ${args.join(' ')}`)
  return new Promise((resolve, reject) => {
    const env = { ...process.env, OLLAMA_HOST: server.url }
    const child = spawn(process.execPath, [path.join(root, 'dist/cli/main.js'), ...args], {
      cwd: folder,
      env,
      stdio: 'inherit',
    })
    child.on('error', reject)
    child.on('close', (code) =>
      code === 0 ? resolve() : reject(new Error(`ollama-config ${args.join(' ')} exited with ${code}`)),
    )
  })
}
