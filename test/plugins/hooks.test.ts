import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runHook } from '../../src/plugins/hooks.ts'
import { readDeclarations, readDiagnostics, readModelDetails } from '../../src/plugins/results.ts'

const owner = { name: 'tester', path: 'plugins[0]' }
const same = (value: unknown) => value

function run(call: (signal: AbortSignal) => unknown, options = {}) {
  return runHook(owner, { what: 'its probe hook', call, read: same }, options)
}

/** Never settles by itself, as a hook that hangs. */
const never = () => new Promise<never>(() => {})

test('a hook may answer at once or later', async () => {
  assert.deepEqual(await run(() => 1), { value: 1 })
  assert.deepEqual(await run(async () => 2), { value: 2 })
})

test('what a hook throws becomes a diagnostic with the plugin, the hook and the cause', async () => {
  const cases: readonly [thrown: unknown, text: string][] = [
    [new Error('no luck'), 'no luck'],
    [new Error('fetch failed', { cause: new Error('connect ECONNREFUSED') }), 'fetch failed (connect ECONNREFUSED)'],
    [new TypeError(''), 'TypeError'],
    ['text', 'it threw "text"'],
    [undefined, 'it threw undefined'],
  ]
  for (const [thrown, text] of cases) {
    const problem = { severity: 'error', code: 'plugin-failed', message: `tester: its probe hook failed: ${text}` }
    const calls = [
      () => {
        throw thrown
      },
      () => Promise.reject(thrown),
    ]
    for (const call of calls) assert.deepEqual(await run(call), { problem: { ...problem, path: 'plugins[0]' } })
  }
})

test('where it was thrown goes to the log', async () => {
  const logged: unknown[] = []
  const log = (message: string, fields?: Record<string, unknown>) => void logged.push([message, fields])
  const logger = { debug: log, info: log, warn: log, error: log }
  const error = new Error('no luck')
  await run(() => Promise.reject(error), { logger })
  assert.deepEqual(logged, [['plugin failed', { plugin: 'tester', stack: error.stack }]])
})

test('a hook past its time is named, told to stop, and not waited for', async () => {
  let seen: AbortSignal | undefined
  const outcome = await run(
    (signal) => {
      seen = signal
      return never()
    },
    { hookTimeoutMs: 5 },
  )
  assert.deepEqual(outcome, {
    problem: {
      severity: 'error',
      code: 'plugin-timeout',
      message: 'tester: its probe hook was not done after 0.005 s',
      path: 'plugins[0]',
    },
  })
  assert.equal(seen?.aborted, true)
  assert.equal(seen?.reason.code, 'plugin-timeout')
})

test('a hook past its time that then fails is still late, and its failure ends nothing', async () => {
  const outcome = await run(
    (signal) =>
      new Promise((_, reject) =>
        signal.addEventListener('abort', () => queueMicrotask(() => reject(new Error('late')))),
      ),
    { hookTimeoutMs: 5 },
  )
  assert.ok('problem' in outcome && outcome.problem.code === 'plugin-timeout')
})

test('the interruption of the user goes on, whatever the hook makes of it', async () => {
  const reason = new Error('interrupted')
  const ways: readonly ((signal: AbortSignal) => unknown)[] = [
    never,
    () => 'done',
    () => Promise.reject(new Error('other')),
    (signal) => new Promise((resolve) => signal.addEventListener('abort', () => resolve('done'))),
    (signal) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('other')))),
  ]
  for (const way of ways) {
    const controller = new AbortController()
    const interrupted = (signal: AbortSignal) => {
      const result = way(signal)
      controller.abort(reason)
      return result
    }
    await assert.rejects(run(interrupted, { signal: controller.signal }), reason)
  }
  let called = false
  const hook = () => {
    called = true
  }
  await assert.rejects(run(hook, { signal: AbortSignal.abort(reason) }), reason)
  assert.equal(called, false)
})

test('when a hook has ended its signal goes up, so that nothing of it is left running', async () => {
  let seen: AbortSignal | undefined
  await run((signal) => {
    seen = signal
    assert.equal(signal.aborted, false)
  })
  assert.equal(seen?.aborted, true)
})

test('diagnostics get the name of the plugin, once, and texts become fit for a terminal', () => {
  const written = {
    severity: 'error',
    code: 'too-large',
    message: 'a\u001b[2J is\nlarge',
    hint: 'b\u0007',
    path: undefined,
  }
  const [first, second] = readDiagnostics(
    [written, { severity: 'warning', code: 'x', message: 'p: said already', reference: 'a:latest', path: 'models[0]' }],
    'p',
  )
  assert.deepEqual(first, { severity: 'error', code: 'p/too-large', message: 'p: a is large', hint: 'b' })
  assert.deepEqual(second, {
    severity: 'warning',
    code: 'p/x',
    message: 'p: said already',
    reference: 'a:latest',
    path: 'models[0]',
  })
})

test('what is no list of diagnostics is refused by its place', () => {
  const fine = { severity: 'error', code: 'x', message: 'y' }
  const cases: readonly [value: unknown, message: string][] = [
    [undefined, 'the result is not a list'],
    [{}, 'the result is not a list'],
    [[fine, 'x'], 'the result[1] is not an object'],
    [[{ ...fine, severity: 'fatal' }], 'the result[0].severity is not "error" or "warning"'],
    [[{ ...fine, message: 3 }], 'the result[0].message is not a text'],
    [[{ ...fine, message: ' \u0007' }], 'the result[0].message is not a text that says something'],
    [[{ ...fine, code: undefined }], 'the result[0].code is not a text'],
    [[{ ...fine, hint: 1 }], 'the result[0].hint is not a text'],
  ]
  for (const [value, message] of cases) assert.throws(() => readDiagnostics(value, 'p'), { message })
})

test('declarations are objects, and details are what the contract says', () => {
  assert.deepEqual(readDeclarations([{ name: 'a' }]), [{ name: 'a' }])
  for (const value of [undefined, 'a', ['a'], [null]]) assert.throws(() => readDeclarations(value))
  const details = {
    sizeBytes: 1,
    capabilities: ['tools'],
    contextLength: 2,
    license: 'MIT',
    parameters: { num_ctx: 1 },
  }
  assert.deepEqual(readModelDetails(details), details)
  assert.deepEqual(readModelDetails({ license: undefined }), {})
  for (const value of [
    undefined,
    [],
    { sizeBytes: -1 },
    { sizeBytes: '1' },
    { contextLength: 0.5 },
    { capabilities: 'tools' },
    { capabilities: [1] },
    { license: 1 },
    { parameters: [] },
  ]) {
    assert.throws(() => readModelDetails(value), /the result/)
  }
})
