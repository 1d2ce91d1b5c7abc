import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createPlainView } from '../../../src/cli/views/plain.ts'
import { began, deletion, ended, progressed, pull, started } from './events.ts'

function record() {
  const lines: string[] = []
  const clock = { ms: 1_000_000 }
  const view = createPlainView({ write: (line) => lines.push(line), now: () => clock.ms })
  return { lines, clock, view }
}

test('each model says at most one line of progress in 5 s', () => {
  const { lines, clock, view } = record()
  const [a, b] = [pull('a:latest'), pull('b:latest')]
  view.handle(started(a, b))
  view.handle(began(a))
  view.handle(began(b))
  for (let step = 0; step <= 110; step++) {
    view.handle(progressed(a, step * 1e7, 2e9))
    if (step < 60) view.handle(progressed(b, null, null, { status: 'pulling manifest' }))
    clock.ms += 100
  }
  assert.deepEqual(lines, [
    'a:latest: pulling',
    'b:latest: pulling',
    'a:latest: 25%, 500 MB / 2 GB, 100 MB/s, 15s left',
    'b:latest: pulling manifest',
    'a:latest: 50%, 1 / 2 GB, 100 MB/s, 10s left',
  ])
})

test('that another process is waited for is said at once', () => {
  const { lines, view } = record()
  view.handle({ type: 'waiting', holder: 'process 4711, since 10:15:00' })
  assert.deepEqual(lines, ['Waiting for another run of ollama-config: process 4711, since 10:15:00'])
})

test('start, end and failure are always said, with the name of the model', async () => {
  const { lines, view } = record()
  const [a, b, c] = [pull('a:latest'), pull('b:latest'), deletion('c:latest')]
  view.handle(started(a, b, c))
  view.handle(began(a))
  view.handle(ended(a, { sizeBytes: 274e6, durationMs: 80_000 }))
  view.handle(began(b))
  const error = {
    code: 'registry-error',
    message: 'no such\x1b]0;x\x07 tag\r\nat all',
    hint: 'look at the tag',
  } as const
  view.handle(ended(b, { outcome: 'failed', durationMs: 300, error }))
  view.handle(ended(c, { outcome: 'skipped', skipReason: 'earlier-failure' }))
  view.handle(ended(deletion('never-announced'), { outcome: 'skipped', skipReason: 'not-approved' }))
  await view.close()
  view.handle(began(a))
  assert.deepEqual(lines, [
    'a:latest: pulling',
    'a:latest: pulled 274 MB in 1m 20s',
    'b:latest: pulling',
    'b:latest: failed after 0.3s',
    'b:latest: no such tag at all',
    'b:latest: hint: look at the tag',
    'c:latest: skipped: nothing is deleted after a failure',
  ])
})

test('a stream that throws stops the lines, not the apply', () => {
  let calls = 0
  const write = () => {
    calls += 1
    throw new Error('EPIPE')
  }
  const view = createPlainView({ write, now: () => 0 })
  const a = pull('a:latest')
  for (const event of [started(a), began(a), ended(a)]) view.handle(event)
  assert.equal(calls, 1)
})
