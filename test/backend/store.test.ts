/** What only a store can do or get wrong: bytes as they were served, exact versions, blobs that models share, and what is left behind. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { configMediaType } from '../../src/artifact/manifest.ts'
import { parseListedName, parseReference } from '../../src/artifact/reference.ts'
import type { Backend, CreateRequest, PullOptions, PullProgress, Upload } from '../../src/backend/backend.ts'
import { createStoreBackend, type StoreBackendOptions } from '../../src/backend/store.ts'
import { isOllamaConfigError } from '../../src/errors.ts'
import { blobFile, type Layout, layoutOf, manifestFile } from '../../src/store/layout.ts'
import { assertSound, blobOf, filesIn, hasBlob, storedModel } from '../store/models.ts'
import { makeGguf } from '../support/gguf.ts'
import { makeOllamaKey, type ServedModel, type TestRegistry } from '../support/registry.ts'
import { openRegistry, tempFolder } from '../support/run-cli.ts'
import { layer } from '../support/world.ts'

interface Subject {
  readonly remote: TestRegistry
  readonly layout: Layout
  readonly backend: Backend
  pull(name: string, options?: Partial<PullOptions>): Promise<readonly PullProgress[]>
  /** Names and digests. */
  listed(): Promise<Readonly<Record<string, string>>>
}

/** A store that is not there yet, and the registry that it pulls from. */
async function open(
  t: TestContext,
  models: ServedModel[],
  options: Partial<StoreBackendOptions['registry']> = {},
): Promise<Subject> {
  const remote = await openRegistry(t, { models })
  const layout = layoutOf(path.join(tempFolder(t), 'models'))
  const backend = createStoreBackend({
    folder: layout.folder,
    registry: { serverVersion: null, env: {}, retries: 0, baseUrl: () => remote.url, ...options },
    download: { pauseMs: 1, attempts: 2 },
  })
  return {
    remote,
    layout,
    backend,
    pull: async (name, more = {}) => {
      const lines: PullProgress[] = []
      for await (const line of backend.pull(parseReference(name), { insecure: false, ...more })) lines.push(line)
      return lines
    },
    listed: async () => {
      const { models: found, unreadable } = await backend.readState()
      assert.deepEqual(unreadable, [])
      return Object.fromEntries(found.map(({ name, digest }) => [name, digest]))
    },
  }
}

/** Text of the weights of a model; two that say the same share them. */
const weights = (name: string) => layer('model', makeGguf({ name }))
const served = (name: string, ...texts: string[]): ServedModel => ({
  name,
  layers: [weights(name), ...texts.map((text) => layer('license', text))],
})
const digestIn = (remote: TestRegistry, name: string, kind: string): string =>
  remote.content(name).layers.find(({ mediaType }) => mediaType.endsWith(`.${kind}`))?.digest ?? ''

async function build(backend: Backend, name: string, request: CreateRequest): Promise<readonly PullProgress[]> {
  const lines: PullProgress[] = []
  for await (const line of backend.create(name, request)) lines.push(line)
  return lines
}

function upload(text: string, more: Partial<Upload> = {}): Upload {
  const { digest, bytes } = blobOf(text)
  const pieces = async function* () {
    yield bytes.subarray(0, 2)
    yield bytes.subarray(2)
  }
  return { digest, sizeBytes: bytes.byteLength, bytes: pieces(), ...more }
}

