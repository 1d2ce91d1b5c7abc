/** A config in a folder, an Ollama server, and the registry that it pulls from: what a test of whole commands needs. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { TestContext } from 'node:test'
import type { Lock } from '../../src/index.ts'
import { parseLock } from '../../src/record/lock-file.ts'
import { type OllamaServer, type OllamaServerOptions, startOllamaServer } from './ollama-server.ts'
import type { ServedModel, TestRegistry } from './registry.ts'
import { type CliResult, openRegistry, runCli, tempFolder } from './run-cli.ts'

export interface World {
  readonly server: OllamaServer
  readonly remote: TestRegistry
  readonly cwd: string
  /** Runs a command in the config's folder, and expects this exit code. */
  run(code: number, ...words: string[]): Promise<CliResult>
  config(config: object): void
  lock(): Lock
}

export async function world(
  t: TestContext,
  models: (string | ServedModel)[],
  config: object,
  options: OllamaServerOptions = {},
): Promise<World> {
  const remote = await openRegistry(t, { models })
  const server = await startOllamaServer({
    registries: { 'registry.ollama.ai': remote.url, 'r.example': remote.url },
    ...options,
  })
  t.after(() => server.close())
  const cwd = tempFolder(t)
  const write = (value: object) => writeFileSync(path.join(cwd, 'ollama.config.json'), JSON.stringify(value))
  write(config)
  return {
    server,
    remote,
    cwd,
    config: write,
    lock: () => parseLock(readFileSync(path.join(cwd, 'ollama.lock.json'), 'utf8'), 'ollama.lock.json'),
    async run(code, ...words) {
      const result = await runCli(words, { cwd, env: { OLLAMA_HOST: server.url } })
      assert.equal(result.code, code, `${words.join(' ')}: ${result.stdout}${result.stderr}`)
      return result
    },
  }
}

export const layer = (kind: string, bytes: string | Uint8Array) => ({
  mediaType: `application/vnd.ollama.image.${kind}`,
  bytes,
})
export const weights = (seed: number, length = 5000) => layer('model', new Uint8Array(length).fill(seed))
