import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cacheOf, gigabytes, toBytes } from '../../plugins/memory-fit/estimate.ts'
import memoryFit from '../../plugins/memory-fit/index.ts'
import type { PlannedBlob } from '../../src/index.ts'
import { noOp, planOf, pull } from '../support/plans.ts'
import { startServer } from '../support/run-cli.ts'
import { askShow, check, probe, review, shownModel } from './hooks.ts'

/** As the server tells of qwen3:8b. */
const modelInfo = {
  'general.architecture': 'qwen3',
  'qwen3.block_count': 36,
  'qwen3.context_length': 40960,
  'qwen3.embedding_length': 4096,
  'qwen3.attention.head_count': 32,
  'qwen3.attention.head_count_kv': 8,
  'qwen3.attention.key_length': 128,
  'qwen3.attention.value_length': 128,
}
const qwen = shownModel({ sizeBytes: 5_225_388_164, modelInfo, parameters: { num_ctx: 16384 } })
const f16 = { bytesPerElement: 2 }

test('the KV cache, by the keys of the GGUF', () => {
  const terms = (overrides: object, tokens?: number) =>
    cacheOf({ ...qwen, modelInfo: { ...modelInfo, ...overrides } }, { ...f16, tokens })?.terms
  assert.deepEqual(cacheOf(qwen, f16), {
    bytesPerToken: 36 * 2 * 8 * 128 * 2,
    tokens: 16384,
    terms: '36 layers × 16384 tokens × 2 × 8 KV heads × 128 × 2 bytes',
  })
  assert.equal(terms({}, 8192), '36 layers × 8192 tokens × 2 × 8 KV heads × 128 × 2 bytes')
  assert.equal(terms({}, 100_000), '36 layers × 40960 tokens × 2 × 8 KV heads × 128 × 2 bytes')
  // Without the lengths: 4096 / 32.
  const lengthless = { 'qwen3.attention.key_length': undefined, 'qwen3.attention.value_length': undefined }
  assert.equal(terms(lengthless, 1), '36 layers × 1 tokens × 2 × 8 KV heads × 128 × 2 bytes')
  assert.equal(
    terms({ 'qwen3.attention.key_length': 192 }, 1),
    '36 layers × 1 tokens × 8 KV heads × (192 + 128) × 2 bytes',
  )
  // A list has one number for each layer; a longer one the server leaves out.
  assert.equal(
    terms({ 'qwen3.attention.head_count_kv': [0, 8, 0, 8] }, 1),
    '1 tokens × 2 × 16 KV heads × 128 × 2 bytes',
  )
  assert.equal(
    terms({ 'qwen3.attention.head_count_kv': null }, 1),
    '36 layers × 1 tokens × 2 × 32 heads × 128 × 2 bytes',
  )
  assert.equal(terms({ 'qwen3.block_count': undefined }), undefined)
  assert.equal(cacheOf({ ...qwen, parameters: {} }, f16)?.tokens, 4096)
  assert.equal(cacheOf({ ...qwen, parameters: { num_ctx: ['x'] } }, f16)?.tokens, 4096)
  assert.equal(cacheOf({ ...qwen, capabilities: ['embedding'] }, f16)?.bytesPerToken, 0)
})

test('sizes are read as people write them, and shown in decimal units', () => {
  const cases: readonly [size: unknown, bytes: number | null][] = [
    ['24 GB', 24e9],
    ['1.5gb', 1.5e9],
    ['16 GiB', 16 * 1024 ** 3],
    ['512 MB', 512e6],
    ['100 B', 100],
    [42, 42],
    ['24', null],
    ['24 GX', null],
    ['5 iB', null],
    ['0 GB', null],
    [0, null],
    [Number.NaN, null],
    [undefined, null],
  ]
  for (const [size, bytes] of cases) assert.equal(toBytes(size), bytes, String(size))
  assert.deepEqual([45e6, 5.24e9, 16e9, 100e9].map(gigabytes), ['45 MB', '5.2 GB', '16 GB', '100 GB'])
})

test('what does not fit is told with its arithmetic, and with the context that would fit', async (t) => {
  const models = [{ name: 'qwen3:8b', modelInfo, size: 5_225_388_164 }, { name: 'small' }]
  const { url: address } = await startServer(t, { models })
  const shown = {
    'qwen3:8b': await askShow(address, 'qwen3:8b'),
    'small:latest': await askShow(address, 'small:latest'),
  }
  const withContext = { ...shown['qwen3:8b'], parameters: { num_ctx: 40960 } }
  const plan = planOf(noOp('qwen3:8b'), noOp('small:latest'))
  const host = { address, shown, memoryBytes: 8e9 }
  assert.deepEqual(await review(memoryFit({ numCtx: 40960 }), plan, host), [
    {
      severity: 'warning',
      code: 'memory-exceeded',
      message:
        '"qwen3:8b" needs 5.2 GB weights + 6 GB KV cache (36 layers × 40960 tokens × 2 × 8 KV heads × 128 × 2 bytes) = 11.3 GB, more than 8 GB of memory',
      reference: 'qwen3:8b',
      hint: 'it fits with numCtx: 18432 in memoryFit',
    },
  ])
  const [ofModel] = await review(memoryFit({}), plan, { ...host, shown: { ...shown, 'qwen3:8b': withContext } })
  assert.equal(ofModel?.hint, 'it fits with a num_ctx of 18432')
  assert.deepEqual(await review(memoryFit({ numCtx: 18432 }), plan, host), [])
  assert.deepEqual(await review(memoryFit({ numCtx: 40960, memory: '16 GB' }), plan, host), [])
  assert.deepEqual(await review(memoryFit({ numCtx: 40960, models: ['small'] }), plan, host), [])
  const [hopeless] = await review(memoryFit({ memory: '4 GB', severity: 'error' }), plan, host)
  assert.equal(hopeless?.severity, 'error')
  assert.equal(hopeless.hint, 'take a smaller model, or one with fewer bits per weight')
})