test('a manifest is stored as it was served, whatever its layout', async (t) => {
  const { remote, layout, pull, listed } = await open(t, [served('a', 'A'), served('b', '')])
  const spacious = `\n ${JSON.stringify(JSON.parse(remote.content('a').manifest), null, 3)}\r\n\n`
  remote.publish({ name: 'a', manifest: spacious })
  const lines = await pull('a')
  assert.equal(readFileSync(manifestFile(layout, parseListedName('a')), 'utf8'), spacious)
  assert.deepEqual([lines.at(0)?.status, lines.at(-1)?.status], ['pulling manifest', 'success'])
  const whole = lines.filter(
    ({ completedBytes, totalBytes }) => totalBytes !== undefined && completedBytes === totalBytes,
  )
  assert.deepEqual(
    new Set(whole.map(({ digest }) => digest)),
    new Set([...remote.content('a').layers, remote.content('a').config].map((blob) => blob?.digest)),
  )
  // With a layer of no bytes.
  await pull('b')
  assert.deepEqual(await listed(), { 'a:latest': remote.content('a').digest, 'b:latest': remote.content('b').digest })
  await assertSound(layout)
  assert.deepEqual(remote.problems, [])
})

for (const blobs of ['plain', 'plain-with-location', 'redirect'] as const) {
  test(`blobs are fetched from a registry that answers: ${blobs}`, async (t) => {
    const { remote, layout, pull } = await open(t, [{ ...served('a', 'A'), blobs }])
    await pull('a')
    await assertSound(layout)
    assert.equal(remote.count({ kind: 'cdn' }) > 0, blobs === 'redirect')
    assert.deepEqual(remote.problems, [])
  })
}

test('a private model is fetched with the key, and without it nothing is', async (t) => {
  const key = await makeOllamaKey(tempFolder(t))
  const model = { ...served('team/secret', 'S'), private: true }
  const { remote, layout, pull } = await open(t, [model], { readKey: async () => readFileSync(key.file, 'utf8') })
  await assert.rejects(pull('team/secret'), { code: 'registry-unauthorized' })
  assert.equal(existsSync(layout.folder), false)
  remote.authorize(key.publicKey)
  await pull('team/secret')
  await assertSound(layout)
  for (const { headers } of remote.requests.filter(({ kind }) => kind === 'cdn'))
    assert.equal(headers['authorization'], undefined)
  const stranger = await open(t, [model])
  await assert.rejects(stranger.pull('team/secret'), { code: 'registry-unauthorized' })
})

test('a version that its tag moved away from is stored by its manifest', async (t) => {
  const { remote, layout, pull, listed } = await open(t, [served('a', 'one')])
  const { manifest, digest } = remote.content('a')
  remote.publish(served('a', 'two'))
  await pull('a')
  assert.notEqual((await listed())['a:latest'], digest)
  const asked = remote.count({ kind: 'manifest' })
  await pull('a', { manifest })
  assert.deepEqual(await listed(), { 'a:latest': digest })
  assert.equal(remote.count({ kind: 'manifest' }), asked)
  assert.deepEqual([hasBlob(layout, 'one'), hasBlob(layout, 'two')], [true, false])
  await assertSound(layout)
})

test('a version of which a part is gone is said to be gone, and what is there stays', async (t) => {
  const { remote, layout, pull, listed } = await open(t, [served('a', 'one')])
  const { manifest } = remote.content('a')
  remote.publish(served('a', 'two'))
  await pull('a')
  const before = await listed()
  remote.loseBlob(blobOf('one').digest)
  await assert.rejects(pull('a', { manifest }), {
    code: 'locked-version-gone',
    message: /^The locked version of "a:latest" cannot be had/,
    hint: /ollama-config update a:latest/,
  })
  // What the tag names is another thing.
  remote.loseBlob(blobOf('two').digest)
  rmSync(blobFile(layout, blobOf('two').digest))
  await assert.rejects(pull('a'), { code: 'registry-error', message: /does not have/ })
  assert.deepEqual(await listed(), before)
})

test('what is no manifest is not stored', async (t) => {
  const { remote, layout, pull } = await open(t, [served('a')])
  await assert.rejects(pull('a', { manifest: '{"layers":[' }), { code: 'registry-error' })
  remote.publish({ name: 'a', manifest: '<html>' })
  await assert.rejects(pull('a'), { code: 'registry-error' })
  // One that gives no answer is told from one that gives a wrong one.
  await remote.close()
  await assert.rejects(pull('a'), { code: 'registry-unreachable' })
  assert.equal(existsSync(layout.folder), false)
})

