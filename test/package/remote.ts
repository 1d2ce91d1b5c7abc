/**
 * The command as JSR serves it, on Deno: `node --import tsx test/package/remote.ts DENO`.
 *
 * There the sources are modules of a web server, and packages are named as JSR writes them when it takes a package. What is no file
 * cannot be read, cannot start a thread, and cannot be imported by a config as those of an installed package are.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const [deno = 'deno'] = process.argv.slice(2)
const root = fileURLToPath(new URL('../..', import.meta.url))
const read = (file: string) => readFileSync(path.join(root, file), 'utf8')
const { dependencies }: { dependencies: Readonly<Record<string, string>> } = JSON.parse(read('package.json'))
const { exports }: { exports: Readonly<Record<string, string>> } = JSON.parse(read('jsr.json'))

const server = createServer((request, response) => {
  const file = new URL(request.url ?? '', 'http://localhost').pathname.slice(1)
  if (!/^(?:src|plugins)\/[\w/-]+\.ts$/.test(file)) return void response.writeHead(404).end()
  let text = read(file)
  for (const [name, version] of Object.entries(dependencies))
    text = text.replaceAll(new RegExp(`((?:\\bfrom |\\bimport\\()')${name}(?=[/'])`, 'g'), `$1npm:${name}@${version}`)
  response.setHeader('content-type', 'application/typescript').end(text)
})
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
const address = server.address()
assert.ok(typeof address === 'object' && address !== null)
const main = new URL(exports['./cli'] ?? '', `http://127.0.0.1:${address.port}/`).href

const cwd = realpathSync(mkdtempSync(path.join(tmpdir(), 'ollama-config-remote-')))
// Kept between runs for the packages of npm; our own modules come from another port each time.
const cache = path.join(root, 'test/runtimes/node_modules/.deno')
mkdirSync(cache, { recursive: true })

try {
  const config = `import { defineConfig } from 'ollama-config'
import persona from 'ollama-config/plugins/persona'
const own = persona({ name: 'own', from: 'a', role: 'a poet' })
export default defineConfig({ models: ['a'], plugins: [own] })
`
  writeFileSync(path.join(cwd, 'ollama.config.ts'), config)
  assert.match(await run(0, 'plan', '--config-only'), /own:latest \(from a:latest\)/)
  assert.match(await run(0, 'demo'), /No changes\. The 2 declared models are installed\./)
  writeFileSync(path.join(cwd, 'ollama.config.ts'), "import { none } from 'ollama-config'\nexport default { none }\n")
  assert.match(await run(3, 'plan', '--config-only'), /ollama\.config\.ts/)
  console.log('JSR: plugins, the demo and a mistake in a config')
} finally {
  server.close()
  rmSync(cwd, { recursive: true, force: true })
  rmSync(path.join(cache, 'remote'), { recursive: true, force: true })
}

/** What it wrote. */
function run(expected: number, ...words: readonly string[]): Promise<string> {
  const child = spawn(deno, ['run', '--allow-all', '--no-check', '--no-prompt', main, ...words], {
    cwd,
    env: { ...process.env, DENO_DIR: cache, DENO_NO_UPDATE_CHECK: '1', NO_COLOR: '1', XDG_STATE_HOME: cwd },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 120_000,
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => {
      if (code === expected) resolve(output)
      else reject(new Error(`${words.join(' ')} ended with ${code}: ${output}`))
    })
  })
}
