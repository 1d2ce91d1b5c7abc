/** When a pull counts as standing still, how long it pauses before the next attempt, and an end in that pause. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { applyTarget } from '../../src/apply/apply.ts'
import type { Event } from '../../src/apply/events.ts'
import { StallWatch } from '../../src/apply/stall-watch.ts'
import type { PullProgress } from '../../src/backend/backend.ts'
import { OllamaConfigError } from '../../src/errors.ts'
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
  assert.equal(pauses.length, 3)
  for (const [index, pause] of pauses.entries())
    assert.ok(pause >= 2 * 2 ** index && pause <= 4 * 2 ** index, `${pauses}`)
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

/** How long it may go on so after the last of these lines; `null`: for ever. */
function patienceAfter(...lines: (PullProgress & { readonly waiting?: boolean })[]): number | null {
  let nowMs = 0
  let endMs: number | null = null
  const watch = new StallWatch('a:latest', 100, (ms) => {
    endMs = nowMs + ms
    return () => {
      endMs = null
    }
  })
  for (const { waiting = false, ...line } of lines) {
    nowMs += 10
    const { status, completedBytes = null } = line
    watch.see(line, { type: 'change-progress', id: 'a', status, completedBytes, totalBytes: 5_000_000, waiting })
  }
  return endMs === null ? null : endMs - nowMs
}

test('only bytes and new statuses are movement; hashing takes as long as its size, and waiting for others for ever', () => {
  const at = (completedBytes: number, digest = 'sha256:01') => ({ status: 'pulling', digest, completedBytes })
  const hashing = { status: 'verifying sha256 digest' }
  const waiting = { status: 'pulling', digest: 'sha256:01', waiting: true }
  assert.equal(patienceAfter(), 100)
  assert.equal(patienceAfter({ status: 'pulling manifest' }), 100)
  assert.equal(patienceAfter({ status: 'pulling manifest' }, { status: 'pulling manifest' }), 90)
  assert.equal(patienceAfter(at(5), at(5), at(5)), 80)
  assert.equal(patienceAfter(at(5), at(6)), 100)
  assert.equal(patienceAfter(at(5), at(4)), 90, 'a part that is tried again')
  assert.equal(patienceAfter(at(5), at(4), at(5)), 100)
  assert.equal(patienceAfter(at(5), at(5, 'sha256:02')), 100)
  assert.equal(patienceAfter(at(5), hashing), 600)
  assert.equal(patienceAfter(at(5), hashing, { status: 'writing manifest' }), 100)
  assert.equal(patienceAfter(at(5), waiting), null)
  assert.equal(patienceAfter(at(5), waiting, waiting), null)
  assert.equal(patienceAfter(waiting, at(0)), 100)
})

test('the error names the model, the time and what to do', async () => {
  const watch = new StallWatch('a:latest', 1)
  await new Promise<void>((resolve) => watch.signal.addEventListener('abort', () => resolve()))
  assert.ok(watch.signal.reason instanceof OllamaConfigError)
  assert.equal(watch.signal.reason.code, 'pull-stalled')
  assert.match(watch.signal.reason.hint ?? '', /--stall-timeout/)
})
