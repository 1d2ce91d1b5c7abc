/**
 * Pulls into a store over a network in which anything goes wrong: each ends with the right bytes or with a clear error, never with a
 * model that is wrong, and without faults the next one succeeds. FAULT_SEEDS says how many (default 24), FAULT_SEED runs one again.
 */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { parseReference } from '../../src/artifact/reference.ts'
import { createStoreBackend } from '../../src/backend/store.ts'
import { isOllamaConfigError } from '../../src/errors.ts'
import { makeGguf } from '../support/gguf.ts'
import { madeUpBytes } from '../transfer/blob-server.ts'
import { type FaultyRegistry, startFaultyRegistry } from './faulty-registry.ts'

const reference = parseReference('team/model:v1')
const layers = [
  // Parts of it are fetched at once.
  Buffer.concat([makeGguf({ name: 'faulty' }), madeUpBytes(400 * 1024)]),
  Buffer.from('A licence.\n'),
]
const clear =
  /^(registry-error|registry-unreachable|digest-mismatch|model-not-found|registry-unauthorized|locked-version-gone)$/

const one = process.env['FAULT_SEED']
const seeds =
  one === undefined
    ? Array.from({ length: Number(process.env['FAULT_SEEDS'] ?? 24) }, (_, index) => index + 1)
    : [Number(one)]

test(`faults of the network, ${seeds.length} seeds`, { timeout: 3_600_000 }, async (t) => {
  const outcomes = { done: 0, failed: 0, faults: 0 }
  // One after the other would wait for the pauses.
  assert.ok(seeds.length > 0, 'FAULT_SEEDS is no number')
  const waiting = [...seeds]
  const work = async () => {
    for (let seed = waiting.shift(); seed !== undefined; seed = waiting.shift()) {
      const registry = await startFaultyRegistry(seed, layers)
      const folder = await mkdtemp(path.join(tmpdir(), 'ollama-config-faults-'))
      try {
        const failed = await pullOnce(registry, folder, seed)
        outcomes[failed ? 'failed' : 'done']++
        outcomes.faults += registry.faults.length
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error)
        // Nobody else begins: this one is told.
        waiting.length = 0
        throw new Error(`seed ${seed}, again with FAULT_SEED=${seed}: ${message}\n${registry.faults.join('\n')}`, {
          cause: error,
        })
      } finally {
        await registry.close()
        await rm(folder, { recursive: true, force: true })
      }
    }
  }
  await Promise.all(Array.from({ length: 8 }, work))
  t.diagnostic(`${outcomes.done} pulled, ${outcomes.failed} failed clearly, ${outcomes.faults} faults`)
  if (seeds.length > 20) assert.ok(outcomes.done > 0 && outcomes.failed > 0, 'it was too easy, or too hard')
})

/** @returns whether the pull failed */
async function pullOnce(registry: FaultyRegistry, folder: string, seed: number): Promise<boolean> {
  const backend = createStoreBackend({
    folder,
    connections: 3,
    registry: { serverVersion: null, env: {}, baseUrl: () => registry.url, timeoutMs: 500, pauseMs: 1 },
    download: { partBytes: 64 * 1024, pauseMs: 1, attempts: 5, silenceMs: 250 },
  })
  const pull = async (manifest?: string) => {
    for await (const _ of backend.pull(reference, { insecure: true, manifest }));
  }
  let failed = false
  try {
    // Every second one is locked, so that its manifest is known.
    await pull(seed % 2 === 0 ? registry.manifest : undefined)
  } catch (error) {
    failed = true
    assert.ok(isOllamaConfigError(error) && clear.test(error.code), String(error))
    assert.ok(error.message.length > 20 && error.hint !== undefined, error.message)
  }
  const { models, unreadable } = await backend.readState()
  assert.deepEqual(unreadable, [])
  assert.equal(models.length, failed ? 0 : 1)
  if (!failed) await assertWhole(registry, folder)
  registry.heal()
  await pull(registry.manifest)
  await assertWhole(registry, folder)
  assert.equal((await backend.show('team/model:v1')).weights.length, 1)
  return failed
}

async function assertWhole({ manifest, blobs }: FaultyRegistry, folder: string): Promise<void> {
  const tag = path.join(folder, 'manifests/registry.ollama.ai/team/model/v1')
  assert.equal(await readFile(tag, 'utf8'), manifest)
  for (const [digest, bytes] of blobs) {
    const file = path.join(folder, 'blobs', digest.replace(':', '-'))
    assert.ok(existsSync(file), `${digest} is missing`)
    assert.ok(bytes.equals(await readFile(file)), `${digest} is wrong`)
  }
}