test('blobs that are there and right are not fetched, and all others are', async (t) => {
  const { remote, layout, pull } = await open(t, [served('a', 'right', 'wrong', 'short', 'long')])
  await pull('a')
  const fetched = async (text: string) => {
    const before = remote.count({ digest: blobOf(text).digest })
    await pull('a')
    await assertSound(layout)
    return remote.count({ digest: blobOf(text).digest }) > before
  }
  const fileOf = (text: string) => blobFile(layout, blobOf(text).digest)
  assert.equal(await fetched('right'), false)
  writeFileSync(fileOf('wrong'), 'WRONG')
  assert.equal(await fetched('wrong'), true)
  writeFileSync(fileOf('long'), 'longer')
  assert.equal(await fetched('long'), true)
  truncateSync(fileOf('short'), 3)
  assert.equal(await fetched('short'), true)
  rmSync(fileOf('short'))
  mkdirSync(fileOf('short'))
  await assert.rejects(pull('a'), { code: 'file-not-written' })
  rmSync(fileOf('short'), { recursive: true })
  // It was fetched whole, and only could not be put in its place.
  assert.equal(await fetched('short'), false)
  assert.deepEqual(
    readdirSync(layout.blobs).filter((name) => name.includes('ollama-config')),
    [],
  )
})

test('an update removes what only the old version had', async (t) => {
  const { remote, layout, pull } = await open(t, [served('a', 'shared', 'old'), served('b', 'shared', 'own')])
  await pull('a')
  await pull('b')
  remote.publish(served('a', 'new'))
  await pull('a')
  const texts = ['shared', 'old', 'own', 'new']
  assert.deepEqual(
    texts.filter((text) => hasBlob(layout, text)),
    ['shared', 'own', 'new'],
  )
  await assertSound(layout)
  // What nobody can read may name anything.
  const damaged = path.join(layout.manifests, 'registry.ollama.ai', 'library', 'c', 'latest')
  mkdirSync(path.dirname(damaged))
  writeFileSync(damaged, '{')
  remote.publish(served('a', 'newer'))
  await pull('a')
  assert.equal(hasBlob(layout, 'new'), true)
})

test('a name is one model in whatever case it is written, and is stored once', async (t) => {
  const { layout, pull, listed } = await open(t, [served('team/Model:V1'), served('team/model:v1', 'other')])
  await pull('team/Model:V1')
  await pull('team/model:v1')
  assert.deepEqual(Object.keys(await listed()), ['team/Model:V1'])
  assert.equal(hasBlob(layout, 'other'), true)
  await assertSound(layout)
})

test('of two names that differ only in case, the one that is meant is deleted', async (t) => {
  const { layout, backend, pull, listed } = await open(t, [served('model', 'x')])
  await pull('model')
  // By a server on another system, or by hand.
  const file = path.join(layout.manifests, 'registry.ollama.ai', 'library', 'Model', 'latest')
  mkdirSync(path.dirname(file), { recursive: true })
  if (existsSync(file)) return t.skip('the file system minds no case')
  writeFileSync(file, readFileSync(manifestFile(layout, parseListedName('model'))))
  assert.deepEqual(Object.keys(await listed()), ['Model:latest', 'model:latest'])
  await backend.delete('model:latest')
  assert.deepEqual(Object.keys(await listed()), ['Model:latest'])
  await assertSound(layout)
})

