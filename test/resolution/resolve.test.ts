import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseReference, referenceKey } from '../../src/artifact/reference.ts'
import type { ManifestAnswer } from '../../src/artifact/served.ts'
import { resolveConfig } from '../../src/config/resolve.ts'
import { asDeclared, nothingResolved } from '../../src/plan/resolution.ts'
import type { ManifestRequest, RegistryClient } from '../../src/registry/registry.ts'
import type { Recalled } from '../../src/resolution/recall.ts'
import { resolvePlan } from '../../src/resolution/resolve.ts'
import { MemoryBackend } from '../support/memory-backend.ts'

const digest = (fill: string) => `sha256:${fill.repeat(64).slice(0, 64)}`

function found(fill: string): ManifestAnswer {
  const layers = [{ mediaType: 'm', digest: digest(fill), sizeBytes: 1 }]
  return {
    kind: 'found',
    served: { digest: digest(`${fill}f`), text: '', manifest: { config: null, layers }, pushedAt: null },
  }
}

class Registry implements RegistryClient {
  closed = 0
  readonly #answer: (request: ManifestRequest) => Promise<ManifestAnswer>
  constructor(answer: (request: ManifestRequest) => Promise<ManifestAnswer>) {
    this.#answer = answer
  }
  manifest(request: ManifestRequest) {
    return this.#answer(request)
  }
  async blob() {
    return null
  }
  close() {
    this.closed++
  }
}

interface More {
  readonly budgetMs?: number
  readonly signal?: AbortSignal
  readonly backend?: MemoryBackend
  readonly recalled?: Recalled
}

function resolve(registry: Registry, more: More = {}) {
  const backend = more.backend ?? new MemoryBackend()
  const { desired } = resolveConfig({ models: ['a', 'b'] })
  return resolvePlan({
    desired,
    actual: { serverVersion: null, models: [], unreadable: [] },
    recalled: { ...nothingResolved, applied: false, inputs: new Map() },
    intent: asDeclared,
    backend,
    offline: false,
    openRegistry: async () => registry,
    budgetMs: 20,
    hint: 'wait longer',
    ...more,
  })
}

const key = (name: string) => referenceKey(parseReference(name))
const untilAborted = ({ signal }: ManifestRequest) =>
  new Promise<never>((_, reject) => {
    if (signal?.aborted) reject(signal.reason)
    else signal?.addEventListener('abort', () => reject(signal.reason))
  })

test('a registry that does not answer within the budget is unknown, and what others said stays', async () => {
  const registry = new Registry((request) =>
    request.reference.model === 'a' ? untilAborted(request) : Promise.resolve(found('1')),
  )
  const { answers, blobs } = await resolve(registry)
  const late = answers.get(key('a'))
  assert.ok(late?.kind === 'unknown')
  assert.match(late.problem, /did not answer within 0\.02 s/)
  assert.equal(late.hint, 'wait longer')
  assert.equal(answers.get(key('b'))?.kind, 'found')
  assert.deepEqual([...blobs], [[digest('1'), false]])
  assert.equal(registry.closed, 1)
})

test('what a store has by the lock file alone is looked for in the store, and asked of nobody', async () => {
  const asked: string[] = []
  const registry = new Registry(({ reference }) => {
    asked.push(reference.model)
    return Promise.resolve(found('2'))
  })
  const manifest = { config: null, layers: [{ mediaType: 'm', digest: digest('1'), sizeBytes: 1 }] }
  const pins = new Map([[key('a'), { digest: digest('9'), manifest }]])
  const recalled = { ...nothingResolved, applied: false, inputs: new Map(), pins }
  const backend = new MemoryBackend([], 'store')
  backend.blobs.add(digest('1'))
  const { blobs, kind, fetchesByDigest } = await resolve(registry, { backend, recalled })
  assert.deepEqual(asked, ['b'])
  assert.deepEqual(
    [...blobs],
    [
      [digest('1'), true],
      [digest('2'), false],
    ],
  )
  assert.deepEqual([kind, fetchesByDigest], ['store', true])
  // With nothing left to ask, nobody is even turned to.
  pins.set(key('b'), { digest: digest('8'), manifest })
  assert.equal((await resolve(registry, { backend, recalled })).answers.size, 0)
  assert.deepEqual([asked, registry.closed], [['b'], 1])
})

test('an abort is thrown as it is, also while the host is asked about blobs', async () => {
  const reason = new Error('stop')
  const leaving = new AbortController()
  const registry = new Registry(untilAborted)
  const first = resolve(registry, { signal: leaving.signal, budgetMs: 60_000 })
  leaving.abort(reason)
  await assert.rejects(first, (error) => error === reason)
  assert.equal(registry.closed, 1)
  const later = new AbortController()
  const backend = new MemoryBackend()
  backend.before = () => later.abort(reason)
  const second = resolve(new Registry(async () => found('1')), { signal: later.signal, backend })
  await assert.rejects(second, (error) => error === reason)
})

test('each blob is asked about once, and one that the host fails on is unknown', async () => {
  const backend = new MemoryBackend()
  const asked: string[] = []
  backend.before = (step) => {
    asked.push(step)
    throw new Error('no luck')
  }
  const { blobs } = await resolve(new Registry(async () => found('1')), { backend })
  assert.deepEqual(asked, [`blob ${digest('1')}`])
  assert.equal(blobs.size, 0)
})
