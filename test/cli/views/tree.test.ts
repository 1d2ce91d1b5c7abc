import assert from 'node:assert/strict'
import process from 'node:process'
import { test } from 'node:test'
import type { ApplyView } from '../../../src/cli/views/apply-view.ts'
import { createStyle } from '../../../src/cli/views/style.ts'
import { createTaskTree } from '../../../src/cli/views/tasks.ts'
import { began, deletion, ended, progressed, pull, started } from './events.ts'
import { ScreenModel } from './screen-model.ts'

interface Stage {
  readonly screen: ScreenModel
  readonly view: ApplyView
  /** Lets 100 ms pass: one frame. */
  frame(): void
  /** Timers that were not stopped. */
  running(): number
}

function stage(
  columns: number,
  rows: number,
  options: { readonly color?: boolean; readonly unicode?: boolean } = {},
): Stage {
  const screen = new ScreenModel(columns, rows)
  const callbacks = new Set<() => void>()
  let nowMs = 0
  const { color = false, unicode = true } = options
  const every = (ms: number, callback: () => void) => {
    assert.equal(ms, 100)
    callbacks.add(callback)
    return () => callbacks.delete(callback)
  }
  const view = createTaskTree({ stream: screen, style: createStyle(color), unicode, now: () => nowMs, every })
  return {
    screen,
    view,
    frame() {
      nowMs += 100
      for (const callback of callbacks) callback()
    },
    running: () => callbacks.size,
  }
}

test('that another process is waited for stands above the tree', async () => {
  const { screen, view, frame } = stage(80, 24)
  const a = pull('a:latest')
  view.handle({ type: 'waiting', holder: 'process 4711' })
  assert.deepEqual(screen.lines.slice(0, 1), ['Waiting for another run of ollama-config: process 4711'])
  view.handle(started(a))
  view.handle(began(a))
  frame()
  view.handle(ended(a))
  await view.close()
  assert.deepEqual(
    screen.lines.slice(0, 2).map((line) => line.slice(0, 54)),
    ['Waiting for another run of ollama-config: process 4711', '✔ a:latest  pulled in 1s'],
  )
})

test('models that are loaded afterwards stand below the tree, which is not drawn again', async () => {
  const { screen, view, frame, running } = stage(80, 24)
  const a = pull('a:latest')
  view.handle(started(a))
  view.handle(began(a))
  frame()
  view.handle(ended(a))
  view.handle({ type: 'model-loading', reference: 'a:latest' })
  frame()
  assert.equal(running(), 0)
  view.handle({ type: 'model-loaded', reference: 'a:latest', durationMs: 12_000 })
  await view.close()
  assert.deepEqual(
    screen.lines.filter((line) => line !== ''),
    ['✔ a:latest  pulled in 1s', '  1 of 1 done', 'a:latest: loading into memory', 'a:latest: loaded in 12s'],
  )
})

test('shows bars while it runs, and what became of each change at the end', async () => {
  const { screen, view, frame, running } = stage(80, 24)
  const [a, b, c, d] = [pull('all-minilm:latest', 46e6), pull('qwen3:8b'), pull('llava:7b'), deletion('old:latest')]
  view.handle(started(a, b, c, d))
  view.handle(began(a))
  view.handle(ended(a, { sizeBytes: 46e6, durationMs: 400 }))
  view.handle(began(b))
  for (let step = 1; step <= 10; step++) {
    view.handle(progressed(b, step * 1e8, 2e9))
    frame()
  }
  assert.equal(screen.cursorShown, false)
  assert.deepEqual(screen.lines, [
    '✔ all-minilm:latest  pulled 46 MB in 0.4s',
    '⠋ qwen3:8b           ██████░░░░░░  50%  1 / 2 GB         1 GB/s    1s left',
    '· llava:7b',
    '· old:latest',
    '  1 of 4 done                           1.0 GB           1 GB/s',
    '',
  ])
  view.handle(ended(b, { sizeBytes: 2e9, durationMs: 2000 }))
  view.handle(began(c))
  const error = { code: 'disk-full', message: 'The host has no room left', hint: 'delete a model' } as const
  view.handle(ended(c, { outcome: 'failed', durationMs: 3000, error }))
  view.handle(ended(d, { outcome: 'skipped', skipReason: 'earlier-failure' }))
  await view.close()
  assert.deepEqual(screen.lines, [
    '✔ all-minilm:latest  pulled 46 MB in 0.4s',
    '✔ qwen3:8b           pulled 2 GB in 2s',
    '✖ llava:7b           failed after 3s',
    '  llava:7b: The host has no room left',
    '  hint: delete a model',
    '↓ old:latest         skipped: nothing is deleted after a failure',
    '  2 of 4 done, 1 failed, 1 skipped',
    '',
  ])
  assert.equal(screen.cursorShown, true)
  assert.equal(running(), 0)
})

