/** What a test can make the registry do wrong. */
import assert from 'node:assert/strict'
import { type AskOptions, ask, small, weights, withRegistry } from './registry/ask.ts'
import type { TestRegistry } from './registry.ts'

withRegistry('answers can be held back, or never come', { models: ['small'], latencyMs: 1 }, async (registry) => {
  registry.fail({ kind: 'manifest' }, { kind: 'hold' }, 1)
  registry.fail({ method: 'HEAD' }, { kind: 'stall' })
  const held = ask(registry, small)
  await registry.waitForRequest({ kind: 'manifest' })
  const stalled = assert.rejects(ask(registry, small, { method: 'HEAD' }))
  await registry.waitForRequest({ method: 'HEAD' })
  registry.fail({}, { kind: 'slow', ms: 1 })
  assert.equal((await ask(registry, small)).status, 200)
  assert.deepEqual(
    registry.requests.map(({ status }) => status),
    [0, 0, 200],
  )
  assert.equal(registry.mostAtOnce, 3)
  registry.release()
  assert.equal((await held).status, 200)
  await registry.close()
  await stalled
  assert.equal(registry.requests[1]?.aborted, true)
})

withRegistry('answers can be cut, wrong, or of somebody else', { models: ['small'] }, async (registry) => {
  const { manifest, digest } = registry.content('small')
  const blob = `/cdn/${weights(registry, 'small')}`
  const once = async (fault: Parameters<TestRegistry['fail']>[1], path = small, options: AskOptions = {}) => {
    registry.fail({}, fault, 1)
    return await ask(registry, path, options)
  }
  const busy = await once({ kind: 'status', status: 503, body: 'busy', headers: { 'Retry-After': '7' } })
  assert.deepEqual([busy.status, busy.text, busy.headers['retry-after']], [503, 'busy', '7'])
  await assert.rejects(once({ kind: 'reset' }), { code: 'ECONNRESET' })
  const cut = await once({ kind: 'reset', afterBytes: 10 })
  assert.deepEqual([cut.text, cut.whole], [manifest.slice(0, 10), false])
  const half = await once({ kind: 'truncate' })
  assert.deepEqual([half.text, half.whole], [manifest.slice(0, Math.floor(manifest.length / 2)), false])
  assert.equal(half.headers['content-length'], String(manifest.length))
  const lie = await once({ kind: 'lie' })
  assert.deepEqual(
    [lie.text === manifest, lie.text.length, lie.headers['docker-content-digest']],
    [false, manifest.length, digest],
  )
  assert.doesNotThrow(() => JSON.parse(lie.text))
  assert.equal((await once({ kind: 'lie' }, blob, { headers: { Range: 'bytes=0-1' } })).text, '\u0001\u0001')
  const away = await once({ kind: 'redirect', to: 'http://a.example/', status: 302 })
  assert.deepEqual([away.status, away.headers.location], [302, 'http://a.example/'])
  assert.equal((await once({ kind: 'redirect-loop' })).headers.location, `${registry.url}${small}`)
  assert.match((await once({ kind: 'html' })).text, /^<!doctype html>/)
  const garbage = await once({ kind: 'garbage' })
  assert.throws(() => JSON.parse(garbage.text))
  assert.equal((await once({ kind: 'drip', bytes: 100 }, blob)).text.length, 4096)
  assert.equal((await once({ kind: 'drip' })).text, manifest)
  const huge = await once({ kind: 'huge' }, small, { leaveAfter: 1_000_000 })
  assert.equal(huge.text.length > 1_000_000, true)
  await registry.waitForRequest({ aborted: true, kind: 'manifest' })
  assert.deepEqual(registry.problems, [])
})

withRegistry('faults have an order, a number and an end', { models: ['small', 'other'] }, async (registry) => {
  registry.fail({ name: 'small' }, { kind: 'status', status: 500 }, 1)
  registry.fail({}, { kind: 'status', status: 429 })
  const status = async () => (await ask(registry, small)).status
  assert.deepEqual([await status(), await status(), await status()], [500, 429, 429])
  registry.heal()
  assert.equal(await status(), 200)
})