test('a pull that is aborted stores no model, and goes on later', async (t) => {
  const subject = await open(t, [served('a', 'last')])
  const { remote, layout, pull, listed } = subject
  const controller = new AbortController()
  const reason = new Error('gave up')
  const digest = digestIn(remote, 'a', 'model')
  remote.fail({ kind: 'cdn', digest: blobOf('last').digest }, { kind: 'hold' })
  const pulling = (async () => {
    for await (const line of subject.backend.pull(parseReference('a'), { insecure: false, signal: controller.signal }))
      if (line.digest === digest && line.completedBytes === line.totalBytes) controller.abort(reason)
  })()
  await assert.rejects(pulling, (error) => error === reason)
  assert.deepEqual(await listed(), {})
  assert.deepEqual(filesIn(layout.manifests), [])
  remote.heal()
  remote.release()
  await pull('a')
  assert.deepEqual(Object.keys(await listed()), ['a:latest'])
  await assertSound(layout)
  assert.deepEqual(
    filesIn(layout.blobs).filter((name) => !/^sha256-[0-9a-f]{64}$/.test(name)),
    [],
  )
})

test('a pull that is left gives up its downloads, and a failed one leaves what was there', async (t) => {
  const subject = await open(t, [served('a', 'last')])
  const { remote, backend, layout, pull, listed } = subject
  const { digest } = blobOf('last')
  remote.fail({ kind: 'cdn', digest }, { kind: 'hold' })
  for await (const line of backend.pull(parseReference('a'), { insecure: false })) if (line.digest !== undefined) break
  // The other end may hear of it a moment later.
  await remote.waitForRequest({ kind: 'cdn', digest, aborted: true })
  assert.equal(remote.requests.filter(({ aborted, finished }) => !aborted && !finished).length, 0)
  assert.deepEqual(filesIn(layout.manifests), [])
  remote.heal()
  remote.release()
  await pull('a')
  const before = await listed()
  remote.publish(served('a', 'newer'))
  remote.fail({ kind: 'cdn', digest: blobOf('newer').digest }, { kind: 'status', status: 503 })
  await assert.rejects(pull('a'), { code: 'registry-error' })
  assert.deepEqual(await listed(), before)
  await assertSound(layout)
})

test('two pulls at once that share a blob fetch it once', async (t) => {
  const shared = 'Example licence'
  const { remote, layout, pull, listed } = await open(t, [
    served('a', shared),
    served('b', shared),
    served('c', shared),
  ])
  await Promise.all(['a', 'b', 'c'].map((name) => pull(name)))
  assert.deepEqual(Object.keys(await listed()), ['a:latest', 'b:latest', 'c:latest'])
  assert.equal(remote.count({ kind: 'cdn', digest: blobOf(shared).digest }), 1)
  await assertSound(layout)
})

test('a pull under way loses no blob to an update, a build or a deletion beside it', async (t) => {
  const ways: readonly (readonly [string, (subject: Subject) => Promise<unknown>])[] = [
    [
      'update',
      ({ remote, pull }) => {
        remote.publish(served('a', 'new'))
        return pull('a')
      },
    ],
    ['build', ({ backend }) => build(backend, 'a', { from: 'base:latest' })],
    ['copy', ({ backend }) => backend.copy('base:latest', 'a')],
    ['deletion', ({ backend }) => backend.delete('a:latest')],
  ]
  for (const [what, change] of ways) {
    const subject = await open(t, [served('a', 'shared', 'old'), served('b', 'shared', 'slow'), served('base')])
    const { remote, layout, backend, pull } = subject
    await pull('a')
    await pull('base')
    remote.fail({ kind: 'cdn', digest: blobOf('slow').digest }, { kind: 'hold' })
    let seen = () => {}
    const hasSeen = new Promise<void>((resolve) => {
      seen = resolve
    })
    const pulling = (async () => {
      for await (const { digest } of backend.pull(parseReference('b'), { insecure: false }))
        if (digest === blobOf('shared').digest) seen()
    })()
    // It found what it shares with the other one, and is not going to look again.
    await Promise.race([hasSeen, pulling])
    await change(subject)
    assert.equal(hasBlob(layout, 'old'), false, what)
    remote.heal()
    remote.release()
    await pulling
    await assertSound(layout)
    assert.ok(await storedModel(layout, 'b:latest'), what)
  }
})

