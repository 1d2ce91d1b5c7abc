/** What an installed model is made of: from the server's files, from what is known, from its registry, and never unchecked. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { blobsOf, formatManifest, type Layer, type Manifest, parseManifest } from '../../src/artifact/manifest.ts'
import { parseListedName, type Reference } from '../../src/artifact/reference.ts'
import { type ContentSources, contentOf } from '../../src/resolution/content.ts'
import { sha256 } from '../../src/runtime/sha256.ts'
import { installedModel, shownModel } from '../support/memory-backend.ts'
import { tempFolder } from '../support/run-cli.ts'

const digestOf = (text: string) => `sha256:${sha256(text)}`
const layerOf = (kind: string, text: string): Layer => ({
  mediaType: `application/vnd.ollama.image.${kind}`,
  digest: digestOf(text),
  sizeBytes: text.length,
})
const weights = layerOf('model', 'weights')
const paramsText = '{"temperature":0.7}'
const configText = JSON.stringify({
  model_format: 'gguf',
  model_family: 'llama',
  renderer: 'harmony',
  parser: '',
  requires: 7,
  capabilities: ['tools', 1],
})
const config: Layer = { ...layerOf('', configText), mediaType: 'application/vnd.docker.container.image.v1+json' }
const params = layerOf('params', paramsText)
const whole: Manifest = { config, layers: [weights, params] }
const texts = new Map([configText, paramsText].map((text) => [digestOf(text), text]))

const expected = {
  layers: whole.layers,
  config: { modelFormat: 'gguf', renderer: 'harmony', parser: null, requires: null, capabilities: ['tools'] },
  parameters: { temperature: 0.7 },
  weights: { architecture: 'llama', parameterCount: 64, fileType: 15 },
}

interface Given {
  /** The manifest's bytes, as they were hashed. Default: compact. */
  readonly text?: string
  readonly reference?: Reference
  readonly folder?: string
  readonly local?: boolean
  readonly known?: readonly Layer[]
  /** What a registry gives. Default: nothing. */
  readonly served?: Manifest
  readonly blobs?: ReadonlyMap<string, string>
  readonly info?: Readonly<Record<string, unknown>>
}

async function look({ text = formatManifest(whole), folder, local = true, known, served, blobs, ...more }: Given) {
  const asked: string[] = []
  const model = installedModel('user/m:7b', { digest: digestOf(text) })
  const sources: ContentSources = {
    model: more.reference === undefined ? model : { ...model, reference: more.reference },
    shown: shownModel({
      weightsFile: folder === undefined ? null : path.join(folder, 'blobs', weights.digest.replace(':', '-')),
      modelInfo: more.info ?? {
        'general.architecture': 'llama',
        'general.parameter_count': 64,
        'general.file_type': 15,
      },
    }),
    known,
    local,
    ask: {
      manifest: async (digest) => {
        asked.push(`manifest ${digest}`)
        return served ?? null
      },
      blob: async (digest) => {
        asked.push(digest)
        return blobs?.get(digest) ?? null
      },
    },
  }
  return { content: await contentOf(sources), asked }
}

/** A model folder with one manifest and the two small blobs. */
function store(t: TestContext, manifest: string, place = 'registry.ollama.ai/user/m/7b'): string {
  const folder = tempFolder(t)
  const file = path.join(folder, 'manifests', place)
  mkdirSync(path.dirname(file), { recursive: true })
  mkdirSync(path.join(folder, 'blobs'))
  writeFileSync(file, manifest)
  for (const [digest, text] of texts) writeFileSync(blobFile(folder, digest), text)
  return folder
}

const blobFile = (folder: string, digest: string) => path.join(folder, 'blobs', digest.replace(':', '-'))

test('from the files of a server on this machine, and nobody is asked', async (t) => {
  const compact = formatManifest(whole)
  const odd = JSON.stringify(JSON.parse(compact), null, 2)
  for (const text of [compact, `${compact}\n`, odd]) {
    const { content, asked } = await look({ text, folder: store(t, text) })
    assert.deepEqual(content, expected)
    assert.deepEqual(asked, [])
  }
  // The newline behind a manifest that fills the decoder's buffer is there, and not hashed.
  assert.deepEqual((await look({ text: compact, folder: store(t, `${compact}\n`) })).content, expected)
})

test('weights that a server quantizes at every build give what nobody can foresee', async (t) => {
  const info = { 'general.architecture': 'llama', 'llama.source_quantization': 'hf_fp8' }
  assert.equal((await look({ folder: store(t, formatManifest(whole)), info })).content, null)
})

test('files of another machine are not looked at', async (t) => {
  const { content, asked } = await look({ folder: store(t, formatManifest(whole)), local: false })
  assert.equal(content, null)
  assert.equal(asked.length, 1)
})

test('a manifest that is damaged, another, elsewhere, no text or no manifest is none', async (t) => {
  const text = formatManifest(whole)
  const other = formatManifest({ ...whole, layers: [weights] })
  const folders = [
    store(t, text.slice(0, -1)),
    store(t, other),
    store(t, `${text}\n\n`),
    store(t, text, 'registry.ollama.ai/library/m/7b'),
    store(t, text, 'registry.ollama.ai/user/m/7b/x'),
    tempFolder(t),
  ]
  for (const folder of folders) assert.equal((await look({ folder })).content, null, folder)
  // These hash as they are listed.
  for (const wrong of ['[]', '{}', '{"config":{"digest":"sha256:1"}}', 'null', '']) {
    assert.equal((await look({ text: wrong, folder: store(t, wrong) })).content, null, wrong)
  }
  const without = formatManifest({ config: null, layers: [weights] })
  assert.equal((await look({ text: without, folder: store(t, without) })).content, null)
})

