/** What is told of a model from its files alone, against what a real server told of the same bytes. */
import assert from 'node:assert/strict'
import { mkdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { configMediaType, imageType } from '../../src/artifact/manifest.ts'
import { parseListedName } from '../../src/artifact/reference.ts'
import type { ModelDetails } from '../../src/backend/backend.ts'
import type { CallContext } from '../../src/backend/errors.ts'
import { readDetails } from '../../src/backend/shown.ts'
import { showStored } from '../../src/backend/store-shown.ts'
import { blobFile, type Layout, manifestFile } from '../../src/store/layout.ts'
import { storedModel, storeWith } from '../store/models.ts'
import { readFixture } from '../support/conformance/recorded-registry.ts'
import { makeGguf } from '../support/gguf.ts'
import { derivedModels, pulledModels, storeOf } from '../support/recorded-store.ts'

interface Exchange {
  readonly request: {
    readonly body: { readonly model?: string; readonly options?: object; readonly verbose?: boolean }
  }
  readonly response: { readonly body: object }
}

const context: CallContext = {
  origin: 'http://127.0.0.1:11434',
  loopback: true,
  socket: false,
  method: 'POST',
  path: '/api/show',
  serverVersion: '0.33.0',
}

/** The recorded answer as the rest of the program gets it, of a server whose models lie in that folder. */
function recorded({ folder }: Layout, recording: string, name: string): ModelDetails {
  const { exchanges } = readFixture(recording) as { readonly exchanges: readonly Exchange[] }
  const found = exchanges.find(
    ({ request: { body } }) => body.model === name && body.options === undefined && body.verbose === undefined,
  )
  assert.ok(found, name)
  const blobs = JSON.stringify(path.join(folder, 'blobs', '_')).slice(1, -2)
  const text = JSON.stringify(found.response.body).replaceAll('$OLLAMA_MODELS/blobs/', blobs)
  return readDetails(JSON.parse(text), context)
}

async function show(layout: Layout, name: string): Promise<ModelDetails> {
  return showStored(layout, await storedModel(layout, name))
}

/** Puts a model there; of a kind that is named twice, one layer for each text. */
function add(
  layout: Layout,
  name: string,
  config: object | null,
  layers: readonly (readonly [kind: string, content: string | Uint8Array])[],
): readonly string[] {
  const put = (mediaType: string, content: string | Uint8Array) => {
    const bytes = Buffer.from(content)
    const digest = `sha256:${hashOf(bytes)}`
    writeFileSync(blobFile(layout, digest), bytes)
    return { mediaType, digest, size: bytes.length }
  }
  const entries = layers.map(([kind, content]) => put(imageType(kind), content))
  const manifest = {
    schemaVersion: 2,
    ...(config === null ? {} : { config: put(configMediaType, JSON.stringify(config)) }),
    layers: entries,
  }
  const file = manifestFile(layout, parseListedName(name))
  mkdirSync(path.dirname(file), { recursive: true })
  writeFileSync(file, JSON.stringify(manifest))
  return entries.map(({ digest }) => digest)
}

function hashOf(bytes: Uint8Array): string {
  return process.getBuiltinModule('node:crypto').createHash('sha256').update(bytes).digest('hex')
}

const gguf = { model_format: 'gguf' }
const plain = makeGguf({ name: 'Plain' })

/** A store with one model `m`, and what is told of it. */
async function shown(
  t: TestContext,
  config: object | null,
  layers: readonly (readonly [kind: string, content: string | Uint8Array])[],
): Promise<ModelDetails> {
  const layout = storeWith(t)
  add(layout, 'm', config, layers)
  return show(layout, 'm:latest')
}

test('pulled models are told as the recorded server told them', async (t) => {
  const layout = storeOf(t, pulledModels())
  for (const name of ['chatty:8b', 'small', 'embedder', 'bare']) {
    const wanted = recorded(layout, 'show-pulled', `127.0.0.1:5060/library/${name}`)
    const tag = name.includes(':') ? '' : ':latest'
    assert.deepEqual(await show(layout, `${name}${tag}`), wanted, name)
    assert.ok(wanted.weightsFile?.startsWith(layout.folder))
  }
  for (const { what, listed, modelInfo } of pulledModels())
    assert.deepEqual((await show(layout, listed.name)).modelInfo, modelInfo, what)
})

test('derived models are told as the recorded server told them', async (t) => {
  const layout = storeOf(t, derivedModels())
  assert.deepEqual(await show(layout, 'c-full:latest'), recorded(layout, 'show-derived', 'derived:v1'))
  assert.deepEqual(await show(layout, 'c-renderer:latest'), recorded(layout, 'show-derived', 'coder'))
  const grandchild = { ...recorded(layout, 'show-derived', 'grandchild'), system: 'Second.' }
  assert.deepEqual(await show(layout, 'c-grand:latest'), grandchild)
  for (const { what, listed } of derivedModels()) {
    const { modelInfo } = await show(layout, listed.name)
    if (listed.remote_host === undefined) assert.equal(modelInfo['general.parameter_count'] === undefined, false, what)
  }
  const adapted = await show(layout, 'c-adapter:latest')
  assert.deepEqual(adapted.adapters, ['sha256:207ae65b5b54171a5d58cd37681b4c66019510f2098d7805be1d0b318e240a9a'])
  const stub = await show(layout, 'c-stub:latest')
  assert.deepEqual(
    [stub.weightsFile, stub.weights, stub.modelInfo, stub.parameters, stub.system],
    [null, [], {}, { temperature: 1 }, 'S'],
  )
})

test('the template is printed as the server prints it: the last one, of the old kind too, or its own', async (t) => {
  const layout = storeWith(t)
  const templateOf = async (...layers: (readonly [string, string])[]) => {
    add(layout, 'm', gguf, [['model', plain], ...layers])
    return (await show(layout, 'm:latest')).templateSection
  }
  assert.equal(await templateOf(), 'TEMPLATE {{ .Prompt }}')
  assert.equal(await templateOf(['prompt', 'old {{ .Prompt }}']), 'TEMPLATE old {{ .Prompt }}')
  assert.equal(await templateOf(['template', 'a'], ['prompt', 'b']), 'TEMPLATE b')
  assert.equal(await templateOf(['template', 'a\nb']), 'TEMPLATE "a\nb"')
  assert.equal(await templateOf(['template', 'say "a"\nb']), 'TEMPLATE """say "a"\nb"""')
  assert.equal(await templateOf(['template', '']), 'TEMPLATE ')
})

test('texts, messages and parameters are those of all their layers', async (t) => {
  const details = await shown(t, { ...gguf, renderer: 'r', parser: 'two words', requires: '0.14.0' }, [
    ['model', plain],
    ['system', 'first'],
    ['system', 'second\n'],
    ['license', 'A'],
    ['license', 'B\n'],
    ['params', '{"stop":["a","b"],"num_ctx":1,"top_k":[7],"seed":[]}'],
    ['params', '{"num_ctx":4096,"__proto__":1,"odd":null,"deep":{"a":1},"stop":["only"],"on":true}'],
    ['messages', '[{"role":"USER","content":"hi"},{"role":"assistant"},{"content":"\\ud800"}]'],
  ])
  assert.deepEqual(
    [details.system, details.license, details.renderer, details.parser, details.requires],
    ['second\n', 'A\nB\n', 'r', null, '0.14.0'],
  )
  assert.deepEqual(Object.entries(details.parameters), [
    ['stop', 'only'],
    ['num_ctx', 4096],
    ['top_k', 7],
    ['__proto__', 1],
    ['on', true],
  ])
  assert.deepEqual(details.messages, [
    { role: 'user', content: 'hi' },
    { role: 'assistant', content: '' },
    { role: '', content: '\ufffd' },
  ])
  const bare = await shown(t, null, [
    ['model', plain],
    ['system', ''],
    ['license', ''],
  ])
  assert.deepEqual(
    [bare.system, bare.license, bare.messages, bare.parameters, bare.format, bare.requires],
    [null, null, [], {}, null, null],
  )
})

test('weights and projectors are told in the order of the Modelfile, and the quantization by the weights where it must be', async (t) => {
  const layout = storeWith(t)
  const projector = makeGguf({ type: 'mmproj', architecture: 'clip' })
  const [model, other, eyes] = add(layout, 'm', { ...gguf, file_type: 'unknown' }, [
    ['model', makeGguf({ fileType: 2 })],
    ['model', makeGguf({ fileType: 15 })],
    ['projector', projector],
  ])
  const details = await show(layout, 'm:latest')
  assert.deepEqual(details.weights, [other, eyes])
  assert.equal(details.weightsFile, blobFile(layout, other ?? ''))
  assert.notEqual(model, other)
  assert.equal(details.quantization, 'Q4_K_M')
  const told = await shown(t, { ...gguf, file_type: 'Q1' }, [['model', plain]])
  assert.equal(told.quantization, 'Q1')
  const nobody = await shown(t, { ...gguf, file_type: 'unknown' }, [['model', makeGguf({ fileType: 77 })]])
  assert.equal(nobody.quantization, 'unknown')
})

test('keys of the weights: all but two, lists as nothing, and the count of the tensors', async (t) => {
  const weights = makeGguf({
    name: 'N',
    chatTemplate: 'T',
    parameterCount: 5,
    tensors: [{ name: 'w', shape: [2, 3] }],
    values: { 'llama.context_length': 2048, __proto__: 'x' },
  })
  const { modelInfo } = await shown(t, gguf, [['model', weights]])
  assert.deepEqual(modelInfo, {
    'general.architecture': 'llama',
    'general.file_type': 1,
    'general.parameter_count': 6,
    'llama.context_length': 2048,
  })
})

test('models that run elsewhere or lie in many files need no GGUF', async (t) => {
  const remote = {
    remote_host: 'https://ollama.com:443',
    remote_model: 'big',
    model_family: 'qwen',
    base_name: 'Big',
    context_length: 4096,
    embedding_length: 0,
    capabilities: ['completion', 'tools'],
  }
  const stub = await shown(t, remote, [['system', 'S']])
  assert.deepEqual(
    [stub.modelInfo, stub.capabilities, stub.weights],
    [
      { 'general.architecture': 'qwen', 'general.basename': 'Big', 'qwen.context_length': 4096 },
      ['completion', 'tools'],
      [],
    ],
  )
  const tensors = await shown(t, { model_format: 'safetensors', capabilities: ['completion'] }, [['tensor', 'x']])
  assert.deepEqual([tensors.weightsFile, tensors.weights, tensors.modelInfo], [null, [], {}])
  const image = await shown(t, { capabilities: ['image'] }, [['tensor', 'x']])
  assert.deepEqual(image.capabilities, ['image'])
})

const go = '{{ range .Messages }}{{ .Content }}{{ end }}'
const goTools =
  '{{ if .Tools }}{{ range .Messages }}{{ range .ToolCalls }}x{{ end }}{{ if eq .Role "tool" }}{{ end }}{{ end }}{{ end }}'
const jinja = '{% if tools %}{{ message.tool_calls }}{% endif %}{{ message.role == "tool" }}'
const capabilities: readonly (readonly [
  what: string,
  wanted: readonly string[],
  parts: {
    readonly config?: object
    readonly weights?: Parameters<typeof makeGguf>[0]
    readonly template?: string
    readonly projector?: Parameters<typeof makeGguf>[0]
  },
])[] = [
  ['weights alone', ['completion'], {}],
  ['weights that embed', ['embedding'], { weights: { values: { 'llama.pooling_type': 1 } } }],
  [
    'weights that see and hear',
    ['completion', 'vision', 'audio'],
    { weights: { values: { 'llama.vision.block_count': 1, 'llama.audio.block_count': 1 } } },
  ],
  ['keys of another architecture', ['completion'], { weights: { values: { 'bert.pooling_type': 1 } } }],
  [
    'what the config says comes first',
    ['tools', 'completion'],
    { config: { capabilities: ['tools', 1, 'completion'] } },
  ],
  ['tools in a template', ['completion', 'tools'], { template: '{{ if .Tools }}{{ .Prompt }}{{ end }}' }],
  ['infill', ['completion', 'insert'], { template: '<PRE>{{ .Prompt }}<SUF>{{ $.Suffix }}' }],
  ['words that are no fields', ['completion'], { template: 'my.Tools {{ .Prompt }} a.Suffix {{ .Toolset }}' }],
  ['thoughts', ['completion', 'thinking'], { template: '{{ range .Messages }}<t>{{ .Thinking }}</t>{{ end }}' }],
  ['braces that nobody closes', ['completion', 'tools'], { template: '{{ .Tools '.repeat(1000) }],
  ['a template in the weights', ['tools', 'completion'], { weights: { chatTemplate: jinja } }],
  [
    'thoughts in the weights',
    ['thinking', 'completion'],
    { weights: { chatTemplate: "{{ content.split('</think>')[1] }}" } },
  ],
  ['the better one of both templates', ['tools', 'completion'], { weights: { chatTemplate: jinja }, template: go }],
  ['both alike', ['completion', 'tools'], { weights: { chatTemplate: jinja }, template: goTools }],
  ['a parser', ['completion', 'tools', 'thinking'], { config: { parser: 'qwen3-thinking' } }],
  [
    'a parser takes the template of the weights away',
    ['completion'],
    { config: { parser: 'x' }, weights: { chatTemplate: jinja } },
  ],
  ['no parser of a later server', ['completion'], { config: { parser: 'constructor' } }],
  ['gpt-oss', ['completion', 'thinking'], { config: { model_family: 'gptoss' } }],
  ['a projector', ['completion', 'vision'], { projector: { type: 'mmproj', architecture: 'clip' } }],
  [
    'a projector that hears',
    ['completion', 'vision', 'audio'],
    { projector: { type: 'mmproj', architecture: 'clip', values: { 'clip.has_audio_encoder': true } } },
  ],
  [
    'what a server cannot do yet',
    ['completion'],
    { weights: { architecture: 'nemotron_h_omni', values: { 'nemotron_h_omni.audio.block_count': 1 } } },
  ],
]
for (const [what, wanted, { config, weights, template, projector }] of capabilities) {
  test(`capabilities: ${what}`, async (t) => {
    const details = await shown(t, { ...gguf, ...config }, [
      ['model', makeGguf(weights)],
      ...(template === undefined ? [] : [['template', template] as const]),
      ...(projector === undefined ? [] : [['projector', makeGguf(projector)] as const]),
    ])
    assert.deepEqual(details.capabilities, wanted)
  })
}

test('a model of which a part is missing is not found, as the server answers', async (t) => {
  const layout = storeWith(t)
  const kinds = ['model', 'template', 'system', 'params', 'messages', 'license', 'projector', 'adapter'] as const
  const contents = [plain, 't', 's', '{}', '[]', 'l', makeGguf({ type: 'mmproj' }), makeGguf({ type: 'adapter' })]
  const whole = kinds.map((kind, index) => [kind, contents[index] ?? ''] as const)
  for (const [index, kind] of kinds.entries()) {
    const digests = add(layout, 'm', gguf, whole)
    rmSync(blobFile(layout, digests[index] ?? ''))
    const isMissing = { code: 'model-not-found', message: /^"m:latest" is not complete.*missing/ }
    // Which the server does not look for either.
    if (kind === 'adapter') await show(layout, 'm:latest')
    else await assert.rejects(show(layout, 'm:latest'), isMissing, kind)
  }
  add(layout, 'm', gguf, [['system', 's']])
  await assert.rejects(show(layout, 'm:latest'), { code: 'model-not-found', message: /names no weights/ })
})

test('what is damaged is told, and never taken for something else', async (t) => {
  const layout = storeWith(t)
  const cases: readonly (readonly [string, string | Uint8Array])[] = [
    ['model', 'no GGUF'],
    ['model', plain.subarray(0, -1)],
    ['projector', plain.subarray(0, 100)],
    ['params', '{"num_ctx":'],
    ['params', '[]'],
    ['messages', '{}'],
    ['messages', '[1]'],
    ['messages', 'x'],
  ]
  for (const layer of cases) {
    add(layout, 'm', gguf, [['model', plain], layer])
    await assert.rejects(
      show(layout, 'm:latest'),
      { code: 'invalid-response', message: /^"m:latest" cannot be read\. / },
      String(layer),
    )
  }
})

test('a template without end is not read', async (t) => {
  const layout = storeWith(t)
  const [, template] = add(layout, 'm', gguf, [
    ['model', plain],
    ['template', 't'],
  ])
  truncateSync(blobFile(layout, template ?? ''), 2 ** 25)
  await assert.rejects(show(layout, 'm:latest'), { code: 'store-unreadable', message: /33554432 bytes/ })
})

test('it can be given up', async (t) => {
  const layout = storeWith(t)
  add(layout, 'm', gguf, [['model', plain]])
  const model = await storedModel(layout, 'm:latest')
  const gaveUp = new Error('gave up')
  await assert.rejects(showStored(layout, model, { signal: AbortSignal.abort(gaveUp) }), (error) => error === gaveUp)
})