test('what a server removes before its manifest is there is fetched again', async (t) => {
  const { remote, layout, backend, pull, listed } = await open(t, [
    served('a', 'shared'),
    served('b', 'shared', 'slow'),
  ])
  await pull('a')
  const { digest } = blobOf('shared')
  remote.fail({ kind: 'cdn', digest: blobOf('slow').digest }, { kind: 'hold' })
  for await (const line of backend.pull(parseReference('b'), { insecure: false })) {
    if (line.digest !== digest || !existsSync(manifestFile(layout, parseListedName('a')))) continue
    // It found what it shares with the other one, which "ollama rm" takes away now.
    rmSync(manifestFile(layout, parseListedName('a')))
    rmSync(blobFile(layout, digest))
    remote.heal()
    remote.release()
  }
  assert.deepEqual(await listed(), { 'b:latest': remote.content('b').digest })
  assert.equal(hasBlob(layout, 'shared'), true)
  await assertSound(layout)
})

test('what is uploaded is there once it is right, or not at all', async (t) => {
  const { layout, backend } = await open(t, [])
  const lookup = backend.openBlobs()
  const { digest } = blobOf('a file')
  const id = { digest, sizeBytes: 6 }
  for (const text of ['a file!', 'a fil', 'a fila'])
    await assert.rejects(backend.upload(upload(text, id)), { code: 'digest-mismatch' })
  const broken = async function* () {
    yield blobOf('a ').bytes
    throw new Error('gone')
  }
  await assert.rejects(backend.upload(upload('a file', { bytes: broken() })), { message: 'gone' })
  assert.deepEqual([await lookup.has(id), filesIn(layout.folder)], [false, []])
  await backend.upload(upload('a file'))
  assert.equal(await lookup.has(id), true)
  assert.equal(await lookup.has({ digest, sizeBytes: 7 }), false)
  assert.equal(readFileSync(blobFile(layout, digest), 'utf8'), 'a file')
  assert.equal(filesIn(layout.folder).length, 1)
  const reason = new Error('gave up')
  await assert.rejects(lookup.has(id, { signal: AbortSignal.abort(reason) }), (error) => error === reason)
  lookup.close()
})

