/**
 * The contract on memory, on the test server, and on a real one when OLLAMA_TEST_HOST names it: loopback only, since models are pulled
 * and deleted there. OLLAMA_TEST_MODEL is what it pulls (default: all-minilm, 46 MB), OLLAMA_TEST_INSECURE=1 over plain http.
 */
import assert from 'node:assert/strict'
import { formatReference, parseReference, sameReference } from '../../src/artifact/reference.ts'
import { parseAddress } from '../../src/backend/address.ts'
import { createHostBackend } from '../../src/backend/http.ts'
import { isOllamaConfigError } from '../../src/errors.ts'
import { MemoryBackend } from '../support/memory-backend.ts'
import { startOllamaServer } from '../support/ollama-server.ts'
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

backendContract('memory', openMemory)
backendContract('test server', openTestServer)

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
