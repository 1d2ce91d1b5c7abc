/** The main job on the runtime that runs this file, for one whose test runner lacks parts of node:test. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { startOllamaServer } from './support/ollama-server.ts'
import { spawnCli } from './support/run-cli.ts'

const server = await startOllamaServer({ models: ['old'], registry: ['a', 'b'] })
const cwd = mkdtempSync(path.join(tmpdir(), 'ollama-config-smoke-'))
try {
  writeFileSync(
    path.join(cwd, 'ollama.config.ts'),
    "import { defineConfig } from 'ollama-config'\nexport default defineConfig({ models: ['a', 'b'] })\n",
  )
  const steps: [words: string[], code: number, expected: RegExp][] = [
    [['--version'], 0, /^\d+\.\d+\.\d+\n$/],
    [['plan', '--detailed-exitcode'], 2, /Plan: 2 to pull, 0 as declared\./],
    [['apply'], 3, /--yes/],
    [['apply', '--yes'], 0, /Done: 2 pulled, 0 deleted/],
    [['check'], 0, /All 2 declared models are installed\./],
    [['plan', '--json'], 0, /"formatVersion": "1\.0"/],
  ]
  for (const [words, expectedCode, expected] of steps) {
    const { code, stdout, stderr } = await spawnCli(words, { cwd, env: { OLLAMA_HOST: server.url } }).done
    assert.equal(code, expectedCode, `${words.join(' ')}: ${stdout}${stderr}`)
    assert.match(stdout + stderr, expected)
  }
  assert.deepEqual(server.installed(), ['a:latest', 'b:latest', 'old:latest'])
  assert.deepEqual(server.problems, [])
} finally {
  rmSync(cwd, { recursive: true, force: true })
  await server.close()
}