/** Puts it there as `upload` does, and returns its digest. */
async function uploaded(backend: Backend, bytes: Uint8Array): Promise<string> {
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`
  const all = async function* () {
    yield bytes
  }
  await backend.upload({ digest, sizeBytes: bytes.byteLength, bytes: all() })
  return digest
}

test('an adapter that is there goes into what is built, and what is none is refused', async (t) => {
  const { layout, backend, pull } = await open(t, [served('a')])
  await pull('a')
  const withAdapters = (adapters: Readonly<Record<string, string>>) =>
    build(backend, 'c', { from: 'a:latest', adapters })
  const lora = await uploaded(backend, makeGguf({ type: 'adapter', tensors: [{ name: 'lora', shape: [4] }] }))
  const projector = await uploaded(backend, makeGguf({ type: 'mmproj' }))
  const text = await uploaded(backend, Buffer.from('no GGUF'))
  const before = filesIn(layout.folder)
  const refused: readonly (readonly [Readonly<Record<string, string>>, RegExp])[] = [
    [{ 'x.gguf': blobOf('never uploaded').digest }, /^"c" cannot be built: its adapter "x.gguf" is gone$/],
    [{ 'x.gguf': text }, /"x.gguf" is no GGUF file$/],
    [{ 'x.gguf': projector }, /"x.gguf" is no adapter$/],
    [{ 'x.gguf': lora, 'y.gguf': lora }, /one adapter$/],
  ]
  for (const [adapters, message] of refused)
    await assert.rejects(withAdapters(adapters), { code: 'build-failed', message })
  assert.deepEqual(filesIn(layout.folder), before)
  assert.equal((await withAdapters({ 'x.gguf': lora })).at(-1)?.status, 'success')
  assert.deepEqual((await backend.show('c:latest')).adapters, [lora])
  await assertSound(layout)
  // A base with one is not built on once that is gone.
  rmSync(blobFile(layout, lora))
  await assert.rejects(build(backend, 'd', { from: 'c:latest' }), {
    code: 'build-failed',
    message: /missing or damaged/,
  })
})

test('what only a server can build is refused, and nothing is left', async (t) => {
  const config = (fields: object) => ({ mediaType: configMediaType, bytes: JSON.stringify(fields) })
  const odd: readonly ServedModel[] = [
    { name: 'tensors', layers: [layer('tensor', 'x'), config({ model_format: 'safetensors' })] },
    { name: 'stub', layers: [config({ remote_host: 'https://ollama.com', remote_model: 'x' })] },
    { name: 'two', layers: [weights('1'), weights('2')] },
    { name: 'draft', layers: [weights('1'), layer('draft', 'x')] },
    { name: 'params', layers: [weights('1'), layer('params', '[]')] },
    {
      name: 'eight-bit',
      layers: [layer('model', makeGguf({ values: { 'llama.source_quantization': 'hf_fp8' } }))],
    },
    { name: 'nothing', manifest: '{"layers":[],"config":null}' },
  ]
  const { layout, backend, pull } = await open(t, [served('a'), ...odd])
  for (const { name } of odd) await pull(name)
  await pull('a')
  const before = filesIn(layout.folder)
  for (const { name } of odd)
    await assert.rejects(
      build(backend, 'c', { from: `${name}:latest`, system: 'S' }),
      (error) => isOllamaConfigError(error) && /build-failed|invalid-response/.test(error.code),
      name,
    )
  const { digest } = blobOf('x')
  const refused: readonly CreateRequest[] = [
    { files: { 'x.gguf': digest } },
    { files: { 'x.gguf': digest }, from: 'a:latest' },
    { from: 'a:latest', quantize: 'q4_K_M' },
  ]
  for (const request of refused)
    await assert.rejects(build(backend, 'c', request), { code: 'build-failed', hint: /without --store/ })
  await assert.rejects(build(backend, 'c', { from: 'b:latest' }), {
    code: 'stale-plan',
    message: /base "b:latest" is gone/,
  })
  assert.deepEqual(filesIn(layout.folder), before)
})

test('a model that is built in the place of another takes it away', async (t) => {
  const { layout, backend, pull, listed } = await open(t, [served('a')])
  await pull('a')
  await build(backend, 'c', { from: 'a:latest', system: 'first' })
  await build(backend, 'C', { from: 'a:latest', system: 'second' })
  assert.deepEqual(Object.keys(await listed()), ['a:latest', 'c:latest'])
  assert.deepEqual([hasBlob(layout, 'first'), hasBlob(layout, 'second')], [false, true])
  await assertSound(layout)
})

test('a second name is the same model, and each is deleted for itself', async (t) => {
  const { remote, layout, backend, pull, listed } = await open(t, [served('a', 'A'), served('b', 'B')])
  await pull('a')
  await pull('b')
  await backend.copy('a:latest', 'team/c:v1')
  await backend.copy('a:latest', 'b:latest')
  await backend.copy('a:latest', 'A:latest')
  const { digest } = remote.content('a')
  assert.deepEqual(await listed(), { 'a:latest': digest, 'b:latest': digest, 'team/c:v1': digest })
  assert.deepEqual([hasBlob(layout, 'A'), hasBlob(layout, 'B')], [true, false])
  for (const name of ['b:latest', 'a:latest']) await backend.delete(name)
  assert.equal(hasBlob(layout, 'A'), true)
  await assertSound(layout)
  await backend.delete('team/c:v1')
  assert.deepEqual([filesIn(layout.blobs), filesIn(layout.manifests)], [[], []])
  await assert.rejects(backend.copy('a:latest', 'd'), { code: 'model-not-found' })
})

test('a folder that is not there has no models, and is not made by looking', async (t) => {
  const { layout, backend, listed } = await open(t, [])
  assert.deepEqual(await listed(), {})
  const notFound = { code: 'model-not-found' }
  await assert.rejects(backend.show('a:latest'), notFound)
  await assert.rejects(backend.copy('a:latest', 'b'), notFound)
  await assert.rejects(backend.delete('a:latest'), notFound)
  await assert.rejects(build(backend, 'b', { from: 'a:latest' }), { code: 'stale-plan' })
  assert.equal(await backend.openBlobs().has({ digest: blobOf('x').digest, sizeBytes: 1 }), false)
  assert.equal(existsSync(layout.folder), false)
})

test('a layout of later versions is neither read nor written', async (t) => {
  const { layout, backend, pull } = await open(t, [served('a')])
  await pull('a')
  mkdirSync(path.join(layout.folder, 'manifests-v2'))
  const before = filesIn(layout.folder)
  const unsupported = { code: 'store-unsupported' }
  await assert.rejects(backend.readState(), unsupported)
  await assert.rejects(backend.show('a:latest'), unsupported)
  await assert.rejects(backend.copy('a:latest', 'b'), unsupported)
  await assert.rejects(backend.delete('a:latest'), unsupported)
  await assert.rejects(backend.upload(upload('x')), unsupported)
  await assert.rejects(backend.hold(), unsupported)
  await assert.rejects(build(backend, 'b', { from: 'a:latest' }), unsupported)
  await assert.rejects(pull('a'), unsupported)
  assert.deepEqual(filesIn(layout.folder), before)
})

test('weights that are no GGUF are stored as a server stores them, and told to be none', async (t) => {
  const { layout, backend, pull, listed } = await open(t, [{ name: 'a', layers: [layer('model', 'no GGUF')] }])
  await pull('a')
  assert.deepEqual(Object.keys(await listed()), ['a:latest'])
  await assertSound(layout)
  const isNone = { code: 'invalid-response', message: /^"a:latest" cannot be read.*no GGUF file/ }
  await assert.rejects(backend.show('a:latest'), isNone)
  await assert.rejects(build(backend, 'c', { from: 'a:latest' }), isNone)
})

test('a model that cannot be read is not said to be missing', async (t) => {
  const { layout, backend, pull, listed } = await open(t, [served('a', 'A')])
  await pull('a')
  writeFileSync(manifestFile(layout, parseListedName('a')), '{')
  assert.deepEqual((await backend.readState()).unreadable, ['a:latest'])
  const unreadable = { code: 'store-unreadable', message: /"a:latest"/, hint: /library[\\/]a[\\/]latest"/ }
  await assert.rejects(backend.show('a'), unreadable)
  await assert.rejects(backend.delete('a:latest'), unreadable)
  await assert.rejects(build(backend, 'c', { from: 'a:latest' }), unreadable)
  // A pull mends it.
  await pull('a')
  assert.deepEqual(Object.keys(await listed()), ['a:latest'])
  await assertSound(layout)
})

test('a store behind a link is one', { skip: process.platform === 'win32' }, async (t) => {
  const { remote, layout, pull } = await open(t, [served('a', 'A')])
  await pull('a')
  const link = path.join(tempFolder(t), 'link')
  symlinkSync(layout.folder, link)
  const backend = createStoreBackend({
    folder: link,
    registry: { serverVersion: null, env: {}, baseUrl: () => remote.url },
  })
  await backend.copy('a', 'b')
  await backend.delete('a')
  await assertSound(layout)
  assert.deepEqual(
    (await backend.readState()).models.map(({ name }) => name),
    ['b:latest'],
  )
})
