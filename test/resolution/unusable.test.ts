import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseReference } from '../../src/artifact/reference.ts'
import { parseAddress } from '../../src/backend/address.ts'
import { createHostBackend } from '../../src/backend/http.ts'
import { withUnusable } from '../../src/resolution/unusable.ts'
import { startOllamaServer } from '../support/ollama-server.ts'

test('a server that does not answer in the time for all of them is told, and its models count as usable', async (t) => {
  const names = Array.from({ length: 20 }, (_, index) => `m${index}:latest`)
  const server = await startOllamaServer({ models: names })
  t.after(() => server.close())
  server.fail({ path: '/api/show' }, { kind: 'stall' })
  const backend = createHostBackend({ address: parseAddress(server.url) })
  const desired = {
    models: names.map((name) => ({ reference: parseReference(name), path: 'models', insecure: false })),
    prune: 'undeclared' as const,
    keep: [],
    warnings: [],
  }
  const listed = await backend.readState()
  const options = { desired, recalled: { recorded: new Map(), applied: true }, backend }
  const { actual, diagnostics } = await withUnusable(listed, { ...options, budgetMs: 100 })
  assert.deepEqual(actual, listed)
  assert.match(diagnostics[0]?.message ?? '', /^The server did not tell within 0\.1 s whether "m0:latest" and 19 more/)
  // Those that waited for a turn were not asked at all.
  assert.ok(server.requests.filter(({ path }) => path === '/api/show').length <= 8)
  const gaveUp = new Error('gave up')
  const signal = AbortSignal.abort(gaveUp)
  await assert.rejects(withUnusable(listed, { ...options, budgetMs: 60_000, signal }), (error) => error === gaveUp)
})
