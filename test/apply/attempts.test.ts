/** When a pull counts as standing still, how long it pauses before the next attempt, and an end in that pause. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { applyTarget } from '../../src/apply/apply.ts'
import type { Event } from '../../src/apply/events.ts'
import { StallWatch, type Standing } from '../../src/apply/stall-watch.ts'
import { type ErrorCode, OllamaConfigError } from '../../src/errors.ts'
import type { Target } from '../../src/plan/plan.ts'
import { pull } from '../cli/views/events.ts'
import { MemoryBackend } from '../support/memory-backend.ts'

const target: Target = {
  address: 'http://127.0.0.1:11434',
  kind: 'host',
  serverVersion: '0.33.0',
  changes: [pull('a:latest')],
  drift: [],
  diagnostics: [],
}
const options = { approve: { changes: true, deletions: false }, now: () => 0 }

function unreachable(): MemoryBackend {
  const backend = new MemoryBackend([])
  backend.before = (step) => {
    if (step.startsWith('pull ')) throw new OllamaConfigError('registry-unreachable', 'No way', { retryable: true })
  }
  return backend
}

test('the pauses double, each shortened by chance to half of it at most', async () => {
  const pauses: number[] = []
  for await (const event of applyTarget(target, { ...options, backend: unreachable(), retryPauseMs: 4 })) {
    if (event.type === 'change-retrying') pauses.push(event.pauseMs)
  }
  assert.equal(pauses.length, 4)
  for (const [index, pause] of pauses.entries())
    assert.ok(pause >= 2 * 2 ** index && pause <= 4 * 2 ** index, `${pauses}`)
})

test('damaged bytes are fetched once more, whatever broke off before', async () => {
  const codesOf = async (...failures: readonly ErrorCode[]) => {
    const left = [...failures]
    const backend = new MemoryBackend([])
    backend.before = (step) => {
      const code = step.startsWith('pull ') ? left.shift() : undefined
      if (code !== undefined) throw new OllamaConfigError(code, 'No', { retryable: true })
    }
    for await (const event of applyTarget(target, { ...options, backend, retryPauseMs: 0 }))
      if (event.type === 'change-finished') return event.error?.code ?? `done, ${event.attempts}`
    return undefined
  }
  assert.equal(await codesOf('digest-mismatch'), 'done, 2')
  assert.equal(await codesOf('stream-ended', 'digest-mismatch'), 'done, 3')
  assert.equal(await codesOf('digest-mismatch', 'stream-ended', 'stream-ended'), 'done, 4')
  assert.equal(await codesOf('digest-mismatch', 'stream-ended', 'digest-mismatch'), 'digest-mismatch')
})

test('what is not there after a success is pulled once more, whatever broke off before', async () => {
  for (const [vanishes, expected] of [
    [1, 'done, 3'],
    [2, 'model-not-found'],
  ] as const) {
    const backend = new MemoryBackend([])
    let pulls = 0
    let left: number = vanishes
    backend.before = (step) => {
      if (step.startsWith('pull ') && ++pulls === 1)
        throw new OllamaConfigError('stream-ended', 'No', { retryable: true })
      // As a server answers when a part of the model was deleted meanwhile.
      if (step.startsWith('show ') && left-- > 0)
        throw new OllamaConfigError('model-not-found', 'No', { details: { path: '/api/show' } })
    }
    const ends: string[] = []
    for await (const event of applyTarget(target, { ...options, backend, retryPauseMs: 0 }))
      if (event.type === 'change-finished') ends.push(event.error?.code ?? `done, ${event.attempts}`)
    assert.deepEqual([ends, pulls], [[expected], 3])
  }
})

test('an end in the pause is an end, and the change was cancelled', async () => {
  const controller = new AbortController()
  const events: Event[] = []
  const run = applyTarget(target, { ...options, backend: unreachable(), signal: controller.signal, retryPauseMs: 3e6 })
  for await (const event of run) {
    events.push(event)
    if (event.type === 'change-retrying') controller.abort(new Error('enough'))
  }
  const [finished, end] = events.slice(-2)
  assert.ok(finished?.type === 'change-finished' && finished.outcome === 'cancelled')
  assert.deepEqual(end, { type: 'apply-finished', outcome: 'interrupted' })
})

/** How long it may go on so after the last of these; `null`: for ever. */
function patienceAfter(...all: Standing[]): number | null {
  let nowMs = 0
  let endMs: number | null = null
  const watch = new StallWatch('It', 100, (ms) => {
    endMs = nowMs + ms
    return () => {
      endMs = null
    }
  })
  for (const standing of all) {
    nowMs += 10
    watch.see(standing)
  }
  return endMs === null ? null : endMs - nowMs
}

test('only bytes and new words are movement; hashing takes as long as its size, and waiting for others for ever', () => {
  const at = (bytes: number, doing = 'pulling 01') => ({ doing, bytes })
  const hashing = { doing: 'verifying', bytes: 0, hashedBytes: 5_000_000 }
  const waiting = { doing: 'pulling 01', bytes: 0, waiting: true }
  assert.equal(patienceAfter(), 100)
  assert.equal(patienceAfter(at(0, 'pulling manifest')), 100)
  assert.equal(patienceAfter(at(0, 'pulling manifest'), at(0, 'pulling manifest')), 90)
  assert.equal(patienceAfter(at(5), at(5), at(5)), 80)
  assert.equal(patienceAfter(at(5), at(6)), 100)
  assert.equal(patienceAfter(at(5), at(4)), 90, 'a part that is tried again')
  assert.equal(patienceAfter(at(5), at(4), at(5)), 100)
  assert.equal(patienceAfter(at(5), at(5, 'pulling 02')), 100)
  assert.equal(patienceAfter(at(5), hashing), 600)
  assert.equal(patienceAfter(at(5), hashing, at(0, 'writing manifest')), 100)
  assert.equal(patienceAfter(at(5), waiting), null)
  assert.equal(patienceAfter(at(5), waiting, waiting), null)
  assert.equal(patienceAfter(waiting, at(0)), 100)
})

test('the error names the model, the time and what to do', async () => {
  const watch = new StallWatch('The pull of "a:latest"', 1)
  await new Promise<void>((resolve) => watch.signal.addEventListener('abort', () => resolve()))
  assert.ok(watch.signal.reason instanceof OllamaConfigError)
  assert.equal(watch.signal.reason.code, 'stalled')
  assert.match(watch.signal.reason.hint ?? '', /--stall-timeout/)
})

test('whoever lost the place while suspended changes nothing more', async () => {
  class Lost extends MemoryBackend {
    override async hold() {
      const busy = new OllamaConfigError('store-busy', 'Another process took over the host')
      return { assertHeld: () => Promise.reject(busy), release: async () => {} }
    }
  }
  const backend = new Lost([])
  const codes: unknown[] = []
  for await (const event of applyTarget(target, { ...options, backend })) {
    if (event.type === 'change-finished') codes.push(event.error?.code)
  }
  assert.deepEqual([codes, backend.done], [['store-busy'], []])
})
