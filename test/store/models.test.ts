/** What is listed of a store: what a server would list of it, and never silence about what cannot be read. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { configMediaType, imageType } from '../../src/artifact/manifest.ts'
import { parseListedName } from '../../src/artifact/reference.ts'
import { blobFile, type Layout, manifestFile } from '../../src/store/layout.ts'
import { listModels } from '../../src/store/models.ts'
import { derivedModels, pulledModels, storeOf } from '../support/recorded-store.ts'
import { addBlob, blobOf, storeWith } from './models.ts'

/** A model of these blobs; those that are to be missing are named and not put there. */
function addModel(
  layout: Layout,
  name: string,
  parts: Readonly<Record<string, string>>,
  missing: readonly string[] = [],
): void {
  const entries = Object.entries(parts).map(([kind, text]) => {
    if (!missing.includes(kind)) addBlob(layout, text)
    const { digest, bytes } = blobOf(text)
    return [
      kind,
      { mediaType: kind === 'config' ? configMediaType : imageType(kind), digest, size: bytes.length },
    ] as const
  })
  const { config, ...layers } = Object.fromEntries(entries)
  const file = manifestFile(layout, parseListedName(name))
  mkdirSync(path.dirname(file), { recursive: true })
  writeFileSync(file, JSON.stringify({ schemaVersion: 2, config, layers: Object.values(layers) }))
}

async function found(layout: Layout) {
  const { models, unreadable } = await listModels(layout, { pause: async () => {} })
  return { names: models.map(({ name }) => name), unreadable }
}

test('every recorded model is listed as the recorded server listed it', async (t) => {
  const recorded = [...derivedModels(), ...pulledModels()]
  const layout = storeOf(t, recorded)
  const { models, unreadable } = await listModels(layout)
  assert.deepEqual(unreadable, [])
  for (const { what, listed } of recorded) {
    const model = models.find(({ name }) => name === listed.name)
    const { parent_model } = listed.details
    assert.deepEqual(
      model,
      {
        name: listed.name,
        reference: parseListedName(listed.name),
        digest: `sha256:${listed.digest}`,
        sizeBytes: listed.size,
        ...(parent_model === '' ? {} : { parentModel: parent_model }),
        ...(listed.remote_host === undefined ? {} : { remoteHost: listed.remote_host }),
      },
      what,
    )
  }
  assert.ok(models.some(({ remoteHost }) => remoteHost === 'https://ollama.com:11434'))
})

test('a model without its config or its template is hidden, as a server hides it; without other parts it is not', async (t) => {
  const layout = storeWith(t)
  const parts = { config: '{}', model: 'w', template: 't', system: 's', params: '{}', license: 'l', messages: '[]' }
  addModel(layout, 'whole', parts)
  addModel(layout, 'rest', { ...parts, model: '1', system: '2', params: '3', license: '4', messages: '5' }, [
    'model',
    'system',
    'params',
    'license',
    'messages',
  ])
  addModel(layout, 'config', { ...parts, config: '{"a":1}' }, ['config'])
  addModel(layout, 'template', { ...parts, template: 'gone' }, ['template'])
  addModel(layout, 'prompt', { config: '{}', prompt: 'old and gone' }, ['prompt'])
  for (const [index, config] of ['no json', '[]', '1', 'null', ''].entries())
    addModel(layout, `bad${index}`, { ...parts, config })
  addModel(layout, 'none', { model: 'w' })
  assert.deepEqual(await found(layout), { names: ['none:latest', 'rest:latest', 'whole:latest'], unreadable: [] })
})

test('what of a model is not there, or has another size, is told without reading it', async (t) => {
  const layout = storeWith(t)
  const parts = { config: '{}', model: 'w', template: 't', system: 's', params: '{}', license: 'free' }
  const lacking = { ...parts, model: 'gone', license: 'no' }
  addModel(layout, 'whole', parts)
  addModel(layout, 'lacking', lacking, ['model', 'license'])
  addModel(layout, 'cut', { ...parts, system: 'be short' })
  addModel(layout, 'bytes', { ...parts, system: 'as long' })
  truncateSync(blobFile(layout, blobOf('be short').digest), 3)
  writeFileSync(blobFile(layout, blobOf('as long').digest), 'another')
  const { models } = await listModels(layout)
  assert.deepEqual(
    models.map(({ name, damage }) => [name, damage]),
    [
      ['bytes:latest', undefined],
      ['cut:latest', 'system prompt (wrong size)'],
      ['lacking:latest', 'weights (missing), license (missing)'],
      ['whole:latest', undefined],
    ],
  )
})

test('what cannot be read is named', async (t) => {
  const layout = storeWith(t, { a: ['{"a":1}', 'x'], b: ['{"b":1}', 'y'], c: ['{"c":1}', 'z'], d: ['{"d":1}'] })
  rmSync(addBlob(layout, '{"a":1}'))
  mkdirSync(blobFile(layout, blobOf('{"a":1}').digest))
  truncateSync(blobFile(layout, blobOf('{"b":1}').digest), 2 ** 25)
  writeFileSync(path.join(layout.manifests, 'registry.ollama.ai/library/c/latest'), '{')
  assert.deepEqual(await found(layout), { names: ['d:latest'], unreadable: ['a:latest', 'b:latest', 'c:latest'] })
})

test('what deletions free is unknown while a link leads nowhere: none of their blobs is removed then', {
  skip: process.platform === 'win32',
}, async (t) => {
  const layout = storeWith(t, { a: ['{}', 'x'] })
  assert.deepEqual((await listModels(layout)).stored.notFreed, new Set())
  const link = path.join(layout.manifests, 'on-another-disk')
  symlinkSync('/not/there', link)
  assert.equal((await listModels(layout)).stored.notFreed, null)
})

test('text of others is made fit for a terminal', async (t) => {
  const layout = storeWith(t)
  addModel(layout, 'a', { config: JSON.stringify({ remote_host: 'https://x\u001b[31m\ny' }), model: 'w' })
  const file = manifestFile(layout, parseListedName('a'))
  const manifest = JSON.parse(readFileSync(file, 'utf8'))
  manifest.layers[0].from = 'b\u001b]0;title\u0007:latest\u202e'
  writeFileSync(file, JSON.stringify(manifest))
  const [model] = (await listModels(layout)).models
  assert.deepEqual([model?.remoteHost, model?.parentModel], ['https://x y', 'b:latest'])
})

test('a thousand models that share blobs', async (t) => {
  const layout = storeWith(t)
  for (let index = 0; index < 1000; index++)
    addModel(layout, `team${index % 7}/m${index}`, {
      config: `{"n":${index % 50}}`,
      template: 't',
      model: String(index),
    })
  const { names, unreadable } = await found(layout)
  assert.deepEqual([names.length, unreadable], [1000, []])
})

test('a listing can be given up', async (t) => {
  const gaveUp = new Error('gave up')
  const signal = AbortSignal.abort(gaveUp)
  await assert.rejects(listModels(storeWith(t), { signal }), (error) => error === gaveUp)
})

test('a pipe in the place of a blob keeps nobody waiting', { skip: process.platform === 'win32' }, async (t) => {
  const layout = storeWith(t, { a: ['{}'] })
  const file = blobFile(layout, blobOf('{}').digest)
  rmSync(file)
  execFileSync('mkfifo', [file])
  assert.deepEqual(await found(layout), { names: [], unreadable: ['a:latest'] })
})
