/** Uploads and builds of the test server where the recordings do not reach: faults, projectors, quantizing, made-up models. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { request } from 'node:http'
import test from 'node:test'
import { makeGguf } from './gguf.ts'
import { type OllamaServer, type OllamaServerOptions, startOllamaServer } from './ollama-server.ts'

type Line = Record<string, unknown>

function withServer(name: string, options: OllamaServerOptions, body: (server: OllamaServer) => Promise<void>): void {
  test(name, async () => {
    await using server = await startOllamaServer(options)
    await body(server)
  })
}

function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

async function upload(server: OllamaServer, bytes: Uint8Array, init: RequestInit = {}): Promise<string> {
  const digest = digestOf(bytes)
  const answer = await fetch(`${server.url}/api/blobs/${digest}`, { method: 'POST', body: Buffer.from(bytes), ...init })
  assert.ok(answer.status === 201 || answer.status === 200, `status ${answer.status}`)
  return digest
}

function post(server: OllamaServer, path: string, body: object): Promise<Response> {
  return fetch(`${server.url}${path}`, { method: 'POST', body: JSON.stringify(body) })
}

async function create(server: OllamaServer, body: object): Promise<Line[]> {
  const text = await (await post(server, '/api/create', body)).text()
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Line)
}

async function show(server: OllamaServer, model: string): Promise<Line> {
  return (await (await post(server, '/api/show', { model })).json()) as Line
}

function configOf(server: OllamaServer, model: string): Line {
  return JSON.parse(Buffer.from(server.stored(model).config?.bytes ?? []).toString()) as Line
}

const success = { status: 'success' }

withServer('uploads are kept, with and without a length', {}, async (server) => {
  const bytes = makeGguf({ name: 'streamed' })
  const chunks = [bytes.subarray(0, 100), bytes.subarray(100)]
  const body = new ReadableStream<Uint8Array>({
    pull: (controller) => {
      const next = chunks.shift()
      if (next === undefined) controller.close()
      else controller.enqueue(next)
    },
  })
  const digest = await upload(server, bytes, { body, duplex: 'half' } as RequestInit)
  assert.equal(server.requests[0]?.headers['transfer-encoding'], 'chunked')
  await upload(server, bytes)
  assert.equal(server.requests[1]?.headers['content-length'], String(bytes.length))
  assert.deepEqual(
    server.requests.map(({ status, bodyBytes }) => ({ status, bodyBytes })),
    [
      { status: 201, bodyBytes: bytes.length },
      { status: 200, bodyBytes: bytes.length },
    ],
  )
  assert.deepEqual(
    server.uploads.map((entry) => entry.digest),
    [digest],
  )
  assert.deepEqual(server.uploads[0]?.bytes, Buffer.from(bytes))
  assert.ok(server.hasBlob(digest))
})

withServer('a fault comes in the midst of an upload', {}, async (server) => {
  const bytes = Buffer.alloc(4_000_000, 1)
  const path = `/api/blobs/${digestOf(bytes)}`
  server.fail({ path: '/api/blobs/' }, { kind: 'hold', afterBytes: 100_000 }, 1)
  const held = upload(server, bytes)
  const arrived = await server.waitForRequest({ path })
  while (arrived.bodyBytes < 100_000) await new Promise((resolve) => setTimeout(resolve, 1))
  assert.equal(server.hasBlob(digestOf(bytes)), false)
  server.release()
  await held
  server.loseBlob(digestOf(bytes))

  // Not once: the fetch of Deno sends again what was reset.
  server.fail({ path }, { kind: 'reset', afterBytes: 100_000 })
  await assert.rejects(upload(server, bytes))
  assert.equal(server.hasBlob(digestOf(bytes)), false)
  server.heal()
  server.fail({ path }, { kind: 'reset' })
  await assert.rejects(upload(server, bytes))
  server.heal()
  assert.equal(server.hasBlob(digestOf(bytes)), true, 'only the answer was lost')
  server.loseBlob(digestOf(bytes))

  const before = server.requests.length
  const leaving = new AbortController()
  server.fail({ path }, { kind: 'stall', afterBytes: 100_000 }, 1)
  const pending = upload(server, bytes, { signal: leaving.signal })
  while ((server.requests[before]?.bodyBytes ?? 0) < 100_000) await new Promise((resolve) => setTimeout(resolve, 1))
  leaving.abort()
  await assert.rejects(pending)
  while (server.requests[before]?.aborted !== true) await new Promise((resolve) => setTimeout(resolve, 1))
  server.fail({ path }, { kind: 'status', status: 507, body: 'full' }, 1)
  await assert.rejects(upload(server, bytes), /status 507/)
  assert.deepEqual([server.hasBlob(digestOf(bytes)), server.problems], [false, []])
})

withServer('a client that leaves in the midst of an upload leaves nothing', {}, async (server) => {
  const bytes = makeGguf()
  const outgoing = request(`${server.url}/api/blobs/${digestOf(bytes)}`, { method: 'POST' })
  outgoing.on('error', () => {})
  outgoing.write(bytes.subarray(0, 100))
  const { headers } = await server.waitForRequest({ method: 'POST' })
  assert.equal(headers['transfer-encoding'], 'chunked')
  outgoing.destroy()
  await server.waitForRequest({ method: 'POST', aborted: true })
  assert.deepEqual([server.uploads, server.problems], [[], []])
})

withServer('a create meets faults as a pull does', { models: ['base'] }, async (server) => {
  server.fail({ path: '/api/create' }, { kind: 'end', afterLines: 2 }, 1)
  assert.equal((await create(server, { model: 'mine', from: 'base', system: 'S' })).length, 2)
  assert.deepEqual(server.installed(), ['base:latest'])
  server.fail({ model: 'mine' }, { kind: 'line', line: '{"error":"made up"}', afterLines: 1 }, 1)
  assert.deepEqual((await create(server, { model: 'mine', from: 'base', system: 'S' })).at(-1), { error: 'made up' })
  server.fail({ model: 'mine' }, { kind: 'hold', afterLines: 3 }, 1)
  const held = create(server, { model: 'mine', from: 'base', system: 'S' })
  const release = setInterval(() => server.release(), 1)
  try {
    assert.deepEqual((await held).at(-1), success)
  } finally {
    clearInterval(release)
  }
  assert.deepEqual(server.problems, [])
})

withServer('what a made-up model is shown with fits its config', { models: ['base'] }, async (server) => {
  const { model_info, details } = await show(server, 'base')
  assert.deepEqual(model_info, {
    'general.architecture': 'llama',
    'general.file_type': 15,
    'general.parameter_count': 1_200_000_000,
    'llama.attention.head_count': 32,
    'llama.attention.head_count_kv': 8,
    'llama.attention.key_length': 64,
    'llama.attention.value_length': 64,
    'llama.block_count': 16,
    'llama.context_length': 131072,
    'llama.embedding_length': 2048,
    'llama.feed_forward_length': 8192,
  })
  server.derive('mine', 'base', { system: 'S' })
  await post(server, '/api/copy', { source: 'mine', destination: 'alias' })
  for (const name of ['mine', 'alias']) {
    const derived = await show(server, name)
    assert.deepEqual(derived['model_info'], model_info)
    assert.deepEqual(derived['details'], { ...(details as object), parent_model: 'base:latest' })
  }
})

test('the config of a new model says what the weights say', async () => {
  await using server = await startOllamaServer()
  const config = {
    model_format: 'gguf',
    model_family: 'x',
    model_families: ['x', 'y'],
    model_type: '7B',
    file_type: 'F32',
  }
  const kept = { renderer: 'r', parser: 'p', requires: '0.9.0', capabilities: ['vision'] }
  const layers = [
    { mediaType: 'application/vnd.ollama.image.model', bytes: 'weights' },
    { mediaType: 'application/vnd.docker.container.image.v1+json', bytes: JSON.stringify({ ...config, ...kept }) },
  ]
  const facts = { 'general.architecture': 'qwen2', 'general.parameter_count': 7_615_616_512, 'general.file_type': 0 }
  server.install({ name: 'known', layers, modelInfo: facts })
  server.install({ name: 'unknown', layers, modelInfo: {} })
  server.derive('from-known', 'known')
  server.derive('from-unknown', 'unknown')
  const rest = { ...kept, architecture: 'amd64', os: 'linux' }
  const known = { model_family: 'qwen2', model_families: ['qwen2'], model_type: '7.6B', file_type: 'unknown' }
  assert.deepEqual(configOf(server, 'from-known'), { model_format: 'gguf', ...known, ...rest })
  assert.deepEqual(configOf(server, 'from-unknown'), { ...config, ...rest })
})

test('some families bring a renderer, a parser and parameters', async () => {
  await using server = await startOllamaServer()
  const modelInfo = { 'general.architecture': 'gemma4' }
  server.install({ name: 'gemma', modelInfo })
  server.derive('plain', 'gemma', { parameters: { top_k: 5 } })
  server.derive('stopped', 'gemma', { parameters: { stop: ['x'] }, renderer: 'mine' })
  server.derive('both', 'gemma', { renderer: 'mine', parser: 'mine' })
  const seen = ['plain', 'stopped', 'both'].map((name) => {
    const { renderer, parser } = configOf(server, name)
    const params = server.stored(name).layers.find((layer) => layer.mediaType.endsWith('.params'))?.bytes
    return { renderer, parser, params: params && Buffer.from(params).toString() }
  })
  assert.deepEqual(seen, [
    { renderer: 'gemma4', parser: 'gemma4', params: '{"stop":["\\u003cturn|\\u003e"],"top_k":5}\n' },
    { renderer: 'mine', parser: 'gemma4', params: '{"stop":["x"]}\n' },
    { renderer: 'mine', parser: 'mine', params: undefined },
  ])
})

withServer('weights, a projector and an adapter', { models: ['base'] }, async (server) => {
  const weights = makeGguf({ architecture: 'llama', fileType: 7, parameterCount: 3_210_000_000 })
  const projector = makeGguf({ architecture: 'clip', type: 'mmproj', values: { 'clip.projector_type': 'mlp' } })
  const adapter = makeGguf({ type: 'adapter', tensors: [{ name: 'a.lora_a', shape: [8] }] })
  const files = { 'w.gguf': await upload(server, weights), 'mmproj.gguf': await upload(server, projector) }
  const adapters = { 'lora.gguf': await upload(server, adapter) }
  const lines = await create(server, { model: 'seeing', files, adapters })
  assert.deepEqual(lines.at(-1), success)
  assert.equal(lines.filter(({ status }) => status === 'parsing GGUF').length, 3)
  assert.deepEqual(
    server.stored('seeing').layers.map(({ mediaType, from }) => [mediaType.split('.').at(-1), from]),
    [
      ['projector', 'mmproj.gguf'],
      ['model', undefined],
      ['adapter', 'lora.gguf'],
    ],
  )
  const { modelfile, details, capabilities, projector_info } = await show(server, 'seeing')
  const paths = String(modelfile)
    .split('\n')
    .filter((line) => /^(FROM|ADAPTER) /.test(line))
  assert.deepEqual(
    paths,
    [`FROM ${files['w.gguf']}`, `ADAPTER ${adapters['lora.gguf']}`, `FROM ${files['mmproj.gguf']}`].map((line) =>
      line.replace('sha256:', '$OLLAMA_MODELS/blobs/sha256-'),
    ),
  )
  const { parameter_size, quantization_level } = details as Line
  assert.deepEqual([parameter_size, quantization_level], ['3.2B', 'Q8_0'])
  assert.deepEqual(capabilities, ['completion', 'vision'])
  assert.equal((projector_info as Line)['general.type'], 'mmproj')
  const answer = await post(server, '/api/create', {
    model: 'x',
    from: 'base',
    adapters: { ...adapters, 'b.gguf': 'sha256:0' },
  })
  assert.equal(answer.status, 400)
  assert.deepEqual(await answer.json(), { error: 'only one adapter is currently supported' })
  assert.deepEqual(server.problems, [])
})

const asked: string[] = []
const quantizer = (_: Uint8Array, type: string) => {
  asked.push(type)
  return makeGguf({ name: type, fileType: type === 'COPY' ? 1 : 15 })
}
withServer('a test can play the quantizer', { quantizer }, async (server) => {
  const files = { 'model.gguf': await upload(server, makeGguf()) }
  assert.deepEqual((await create(server, { model: 'plain', files })).at(-1), success)
  const lines = await create(server, { model: 'small', from: 'plain', quantize: 'q4_k_m' })
  assert.deepEqual(lines.at(-1), success)
  assert.deepEqual(asked, ['COPY', 'Q4_K_M'])
  const { details, model_info } = await show(server, 'small')
  assert.equal((details as Line)['quantization_level'], 'Q4_K_M')
  assert.equal((model_info as Line)['general.file_type'], 15)
  assert.deepEqual(
    server.stored('small').layers.map(({ digest }) => digest),
    [digestOf(makeGguf({ name: 'Q4_K_M', fileType: 15 }))],
  )
  assert.deepEqual((await create(server, { model: 'again', from: 'small', quantize: 'q8_0' })).at(-1), {
    error: 'quantization is only supported for F16, BF16 and F32 models',
  })
})

withServer('files that are cut off, and what is not built', { models: ['base'] }, async (server) => {
  const files = { 'model.gguf': await upload(server, makeGguf().subarray(0, 500)) }
  const [, error] = await create(server, { model: 'cut', files })
  assert.match(String(error?.['error']), /^tensor "token_embd.weight" offset\+size \(\d+\) exceeds file size \(500\)$/)
  const odd = await post(server, '/api/create', { model: 'x', files: { a: 1 } })
  assert.match(await odd.text(), /cannot unmarshal number into Go struct field CreateRequest.files of type string/)
  server.loseBlob(server.stored('base').layers[0]?.digest ?? '')
  assert.equal((await post(server, '/api/create', { model: 'x', from: 'base' })).status, 500)
  assert.deepEqual(server.problems, [])
  const safetensors = { 'model.safetensors': files['model.gguf'] }
  assert.equal((await post(server, '/api/create', { model: 'x', files: safetensors })).status, 501)
  assert.equal(server.problems.length, 1)
})

test('the builder makes the files of the recordings', () => {
  const recorded = 'sha256:332949ecc038697f2d61287b28a936f168e7c6b2269632c9baa0b79913633571'
  assert.equal(digestOf(makeGguf({ name: 'from-file' })), recorded)
})
