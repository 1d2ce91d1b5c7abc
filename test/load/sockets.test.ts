/** Many changes at once open no more connections than are allowed, and leave none behind. */
import assert from 'node:assert/strict'
import path from 'node:path'
import { test } from 'node:test'
import { makeGguf } from '../support/gguf.ts'
import { layer, world } from '../support/world.ts'

const served = (kind: string, count: number) =>
  Array.from({ length: count }, (_, index) => ({
    name: `${kind}-${index}:1`,
    layers: [layer('model', makeGguf({ name: `${kind} ${index}` }))],
  }))
const pulls = 12
const wanted = served('pull', pulls)
const made = (count: number) => [
  ...Array.from({ length: count }, (_, index) => ({
    name: `build-${index}`,
    from: `pull-${index}:1`,
    system: 'Short.',
  })),
  ...Array.from({ length: count }, (_, index) => ({ name: `alias-${index}`, aliasOf: `pull-${index}:1` })),
]
const config = { models: [...wanted.map(({ name }) => name), ...made(8)], prune: 'undeclared' }

/** Of one registry. */
const manifestsAtOnce = 6
/** Twice the 32 that we have: their answers have no length, so that each ends its connection, and the server sees the next one first. */
const looksAtOnce = 64

test('a plan that looks for many blobs opens few connections to host and registry', async (t) => {
  const many = served('pull', 60)
  const { server, remote, run } = await world(t, many, { models: many.map(({ name }) => name) })
  await run(0, 'plan')
  assert.equal(server.requests.filter(({ method }) => method === 'HEAD').length, 120)
  assert.ok(server.stats.connectionsAtOnce <= looksAtOnce, `${server.stats.connectionsAtOnce} at the server`)
  assert.ok(remote.connectionsAtOnce <= manifestsAtOnce, `${remote.connectionsAtOnce} at the registry`)
})

test('a host pulls as many models at once as were asked for, and each change has one connection', async (t) => {
  const old = served('old', 4)
  const { server, remote, run } = await world(t, [...wanted, ...old], config, { models: old })
  await run(0, 'apply', '--yes', '--prune', '--concurrency', '4')
  assert.ok(server.stats.pullsAtOnce <= 4, `${server.stats.pullsAtOnce} pulls`)
  assert.ok(server.stats.connectionsAtOnce <= looksAtOnce, `${server.stats.connectionsAtOnce} at the server`)
  await run(0, 'check', '--prune')
  assert.equal(server.installed().length, pulls + 16)
  assert.deepEqual([...server.problems, ...remote.problems], [])
})

test('downloads into a store share their connections, whatever is fetched at once', async (t) => {
  const { server, remote, run, cwd } = await world(t, wanted, config)
  const store = `--store=${path.join(cwd, 'models')}`
  await run(0, 'apply', '--yes', '--concurrency', '12', store)
  // Manifests are asked for by name while blobs come: each kind has its own connections, to two names of the registry.
  const allowed = manifestsAtOnce + 2 * 4
  assert.ok(remote.connectionsAtOnce <= allowed, `${remote.connectionsAtOnce} at the registry`)
  await run(0, 'check', store)
  assert.equal(server.requests.length, 0)
  assert.deepEqual(remote.problems, [])
})