test('a blob that is damaged is asked for elsewhere, and not had otherwise', async (t) => {
  const folder = store(t, formatManifest(whole))
  writeFileSync(blobFile(folder, params.digest), '{"temperature":0.8}')
  const { content, asked } = await look({ folder })
  assert.equal(content, null)
  assert.deepEqual(asked, [params.digest])
  assert.deepEqual((await look({ folder, blobs: texts })).content, expected)
})

test('what is huge, or no file, is not read', { timeout: 20_000 }, async (t) => {
  const folder = tempFolder(t)
  const file = path.join(folder, 'manifests/registry.ollama.ai/user/m/7b')
  mkdirSync(path.dirname(file), { recursive: true })
  const huge = `${formatManifest(whole)}${' '.repeat(1024 * 1024)}`
  writeFileSync(file, huge)
  assert.equal((await look({ text: huge, folder })).content, null)
  const second = tempFolder(t)
  mkdirSync(path.join(second, 'manifests/registry.ollama.ai/user/m/7b'), { recursive: true })
  assert.equal((await look({ folder: second })).content, null)
  if (process.platform === 'win32') return
  // A pipe that nobody writes to never ends.
  const third = tempFolder(t)
  mkdirSync(path.join(third, 'manifests/registry.ollama.ai/user/m'), { recursive: true })
  execFileSync('mkfifo', [path.join(third, 'manifests/registry.ollama.ai/user/m/7b')])
  assert.equal((await look({ folder: third })).content, null)
})

test('a name cannot lead out of the folder: what would is no name, and what is found must hash to what is listed', async (t) => {
  for (const name of ['../../x', 'a/../../../x:1', 'a:..', '..:a', 'user/m:../x']) {
    assert.throws(() => parseListedName(name), /./, name)
  }
  const folder = store(t, formatManifest(whole))
  writeFileSync(path.join(folder, 'secret'), '{"config":null,"layers":[]}')
  const reference = { ...parseListedName('user/m:7b'), tag: '../../../../secret' }
  assert.equal((await look({ folder, reference })).content, null)
})

test('from the list of blobs that is known, where it gives the manifest back', async () => {
  assert.deepEqual((await look({ known: blobsOf(whole), blobs: texts, local: false })).content, expected)
  // A layer that is there twice is in the list once; a manifest printed otherwise does not come back either.
  const twice = { config, layers: [weights, params, params] }
  const oddly = JSON.stringify(JSON.parse(formatManifest(whole)), null, 1)
  for (const [text, manifest] of [
    [formatManifest(twice), twice],
    [oddly, whole],
  ] as const) {
    const blind = await look({ text, known: blobsOf(manifest), blobs: texts })
    assert.equal(blind.content, null)
    assert.deepEqual(blind.asked, [`manifest ${digestOf(text)}`])
    const { content } = await look({ text, known: blobsOf(manifest), blobs: texts, served: manifest })
    assert.deepEqual(content, { ...expected, layers: manifest.layers })
  }
  assert.equal((await look({ known: [], blobs: texts })).content, null)
})

test('from its registry: manifest, then config and params', async () => {
  const { content, asked } = await look({ served: whole, blobs: texts })
  assert.deepEqual(content, expected)
  assert.deepEqual(asked, [`manifest ${digestOf(formatManifest(whole))}`, config.digest, params.digest])
  for (const missing of [config.digest, params.digest]) {
    const blobs = new Map([...texts].filter(([digest]) => digest !== missing))
    assert.equal((await look({ served: whole, blobs })).content, null)
  }
})

test('config and params that are no JSON objects, or too large, are none', async () => {
  for (const wrong of ['', '[]', 'null', '7', '{', '"x"']) {
    for (const layer of [config, params]) {
      const blobs = new Map([...texts, [layer.digest, wrong]])
      assert.equal((await look({ served: whole, blobs })).content, null, wrong)
    }
  }
  const large = { config, layers: [weights, { ...params, sizeBytes: 1024 * 1024 + 1 }] }
  const { content, asked } = await look({ text: formatManifest(large), served: large, blobs: texts })
  assert.equal(content, null)
  assert.equal(asked.includes(params.digest), false)
})

test('without params there are none; of several, the first has the last word', async () => {
  const bare = { config, layers: [weights] }
  const { content } = await look({ text: formatManifest(bare), served: bare, blobs: texts })
  assert.equal(content?.parameters, null)
  const second = '{"temperature":1,"top_k":5}'
  const both = { config, layers: [weights, params, layerOf('params', second)] }
  const blobs = new Map([...texts, [digestOf(second), second]])
  const found = await look({ text: formatManifest(both), served: both, blobs })
  assert.deepEqual(found.content?.parameters, { temperature: 0.7, top_k: 5 })
})

test('what the server does not tell of the weights is not made up', async () => {
  const { content } = await look({ served: whole, blobs: texts, info: { 'general.architecture': 7 } })
  assert.deepEqual(content?.weights, { architecture: '', parameterCount: Number.NaN, fileType: 0 })
  assert.deepEqual(parseManifest(formatManifest(whole)), whole)
})
