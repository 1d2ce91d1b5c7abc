/** Models that are built in a store without a server, against what a real server stored for the same requests, byte for byte. */
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { parseListedName } from '../../src/artifact/reference.ts'
import type { Backend, CreateRequest } from '../../src/backend/backend.ts'
import { createStoreBackend } from '../../src/backend/store.ts'
import { blobFile, type Layout, manifestFile } from '../../src/store/layout.ts'
import { assertSound } from '../store/models.ts'
import { derivedModels, type RecordedModel, storeOf } from '../support/recorded-store.ts'

/** Cases that no request of ours brings about. */
const notOurs: Readonly<Record<string, string>> = {
  stub: 'no models are made that run elsewhere',
  info: 'facts of the weights are never declared otherwise',
  file: 'a server converts files',
  ...(process.platform === 'win32' ? { 'other-registry': 'the name of its base becomes no path on Windows' } : {}),
}

/** A store with the bases of the recording, and some of them under other names too. */
function basesIn(t: TestContext): { readonly layout: Layout; readonly backend: Backend } {
  const bases = derivedModels().filter(({ request }) => request === undefined)
  const layout = storeOf(t, bases)
  const small = bases.find(({ what }) => what === 'small')
  for (const { what, request } of derivedModels()) {
    if (!what.startsWith('length-')) continue
    const file = manifestFile(layout, parseListedName(request?.from ?? ''))
    mkdirSync(path.dirname(file), { recursive: true })
    writeFileSync(file, Buffer.from(small?.stored.manifest.base64 ?? '', 'base64'))
  }
  const registry = { serverVersion: null, env: {}, baseUrl: () => assert.fail('a registry was asked') }
  return { layout, backend: createStoreBackend({ folder: layout.folder, registry }) }
}

async function build(backend: Backend, { request }: RecordedModel): Promise<void> {
  assert.ok(request)
  const { model, license, ...rest } = request
  const licenses = license === undefined ? [] : [license].flat()
  const asked: CreateRequest = { ...rest, ...(licenses.length === 0 ? {} : { license: licenses }) }
  for await (const _ of backend.create(model, asked));
}

function adapterIn(models: readonly RecordedModel[]): { readonly digest: string; readonly base64: string } {
  const found = models
    .flatMap(({ request, stored }) => stored.layers.filter(({ digest }) => digest === request?.adapters?.['lora.gguf']))
    .at(0)
  assert.ok(found)
  return found
}

// Cases build on earlier ones, so that all of them go into one store.
test('what is built has the bytes, the digest and the size that a server gave it', async (t) => {
  const { layout, backend } = basesIn(t)
  const cases = derivedModels().filter(({ request }) => request !== undefined)
  assert.ok(cases.length > 20)
  const adapter = adapterIn(cases)
  writeFileSync(blobFile(layout, adapter.digest), Buffer.from(adapter.base64, 'base64'))
  for (const model of cases) {
    await t.test(model.what, { skip: notOurs[model.what] ?? false }, async () => {
      const { stored, listed } = model
      await build(backend, model)
      const manifest = readFileSync(path.join(layout.folder, ...stored.manifest.path.split('/')), 'utf8')
      assert.equal(manifest, Buffer.from(stored.manifest.base64, 'base64').toString())
      for (const { digest, base64 } of [stored.config, ...stored.layers])
        assert.equal(readFileSync(blobFile(layout, digest)).toString('base64'), base64, digest)
      const { models } = await backend.readState()
      assert.deepEqual(
        models.find(({ name }) => name === listed.name),
        {
          name: listed.name,
          reference: parseListedName(listed.name),
          digest: `sha256:${listed.digest}`,
          sizeBytes: listed.size,
          parentModel: listed.details.parent_model,
        },
      )
    })
  }
  await assertSound(layout)
})

test('to build the same again changes nothing', async (t) => {
  const { layout, backend } = basesIn(t)
  const full = derivedModels().find(({ what }) => what === 'full')
  assert.ok(full)
  await build(backend, full)
  const before = await backend.readState()
  await build(backend, full)
  assert.deepEqual(await backend.readState(), before)
  await assertSound(layout)
})
