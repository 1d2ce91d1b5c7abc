/** The main job, from the first plan to a check, with whatever runs the command: for runtimes that run no tests, and for the package. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { startOllamaServer } from './ollama-server.ts'
import type { CliResult } from './run-cli.ts'

/** An `enum` takes a compiler: Node strips types, but leaves that to others. */
const config = `import { type Config, defineConfig } from 'ollama-config'

enum Model {
  A = 'a',
  B = 'b',
}

export default defineConfig({ models: [Model.A, Model.B] } satisfies Config)
`

/**
 * @param run starts the command with these words and this environment in `cwd`
 * @param cwd where the config is written to
 */
export async function doMainJob(
  run: (words: readonly string[], env: Readonly<Record<string, string>>) => Promise<CliResult>,
  cwd: string,
): Promise<void> {
  const server = await startOllamaServer({ models: ['old'], registry: ['a', 'b'] })
  try {
    writeFileSync(path.join(cwd, 'ollama.config.ts'), config)
    const steps: [words: string[], code: number, expected: RegExp][] = [
      [['--version'], 0, /^\d+\.\d+\.\d+\n$/],
      [['plan', '--detailed-exitcode'], 2, /Plan: 2 to pull, 0 as declared\./],
      [['apply'], 3, /--yes/],
      [['apply', '--yes'], 0, /Done: 2 pulled/],
      [['check'], 0, /All 2 declared models are installed\./],
      [['plan', '--json'], 0, /"formatVersion": "1\.0"/],
    ]
    for (const [words, expectedCode, expected] of steps) {
      const { code, stdout, stderr } = await run(words, { OLLAMA_HOST: server.url })
      assert.equal(code, expectedCode, `${words.join(' ')}: ${stdout}${stderr}`)
      assert.match(stdout + stderr, expected)
    }
    assert.deepEqual(server.installed(), ['a:latest', 'b:latest', 'old:latest'])
    assert.deepEqual(server.problems, [])
  } finally {
    await server.close()
  }
}
