import assert from 'node:assert/strict'
import { createServer, type Server, type ServerResponse } from 'node:http'
import { type TestContext, test } from 'node:test'
import smokeTest, { type SmokeTest } from '../../plugins/smoke-test/index.ts'
import { noOp, planOf } from '../support/plans.ts'
import { check, probe, review } from './hooks.ts'

interface Asked {
  readonly path: string
  readonly body: Record<string, unknown>
}

type Answer = (body: Record<string, unknown>, response: ServerResponse) => unknown

/**
 * A host with a runner, as far as smoke tests see one. The shapes of its answers are those of generate-without-runner.json and
 * ps-loaded.json among the transcripts.
 */
async function startHost(t: TestContext, answer: Answer) {
  const asked: Asked[] = []
  const server = createServer(async (request, response) => {
    let text = ''
    try {
      for await (const piece of request.setEncoding('utf8')) text += piece
    } catch {
      return
    }
    const body: Record<string, unknown> = JSON.parse(text)
    asked.push({ path: request.url ?? '', body })
    const unload = body['prompt'] === '' && body['keep_alive'] === 0
    const ended = { model: body['model'], created_at: '2026-11-22T16:21:49.282923802Z', response: '', done: true }
    const reply = unload ? { ...ended, done_reason: 'unload' } : answer(body, response)
    if (reply === undefined) return
    const status = typeof reply === 'object' && reply !== null && 'error' in reply ? 500 : 200
    response.writeHead(status, { 'Content-Type': 'application/json; charset=utf-8' }).end(JSON.stringify(reply))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return { address: `http://127.0.0.1:${portOf(server)}`, asked }
}

function portOf(server: Server): number | undefined {
  const address = server.address()
  return typeof address === 'object' ? address?.port : undefined
}

const saying =
  (response: string, rest: object = {}): Answer =>
  ({ model }) => ({ model, created_at: '2026-11-22T16:21:49Z', response, done: true, done_reason: 'stop', ...rest })

const qwen = { reference: 'qwen3:8b' }
const prompt = { models: ['qwen3:8b'], prompt: 'Say ok' }

async function messages(t: TestContext, config: SmokeTest, answer: Answer): Promise<readonly string[]> {
  const { address } = await startHost(t, answer)
  return (await probe(smokeTest(config), [qwen], { address })).map(({ message }) => message)
}

test('an answer is asked for once, with the model unloaded behind it', async (t) => {
  const { address, asked } = await startHost(t, saying('ok'))
  const config = { ...prompt, expect: 'ok', think: false, options: { seed: 1 } }
  assert.deepEqual(await probe(smokeTest(config), [qwen], { address }), [])
  assert.deepEqual(asked, [
    {
      path: '/api/generate',
      body: {
        model: 'qwen3:8b',
        prompt: 'Say ok',
        keep_alive: 0,
        options: { temperature: 0, seed: 1 },
        think: false,
        stream: false,
      },
    },
  ])
})

test('what an answer must hold', async (t) => {
  const cases: readonly [config: Partial<SmokeTest>, response: string, problem: string | null][] = [
    [{}, 'whatever', null],
    [{}, '', 'answered nothing'],
    [{ expect: 'ok' }, 'not OK', 'answered "not OK", without "ok"'],
    [{ expect: /ok/i }, 'not OK', null],
    [{ expect: /^ok/ }, 'not ok', 'answered "not ok", which /^ok/ does not match'],
    [{ json: true }, '{"ok": true}', null],
    [{ json: true }, 'ok', 'answered "ok", which is no JSON'],
    [{ json: true, expect: 'yes' }, '"ok"', 'answered "\\"ok\\"", without "yes"'],
    [{ expect: 'ok' }, 'a\u001b[31m', 'answered "a", without "ok"'],
  ]
  for (const [config, response, problem] of cases) {
    const expected = problem === null ? [] : [`"qwen3:8b" ${problem}`]
    assert.deepEqual(await messages(t, { ...prompt, ...config }, saying(response)), expected)
  }
  assert.deepEqual(await messages(t, prompt, saying('', { thinking: 'Hm.' })), [])
})

test('JSON is asked for; an answer that was cut says what to do', async (t) => {
  const { address, asked } = await startHost(t, saying('{"a', { done_reason: 'length' }))
  const [found] = await probe(smokeTest({ ...prompt, json: true }), [qwen], { address })
  assert.equal(found?.hint, 'its answer was cut: raise options.num_predict or num_ctx')
  assert.equal(asked[0]?.body['format'], 'json')
})

test('a regular expression with the flag g tries each answer from its start', async (t) => {
  const expect = /ok/g
  expect.lastIndex = 2
  const { address } = await startHost(t, saying('ok'))
  const plugin = smokeTest({ models: ['qwen3:8b', 'b:1', 'c:1'], prompt: 'x', expect })
  assert.deepEqual(await probe(plugin, [qwen, { reference: 'b:1' }, { reference: 'c:1' }], { address }), [])
})

test('an embedding model gives a vector of the right length', async (t) => {
  const embeddings: Answer = ({ model }) => ({ model, embeddings: [[0.1, 0.2, 0.3]] })
  const { address, asked } = await startHost(t, embeddings)
  const models = ['all-minilm']
  const at = [{ reference: 'all-minilm:latest' }]
  assert.deepEqual(await probe(smokeTest({ models, input: 'hi', dimensions: 3 }), at, { address }), [])
  assert.deepEqual(await probe(smokeTest({ models, input: 'hi' }), at, { address }), [])
  assert.deepEqual(asked[0], {
    path: '/api/embed',
    body: { model: 'all-minilm:latest', input: 'hi', keep_alive: 0 },
  })
  const [wrong] = await probe(smokeTest({ models, input: 'hi', dimensions: 384 }), at, { address })
  assert.equal(wrong?.message, '"all-minilm:latest" gave a vector of 3 numbers: expected 384')
  const none = await startHost(t, ({ model }) => ({ model, embeddings: [] }))
  const [empty] = await probe(smokeTest({ models, input: 'hi' }), at, none)
  assert.equal(empty?.message, '"all-minilm:latest" gave a vector of 0 numbers: expected some')
})

test('only what the apply changed is tried, unless always; what runs elsewhere never', async (t) => {
  const { address, asked } = await startHost(t, saying('ok'))
  const models = [
    { ...qwen, changed: false },
    { reference: 'b:1', changed: true },
    { reference: 'c:cloud', cloud: true },
    { reference: 'd:1' },
  ]
  const tried = async (always?: boolean) => {
    asked.length = 0
    const config = { models: ['qwen3:8b', 'b:1', 'c:cloud'], prompt: 'x', always }
    assert.deepEqual(await probe(smokeTest(config), models, { address }), [])
    return asked.map(({ body }) => body['model'])
  }
  assert.deepEqual(await tried(), ['b:1'])
  assert.deepEqual(await tried(true), ['qwen3:8b', 'b:1'])
})

test('an error of the server is a failed test; the model is unloaded, and the next one tried', async (t) => {
  const error = 'error starting llama-server: llama-server binary not found'
  const { address, asked } = await startHost(t, (body, response) =>
    body['model'] === 'qwen3:8b' ? { error } : saying('ok')(body, response),
  )
  const found = await probe(smokeTest({ models: ['qwen3:8b', 'b:1'], prompt: 'x' }), [qwen, { reference: 'b:1' }], {
    address,
  })
  assert.deepEqual(found, [
    {
      severity: 'error',
      code: 'smoke-test-failed',
      message: `"qwen3:8b" cannot be used: "${error}"`,
      reference: 'qwen3:8b',
      hint: 'the log of the Ollama server tells more',
    },
  ])
  assert.deepEqual(
    asked.map(({ body }) => `${String(body['model'])} ${String(body['prompt'])}`),
    ['qwen3:8b x', 'qwen3:8b ', 'b:1 x'],
  )
})

test('a model that does not answer in its time is left and unloaded; others have a time of their own', async (t) => {
  const { address, asked } = await startHost(t, (body, response) =>
    body['model'] === 'qwen3:8b' ? undefined : saying('ok')(body, response),
  )
  const tests = [
    { ...prompt, timeoutMs: 1 },
    { models: ['b:1'], prompt: 'x' },
  ]
  const found = await probe(smokeTest(tests), [qwen, { reference: 'b:1' }], { address })
  assert.deepEqual(
    found.map(({ message }) => message),
    ['"qwen3:8b" gave no answer within 0.001 s'],
  )
  // The first request may have ended before it arrived.
  const texts = asked.map(({ body }) => `${String(body['model'])} ${String(body['prompt'])}`)
  assert.deepEqual(
    texts.filter((text) => text !== 'qwen3:8b Say ok'),
    ['qwen3:8b ', 'b:1 x'],
  )
})

test('a time longer than a timer can be is no short one', async (t) => {
  const { address } = await startHost(t, saying('ok'))
  for (const timeoutMs of [3e9, Number.MAX_SAFE_INTEGER])
    assert.deepEqual(await probe(smokeTest({ ...prompt, timeoutMs }), [qwen], { address }), [])
})

test('a model that cannot be unloaded is written to the log', async () => {
  const logged: string[] = []
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = `http://127.0.0.1:${portOf(server)}`
  await new Promise((resolve) => server.close(resolve))
  assert.equal((await probe(smokeTest(prompt), [qwen], { address, logged })).length, 1)
  assert.deepEqual(logged, ['Cannot unload "qwen3:8b"'])
})

test('an interruption is none of the verdicts', async (t) => {
  const interruption = new AbortController()
  const { address, asked } = await startHost(t, () => void interruption.abort(new Error('interrupted by the user')))
  await assert.rejects(probe(smokeTest(prompt), [qwen], { address, signal: interruption.signal }), {
    message: 'interrupted by the user',
  })
  assert.equal(asked.length, 1)
})

test('the time of all models together is the time of the hook', async () => {
  const { timeoutMs } = smokeTest([]).spec
  assert.ok(typeof timeoutMs === 'function')
  const tests = [
    { models: ['a', 'b'], prompt: 'x', timeoutMs: 100_000 },
    { models: ['c'], input: 'x' },
  ]
  assert.equal(timeoutMs(await check(smokeTest(tests))), 30_000 + 2 * 105_000 + 65_000)
})

test('a name that means no declared model is a warning before the apply', async () => {
  const plugin = smokeTest({ models: ['qwen3:8b', 'qwen'], prompt: 'x' })
  assert.deepEqual(
    (await review(plugin, planOf(noOp('qwen3:8b')))).map(({ message }) => message),
    ['"qwen" means no declared model'],
  )
})

test('what is wrong is said with what is wanted', async () => {
  const cases: readonly [config: unknown, problem: string][] = [
    [{ models: ['qwen3*'], prompt: 'x' }, 'models.0: Expected a model name, not a pattern, found "qwen3*"'],
    [
      { models: ['x'], prompt: 'x', expect: 1 },
      'expect: Expected a text or a regular expression such as /ok/i, found 1',
    ],
    [
      { models: ['x'], input: 'x', expect: 'x' },
      'expect: Key "expect" is not known: expected models and input; also dimensions, timeoutMs, always and options',
    ],
    [[{ models: ['x'], input: 'x', dimensions: 0 }], '0.dimensions: Expected a number of dimensions, found 0'],
    [
      { models: ['x'], prompt: 'x', options: 'x' },
      'options: Expected parameters such as { num_predict: 50 }, found "x"',
    ],
    [
      { models: ['x'] },
      'prompt: Expected models and prompt, or models and input; also expect, json, think, timeoutMs, always and options, found nothing',
    ],
  ]
  for (const [config, problem] of cases) await assert.rejects(check({ ...smokeTest([]), config }), { message: problem })
})