test('thousands of events make one frame per tick', async () => {
  const { screen, view, frame } = stage(80, 24)
  const changes = Array.from({ length: 8 }, (_, index) => pull(`model-${index}:latest`))
  view.handle(started(...changes))
  for (let tick = 0; tick < 20; tick++) {
    for (let step = 0; step < 50; step++)
      for (const change of changes) view.handle(progressed(change, tick * 1e7 + step, 1e9))
    frame()
  }
  assert.ok(screen.writes.length <= 21, String(screen.writes.length))
  await view.close()
  assert.ok(screen.writes.length <= 22, String(screen.writes.length))
})

test('nothing is drawn while nothing happens', async () => {
  const { screen, view, frame } = stage(80, 24)
  view.handle(started(pull('a')))
  frame()
  const before = screen.writes.length
  for (let tick = 0; tick < 10; tick++) frame()
  assert.equal(screen.writes.length, before)
  await view.close()
})

test('more changes than rows: the active and failed ones are shown, the others counted', async () => {
  const { screen, view, frame } = stage(80, 12)
  const changes = Array.from({ length: 200 }, (_, index) => pull(`model-${index}:latest`))
  view.handle(started(...changes))
  for (const change of changes.slice(0, 10)) view.handle(ended(change))
  for (const change of changes.slice(10, 12)) {
    view.handle(ended(change, { outcome: 'failed', error: { code: 'registry-error', message: 'no such tag' } }))
  }
  for (const change of changes.slice(150, 153)) view.handle(began(change))
  frame()
  assert.equal(screen.history.length, 0)
  assert.equal(screen.lines.length, 12)
  assert.deepEqual(
    screen.lines.map((line) => line.trim().split(/\s+/).slice(0, 2).join(' ')),
    [
      '✖ model-10:latest',
      'model-10:latest: no',
      '✖ model-11:latest',
      'model-11:latest: no',
      '· model-12:latest',
      '· model-13:latest',
      '⠙ model-150:latest',
      '⠙ model-151:latest',
      '⠙ model-152:latest',
      '… 183',
      '10 of',
      '',
    ],
  )
  assert.match(screen.text, /… 183 more waiting, 10 done/)
  await view.close()
  // The end tells of all of them, in the order of the plan.
  assert.equal(screen.text.split('\n').filter((line) => /^[✔✖·◼] model-/.test(line)).length, 200)
  assert.equal(screen.cursorShown, true)
})

test('an interruption leaves a clean screen, also over the ^C that the terminal echoes', async () => {
  const { screen, view, frame } = stage(80, 24)
  const [a, b, c] = [pull('a:latest'), pull('b:latest'), pull('c:latest')]
  view.handle(started(a, b, c))
  view.handle(began(a))
  view.handle(progressed(a, 1e9, 4e9))
  frame()
  screen.write('^C')
  view.handle(ended(a, { outcome: 'cancelled' }))
  view.handle(ended(b, { outcome: 'skipped', skipReason: 'interrupted' }))
  await view.close()
  assert.deepEqual(screen.lines, [
    '◼ a:latest  cancelled at 1 GB, resumable',
    '↓ b:latest  skipped: interrupted',
    '· c:latest  not begun',
    '  0 of 3 done, 1 skipped, 1 cancelled',
    '',
  ])
  assert.equal(screen.cursorShown, true)
})

