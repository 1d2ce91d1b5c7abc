/** What is looked at for models that are built: when a registry is asked, and for how long. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { resolveConfig } from '../../src/config/resolve.ts'
import { asDeclared, nothingResolved } from '../../src/plan/resolution.ts'
import type { ManifestRequest, RegistryClient } from '../../src/registry/registry.ts'
import { resolveBuilds } from '../../src/resolution/builds.ts'
import { MemoryBackend } from '../support/memory-backend.ts'
import { tempFolder } from '../support/run-cli.ts'

test('the time for registries begins with the first question: files may have been read for a minute before', async (t) => {
  const folder = tempFolder(t)
  writeFileSync(path.join(folder, 'lora.gguf'), 'GGUF')
  const models = [{ name: 'tuned', from: 'base', adapters: './lora.gguf' }]
  const { desired } = resolveConfig({ models }, { folder })
  const backend = new MemoryBackend(['base', 'tuned'])
  const overWhenAsked: (boolean | undefined)[] = []
  const registry: RegistryClient = {
    manifest: async ({ signal }: ManifestRequest) => {
      overWhenAsked.push(signal?.aborted)
      return { kind: 'missing' }
    },
    blob: async () => null,
    close: () => {},
  }
  await resolveBuilds({
    desired,
    actual: await backend.readState(),
    resolution: nothingResolved,
    intent: asDeclared,
    backend,
    local: false,
    // As long as the time for registries takes, if it had begun already.
    readFile: async () => {
      const over = AbortSignal.timeout(0)
      while (!over.aborted) await setImmediate()
      return { digest: `sha256:${'ab'.repeat(32)}`, sizeBytes: 4, modifiedMs: 0 }
    },
    openRegistry: async () => registry,
    budgetMs: 0,
  })
  assert.deepEqual(overWhenAsked, [false])
})
