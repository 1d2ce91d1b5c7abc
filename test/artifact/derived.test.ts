/** The prediction against what a real server made (test/fixtures/transcripts/bytes-derived.json). */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { type BuildFields, isPredictable, type ModelContent, predictDerived } from '../../src/artifact/derived.ts'
import { parseManifest } from '../../src/artifact/manifest.ts'
import { formatReference, parseReference } from '../../src/artifact/reference.ts'
import { parameterSize } from '../../src/artifact/weights.ts'

interface Stored {
  readonly manifest: { readonly text: string }
  readonly config: { readonly text: string }
  readonly layers: readonly { readonly mediaType: string; readonly text?: string; readonly digest: string }[]
}
interface Recorded {
  readonly stored: Stored
  readonly tags_entry: { readonly digest: string }
}
interface Case extends Recorded {
  readonly case: string
  readonly request: Readonly<Record<string, unknown>> & { readonly model: string; readonly from?: string }
}
interface Recording {
  readonly bases: Readonly<Record<string, Recorded & { readonly show_model_info: Readonly<Record<string, unknown>> }>>
  readonly cases: readonly Case[]
}

const recording: Recording = JSON.parse(
  readFileSync(new URL('../fixtures/transcripts/bytes-derived.json', import.meta.url), 'utf8'),
)
const hash = (text: string) => createHash('sha256').update(text).digest('hex')

/** Of the recording's own setup: the length cases start from copies of `small`. */
const recordedBase = (from: string) =>
  from.startsWith('small-x') ? 'small' : from.replace(/^registry.ollama.ai\/library\/|:latest$/g, '')

function contentOf({ stored }: Recorded, weights: ModelContent['weights']): ModelContent {
  const config: Readonly<Record<string, unknown>> = JSON.parse(stored.config.text)
  const params = stored.layers.find(({ mediaType }) => mediaType.endsWith('.params'))?.text
  const text = (key: string) => (typeof config[key] === 'string' && config[key] !== '' ? config[key] : null)
  return {
    layers: parseManifest(stored.manifest.text).layers,
    config: {
      modelFormat: text('model_format') ?? '',
      renderer: text('renderer'),
      parser: text('parser'),
      requires: text('requires'),
      capabilities: [],
    },
    parameters: params === undefined ? null : JSON.parse(params),
    weights,
  }
}

function weightsOf(info: Readonly<Record<string, unknown>>): ModelContent['weights'] {
  return {
    architecture: String(info['general.architecture']),
    parameterCount: Number(info['general.parameter_count']),
    fileType: Number(info['general.file_type']),
  }
}

function fieldsOf(request: Case['request'], stored: Stored): BuildFields {
  const text = (key: string) => (typeof request[key] === 'string' && request[key] !== '' ? String(request[key]) : null)
  return {
    system: text('system'),
    template: text('template'),
    parameters: (request['parameters'] ?? {}) as BuildFields['parameters'],
    messages: (request['messages'] ?? []) as BuildFields['messages'],
    licenses: [(request['license'] ?? []) as string[]].flat(),
    renderer: text('renderer'),
    parser: text('parser'),
    requires: text('requires'),
    adapters: Object.entries((request['adapters'] ?? {}) as Record<string, string>).map(([name, digest]) => ({
      name,
      digest,
      sizeBytes: parseManifest(stored.manifest.text).layers.find((layer) => layer.digest === digest)?.sizeBytes ?? 0,
    })),
  }
}

/** Not predictable by the reference, or not to be declared: a remote stub, files, `info`. */
const others = new Set(['stub', 'file', 'info'])

for (const recorded of recording.cases.filter((entry) => !others.has(entry.case))) {
  test(`predictDerived() gives the bytes of the recording: ${recorded.case}`, () => {
    const { request, stored, tags_entry } = recorded
    const from = recordedBase(request.from ?? '')
    const base = recording.bases[from]
    const derivedBase = recording.cases.find((entry) => entry.request.model === from)
    const found = base ?? derivedBase
    assert.ok(found !== undefined, from)
    const info = base ?? recording.bases[recordedBase(derivedBase?.request.from ?? '')]
    const content = contentOf(found, weightsOf(info?.show_model_info ?? {}))
    assert.ok(isPredictable(content))
    const baseName = formatReference(parseReference(request.from ?? ''))
    const derived = predictDerived(content, baseName, fieldsOf(request, stored), hash)
    assert.equal(derived.digest, `sha256:${tags_entry.digest}`)
    const blobs = parseManifest(stored.manifest.text)
    assert.deepEqual(derived.blobs, [...blobs.layers, blobs.config])
    // What comes of it is the base of the next one.
    assert.deepEqual(derived.content, contentOf(recorded, content.weights))
  })
}

test('every other recording is left out for a reason, and no more than these', () => {
  assert.equal(recording.cases.length, 28)
  assert.equal(recording.cases.filter((entry) => others.has(entry.case)).length, others.size)
})

test('a base whose bytes cannot be foreseen is not predictable', () => {
  const base = recording.bases['small']
  assert.ok(base !== undefined)
  const content = contentOf(base, weightsOf(base.show_model_info))
  const [weights] = content.layers
  assert.ok(weights !== undefined)
  const layer = (kind: string) => ({ ...weights, mediaType: `application/vnd.ollama.image.${kind}` })
  const cases: Partial<ModelContent>[] = [
    { layers: [...content.layers, weights] },
    { layers: [...content.layers, layer('draft')] },
    { layers: [layer('tensor')] },
    { config: { ...content.config, modelFormat: 'safetensors' } },
    { weights: { ...content.weights, parameterCount: Number.NaN } },
  ]
  for (const change of cases) assert.equal(isPredictable({ ...content, ...change }), false, JSON.stringify(change))
  assert.equal(isPredictable({ ...content, layers: [...content.layers, layer('projector')] }), true)
})

test('parameterSize() rounds as Go does', () => {
  const cases: [number, string][] = [
    [64, '64'],
    [1499, '1K'],
    [2500, '2K'],
    [3500, '4K'],
    [22_565_376, '22.57M'],
    [22_565_000, '22.57M'],
    [1_050_000_000, '1.1B'],
    [8_050_000_000, '8.1B'],
    [1_000_000, '1M'],
    [1_250_000_000, '1.2B'],
    [1_750_000_000, '1.8B'],
    [8_030_261_248, '8.0B'],
    [70_000_000_000, '70B'],
  ]
  for (const [count, text] of cases) assert.equal(parameterSize(count), text)
})