function blob(mediaType: string, sizeBytes: number): PlannedBlob {
  return { mediaType: `application/vnd.ollama.image.${mediaType}`, digest: '', sizeBytes, onHost: false }
}

test('of a model that is yet to come the weights are known, and after the apply the rest', async () => {
  const layers = [blob('model', 5e9), blob('projector', 1e9), blob('license', 9e9)]
  const manifest = { digest: '', config: null, layers }
  const plan = planOf(pull('qwen3:8b', { manifest }))
  const plugin = memoryFit({ memory: '5.5 GB' })
  assert.deepEqual(
    (await review(plugin, plan)).map(({ message }) => message),
    [
      '"qwen3:8b" needs 6 GB weights, more than 5.5 GB of memory, and its KV cache is not counted, since it is not installed yet',
    ],
  )
  assert.deepEqual(await review(memoryFit({ memory: '6 GB' }), plan), [])
  assert.deepEqual(await review(plugin, planOf(pull('qwen3:8b'))), [])
  const host = { shown: { 'qwen3:8b': qwen }, memoryBytes: 6e9 }
  const [found] = await probe(memoryFit(), [{ reference: 'qwen3:8b' }], host)
  assert.match(found?.message ?? '', /16384 tokens .* = 7.6 GB, more than 6 GB/)
  assert.deepEqual(await probe(memoryFit(), [{ reference: 'qwen3:8b', cloud: true }], host), [])
  assert.deepEqual(await probe(memoryFit({ models: ['x'] }), [{ reference: 'qwen3:8b' }], host), [])
})

test('a model to be built is measured by its base, with the num_ctx that is declared', async () => {
  const build = { from: 'qwen3:8b', parameters: { num_ctx: 32768 } }
  const derived = { ...pull('long:latest'), build }
  const host = { shown: { 'qwen3:8b': qwen }, memoryBytes: 8e9 }
  const [found] = await review(memoryFit(), planOf(derived), host)
  assert.match(found?.message ?? '', /^"long:latest" needs .* 32768 tokens/)
  // Its base comes with the same plan.
  const base = pull('qwen3:8b', { after: { digest: null, sizeBytes: 9e9 } })
  const both = await review(memoryFit({ models: ['long'] }), planOf(derived, base), { memoryBytes: 8e9 })
  assert.deepEqual(
    both.map(({ message }) => message),
    [
      '"long:latest" needs 9 GB weights, more than 8 GB of memory, and its KV cache is not counted, since it is not installed yet',
    ],
  )
})

test('without a known memory one warning says what to do', async () => {
  const host = { address: 'http://gpu-box:11434', shown: { 'qwen3:8b': qwen } }
  assert.deepEqual(await review(memoryFit(), planOf(noOp('qwen3:8b'), noOp('small:latest')), host), [
    {
      severity: 'warning',
      code: 'memory-unknown',
      message: 'How much memory http://gpu-box:11434 has is not known, so no model was compared with it',
      hint: 'say it in the config: memoryFit({ memory: "24 GB" })',
    },
  ])
  assert.deepEqual(await review(memoryFit(), planOf(noOp('x:cloud', { cloud: true })), host), [])
  assert.deepEqual(await probe(memoryFit(), [{ reference: 'qwen3:8b' }], host), [])
})

test('defaults, and what is wrong with a config', async () => {
  assert.deepEqual(await check(memoryFit()), { bytesPerElement: 2, severity: 'warning' })
  const cases: readonly [config: unknown, problem: string][] = [
    [{ memory: '24' }, 'memory: Expected a size such as "24 GB", found "24"'],
    [{ numCtx: 0 }, 'numCtx: Expected a number of tokens, found 0'],
    [{ severity: 'fatal' }, 'severity: Expected "warning" or "error", found "fatal"'],
    [
      { num_ctx: 1 },
      'num_ctx: Key "num_ctx" is not known: expected models, memory, numCtx, bytesPerElement and severity, each of them optional',
    ],
  ]
  for (const [config, problem] of cases) await assert.rejects(check({ ...memoryFit(), config }), { message: problem })
})
