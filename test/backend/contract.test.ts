/**
 * The contract on memory, on the test server, on a model directory, and on a real server when OLLAMA_TEST_HOST names it: loopback only, since models are pulled
 * and deleted there. OLLAMA_TEST_MODEL is what it pulls (default: all-minilm, 46 MB), OLLAMA_TEST_INSECURE=1 over plain http.
 */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { formatReference, parseReference, sameReference } from '../../src/artifact/reference.ts'
import { parseAddress } from '../../src/backend/address.ts'
import { createHostBackend } from '../../src/backend/http.ts'
import { createStoreBackend } from '../../src/backend/store.ts'
import { isOllamaConfigError } from '../../src/errors.ts'
import { layoutOf } from '../../src/store/layout.ts'
import { assertSound } from '../store/models.ts'
import { makeGguf } from '../support/gguf.ts'
import { MemoryBackend } from '../support/memory-backend.ts'
import { startOllamaServer } from '../support/ollama-server.ts'
import { startRegistry } from '../support/registry.ts'
import { layer } from '../support/world.ts'
import { backendContract, type ContractSubject } from './contract.ts'

async function openTestServer(): Promise<ContractSubject> {
  // Slow enough for a line of every layer, so that a pull can be left in the middle.
  const server = await startOllamaServer({
    models: ['other:1b'],
    registry: [{ name: 'team/wanted:v1', bytesPerTick: 2000 }],
  })
  return {
    backend: createHostBackend({ address: parseAddress(server.url) }),
    available: parseReference('team/wanted:v1'),
    missing: parseReference('team/missing:v1'),
    insecure: false,
    close: async () => {
      await server.close()
      assert.deepEqual(server.problems, [])
      assert.ok(server.installed().includes('other:1b'), 'another model was touched')
    },
  }
}

async function openMemory(): Promise<ContractSubject> {
  const backend = new MemoryBackend(['other:1b'])
  backend.unavailable.add('team/missing:v1')
  const available = parseReference('team/wanted:v1')
  return { backend, available, missing: parseReference('team/missing:v1'), insecure: false, close: async () => {} }
}

async function openStore(): Promise<ContractSubject> {
  const model = (name: string) => ({ name, layers: [layer('model', makeGguf({ name })), layer('license', name)] })
  const remote = await startRegistry({ models: [model('team/wanted:v1'), model('other:1b')] })
  const folder = await mkdtemp(path.join(tmpdir(), 'ollama-config-store-'))
  const backend = createStoreBackend({ folder, registry: { serverVersion: null, env: {}, baseUrl: () => remote.url } })
  for await (const _ of backend.pull(parseReference('other:1b'), { insecure: false }));
  return {
    backend,
    available: parseReference('team/wanted:v1'),
    missing: parseReference('team/missing:v1'),
    insecure: false,
    close: async () => {
      await assertSound(layoutOf(folder))
      const { models } = await backend.readState()
      await rm(folder, { recursive: true })
      await remote.close()
      assert.deepEqual(remote.problems, [])
      assert.ok(
        models.some(({ name }) => name === 'other:1b'),
        'another model was touched',
      )
    },
  }
}

backendContract('memory', openMemory)
backendContract('test server', openTestServer)
backendContract('store', openStore)

const {
  OLLAMA_TEST_HOST: realHost,
  OLLAMA_TEST_MODEL: realModel = 'all-minilm',
  OLLAMA_TEST_INSECURE: realInsecure,
} = process.env

async function openRealServer(): Promise<ContractSubject> {
  const backend = createHostBackend({ address: parseAddress(realHost ?? '') })
  const available = parseReference(realModel)
  const { models } = await backend.readState()
  const found = models.find(({ reference }) => sameReference(reference, available))
  assert.equal(
    found,
    undefined,
    `${realModel} is installed on ${backend.address}; the tests would delete it: name another in OLLAMA_TEST_MODEL`,
  )
  return {
    backend,
    available,
    missing: { ...available, tag: 'no-such-tag-of-ollama-config' },
    insecure: realInsecure === '1',
    close: async () => {
      await backend.delete(formatReference(available)).catch((error: unknown) => {
        if (!isOllamaConfigError(error) || error.code !== 'model-not-found') throw error
      })
    },
  }
}

const skip = whyNot()
if (skip !== false) console.log(`The backend contract does not run on a real server: ${skip}`)
backendContract('real server', openRealServer, { skip, timeoutMs: 600_000 })

function whyNot(): string | false {
  if (realHost === undefined || realHost === '') return 'OLLAMA_TEST_HOST is not set'
  return parseAddress(realHost).loopback
    ? false
    : `OLLAMA_TEST_HOST=${parseAddress(realHost).origin} is not on this machine`
}
