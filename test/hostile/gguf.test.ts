/** Weights from anywhere: what a GGUF file says of itself, and models in a store whose blobs are anything. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after } from 'node:test'
import fc from 'fast-check'
import { imageType } from '../../src/artifact/manifest.ts'
import { createStoreBackend } from '../../src/backend/store.ts'
import { readGguf } from '../../src/store/gguf.ts'
import { blobFile, layoutOf } from '../../src/store/layout.ts'
import { readManifests } from '../../src/store/manifests.ts'
import { writeGguf } from '../store/gguf-writer.ts'
import { blobOf } from '../store/models.ts'
import { makeGguf } from '../support/gguf.ts'
import { assertVisible, damagedBytes, damagedJson, holds, hostileText, outcomeOfAsync } from './hostile-input.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'ollama-config-hostile-'))
after(() => rmSync(folder, { recursive: true, force: true }))

const plain = makeGguf({ name: 'x', chatTemplate: '{{ messages }}', tensors: [{ name: 't', shape: [8, 8] }] })
const lists = writeGguf({
  values: [
    ['general.architecture', { type: 8, value: 'llama' }],
    ['__proto__', { type: 8, value: 'polluted' }],
    [
      'tokens',
      {
        type: 9,
        of: 8,
        items: [
          { type: 8, value: 'a' },
          { type: 8, value: 'b' },
        ],
      },
    ],
    ['nested', { type: 9, of: 9, items: [{ type: 9, of: 4, items: [{ type: 4, value: 1 }] }] }],
    ['big', { type: 10, value: 2n ** 64n - 1n }],
    ['small', { type: 11, value: -(2n ** 63n) }],
    ['none', { type: 12, value: Number.NaN }],
    ['general.alignment', { type: 4, value: 32 }],
  ],
  tensors: [{ name: 't', shape: [4n], kind: 0, offset: 0n }],
  dataBytes: 64,
})

holds(
  'weights are refused with an error of ours, or told in numbers that there are',
  damagedBytes(plain, lists),
  async (bytes) => {
    const file = path.join(folder, 'weights.gguf')
    writeFileSync(file, bytes)
    const handle = await open(file)
    try {
      const read = await outcomeOfAsync(() => readGguf(handle, bytes.length))
      if ('error' in read) return
      for (const value of read.value.values.values()) assert.ok(typeof value !== 'number' || Number.isFinite(value))
      assert.ok(Number.isSafeInteger(read.value.parameterCount))
      assert.deepEqual(JSON.parse(JSON.stringify([...read.value.values])), [...read.value.values])
    } finally {
      await handle.close()
    }
  },
  3,
)

const config = { model_format: 'gguf', model_family: 'llama', renderer: 'r', remote_host: 'h', capabilities: ['tools'] }
const messages = [{ role: 'user', content: 'x' }]

holds(
  'a store whose blobs are anything is listed and shown, or refused with an error of ours',
  fc.record({
    config: damagedJson(config),
    params: damagedJson({ stop: ['a'], num_ctx: 1 }),
    messages: damagedJson({ messages }, messages),
    text: hostileText,
    weights: damagedBytes(plain),
    manifest: fc.option(damagedJson({ schemaVersion: 2, config: null, layers: [] }), { nil: undefined, freq: 4 }),
  }),
  async ({ weights, manifest, ...texts }) => {
    const layout = layoutOf(mkdtempSync(path.join(folder, 'store-')))
    const tag = path.join(layout.manifests, 'registry.ollama.ai/library/x')
    for (const needed of [layout.blobs, tag]) mkdirSync(needed, { recursive: true })
    const entry = (mediaType: string, bytes: Uint8Array) => {
      const digest = blobOf(Buffer.from(bytes).toString('latin1')).digest
      writeFileSync(blobFile(layout, digest), bytes)
      return { mediaType, digest, size: bytes.length }
    }
    const of = (kind: string, text: string) => entry(imageType(kind), Buffer.from(text))
    const written = {
      config: entry('application/vnd.docker.container.image.v1+json', Buffer.from(texts.config)),
      layers: [
        entry(imageType('model'), weights),
        of('params', texts.params),
        of('messages', texts.messages),
        ...['template', 'system', 'license'].map((kind) => of(kind, texts.text)),
      ],
    }
    writeFileSync(path.join(tag, 'latest'), manifest ?? JSON.stringify(written))
    await readManifests(layout, { pause: async () => {} })
    const backend = createStoreBackend({ folder: layout.folder, registry: { serverVersion: null, env: {} } })
    const listed = await outcomeOfAsync(() => backend.readState())
    if ('error' in listed) return
    for (const { name, remoteHost = '', parentModel = '' } of listed.value.models) {
      for (const said of [name, remoteHost, parentModel]) assertVisible(said)
      const shown = await outcomeOfAsync(() => backend.show(name))
      if ('error' in shown) continue
      const { capabilities, family, format, parameterSize, quantization, renderer, parser } = shown.value
      for (const said of [...capabilities, family, format, parameterSize, quantization, renderer, parser])
        assertVisible(said ?? '')
      JSON.stringify(shown.value.parameters)
    }
  },
)