test('fits 40 columns, in ASCII, with long names cut in the middle and errors in full', async () => {
  const { screen, view, frame } = stage(40, 24, { unicode: false })
  const long = pull('hf.co/unsloth/Qwen3-Coder-30B-A3B-Instruct-GGUF:Q4_K_M')
  const wait = pull('mistral:7b')
  view.handle(started(long, wait))
  for (let step = 0; step <= 10; step++) {
    view.handle(progressed(long, step * 1e8, 4e9))
    view.handle(progressed(wait, null, null, { waiting: true }))
    frame()
  }
  assert.deepEqual(screen.lines, [
    '/ hf.co/unslot...t-GGUF:Q4_K_M  3s left',
    '  ###------------  25%  1 / 4 GB',
    '/ mistral:7b',
    '  waiting for another download',
    '  0 of 2 done  1 GB',
    '',
  ])
  const message = 'The registry does not know the tag "Q4_K_M" of this model'
  view.handle(ended(long, { outcome: 'failed', durationMs: 2000, error: { code: 'registry-error', message } }))
  await view.close()
  assert.match(
    screen.text.replace(/\s+/g, ' '),
    /hf\.co\/unsloth\/Qwen3-Coder-30B-A3B-Ins ?truct-GGUF:Q4_K_M: The registry does not know the tag "Q4_K_M" of this model/,
  )
  assert.doesNotMatch(screen.writes.join(''), /[^\x00-\x7f]/)
})

test('a resize redraws the whole frame', async () => {
  const { screen, view, frame } = stage(80, 24)
  const a = pull('a:latest')
  view.handle(started(a))
  view.handle(progressed(a, 1e9, 4e9))
  frame()
  screen.columns = 100
  frame()
  assert.match(screen.writes.at(-1) ?? '', /^\r\x1b\[2A\x1b\[J/)
  await view.close()
})

test('a stream without a size is taken as 80 by 24', async () => {
  const { screen, view } = stage(0, 0)
  const real = { write: (text: string) => screen.writes.push(text) }
  const tree = createTaskTree({
    stream: real,
    style: createStyle(false),
    unicode: true,
    now: () => 0,
    every: () => () => {},
  })
  tree.handle(started(pull('a:latest')))
  await tree.close()
  await view.close()
  assert.match(screen.writes.join(''), /a:latest +not begun/)
})

test('a broken terminal stops the drawing, never the apply', async () => {
  let calls = 0
  const write = () => {
    calls += 1
    throw new Error('EIO')
  }
  const ticks: (() => void)[] = []
  const every = (_ms: number, callback: () => void) => {
    ticks.push(callback)
    return () => ticks.pop()
  }
  const view = createTaskTree({ stream: { write }, style: createStyle(true), unicode: true, now: () => 0, every })
  const a = pull('a:latest')
  view.handle(started(a))
  view.handle(began(a))
  ticks[0]?.()
  assert.equal(ticks.length, 0)
  view.handle(ended(a))
  await view.close()
  assert.ok(calls <= 4, String(calls))
})

test('writes nothing to stdout, adds no signal listener and leaves no listener behind', async (t) => {
  const stdout = t.mock.method(process.stdout, 'write', () => true)
  const count = () =>
    ['SIGINT', 'SIGTERM', 'SIGHUP', 'exit', 'uncaughtException'].map((name) => process.listenerCount(name))
  const before = count()
  const { view, frame } = stage(80, 24, { color: true })
  const a = pull('a:latest')
  view.handle(started(a))
  view.handle(began(a))
  frame()
  assert.deepEqual(count().slice(0, 3), before.slice(0, 3))
  view.handle(ended(a, { outcome: 'failed', error: { code: 'internal', message: 'oops' } }))
  await view.close()
  await view.close()
  view.handle(began(a))
  const calls = stdout.mock.callCount()
  stdout.mock.restore()
  assert.equal(calls, 0)
  assert.deepEqual(count(), before)
})

test('without changes nothing is written, and closing is fine before anything began', async () => {
  const { screen, view } = stage(80, 24)
  view.handle(started())
  await view.close()
  assert.equal(screen.writes.join(''), '')
})
