/** Which manifests are found in a folder that others write into as well: servers, people, and programs that leave files behind. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { type Layout, layoutOf } from '../../src/store/layout.ts'
import { readManifests } from '../../src/store/manifests.ts'
import { derivedModels, pulledModels, storeOf } from '../support/recorded-store.ts'
import { tempFolder } from '../support/run-cli.ts'
import { storeWith } from './models.ts'

const none = { models: [], damaged: [], lostLinks: [] }
const isWindows = process.platform === 'win32'
const noPause = async () => {}

/** Puts a file below the manifests, and tells where. */
function put({ manifests }: Layout, place: string, content: string | Uint8Array): string {
  const file = path.join(manifests, ...place.split('/'))
  mkdirSync(path.dirname(file), { recursive: true })
  writeFileSync(file, content)
  return file
}

async function found(layout: Layout) {
  const { models, damaged } = await readManifests(layout, { pause: noPause })
  return { names: models.map(({ name }) => name), damaged }
}

for (const [recording, models] of [
  ['bytes-pulled', pulledModels()],
  ['bytes-derived', derivedModels()],
] as const) {
  test(`names, digests, sizes and parents are those that a server listed (${recording})`, async (t) => {
    const layout = storeOf(t, models)
    const { models: read, damaged } = await readManifests(layout)
    assert.deepEqual(damaged, [])
    assert.equal(read.length, models.length)
    for (const { what, listed, stored } of models) {
      const model = read.find(({ name }) => name === listed.name)
      assert.ok(model, what)
      const { digest, sizeBytes, parentModel, file, bytes } = model
      assert.deepEqual(
        { digest, sizeBytes, parentModel: parentModel ?? '' },
        { digest: `sha256:${listed.digest}`, sizeBytes: listed.size, parentModel: listed.details.parent_model },
        what,
      )
      assert.equal(file, path.join(layout.folder, ...stored.manifest.path.split('/')))
      assert.deepEqual(Buffer.from(bytes), Buffer.from(stored.manifest.base64, 'base64'))
    }
  })
}

test('files by hand are what the recorded server took them for', { skip: isWindows }, async (t) => {
  const [small] = pulledModels()
  assert.ok(small)
  const layout = storeOf(t, [small])
  const bytes = Buffer.from(small.stored.manifest.base64, 'base64')
  const library = 'registry.ollama.ai/library'
  const v1 = put(layout, `${library}/byhand/v1`, bytes)
  put(layout, `${library}/byhand/empty`, '{}')
  put(layout, `${library}/byhand/broken`, 'no JSON')
  put(layout, `${library}/byhand/zero`, '')
  put(layout, 'deep/er/er/latest/x', bytes)
  put(layout, `${library}/shallow`, bytes)
  put(layout, `${library}/byhand/.hidden`, bytes)
  symlinkSync(v1, path.join(layout.manifests, library, 'byhand/link'))
  const names = ['byhand:empty', 'byhand:link', 'byhand:v1', 'small:latest']
  assert.deepEqual(await found(layout), { names, damaged: ['byhand:broken', 'byhand:zero'] })
  const { models } = await readManifests(layout, { pause: noPause })
  const empty = models.find(({ name }) => name === 'byhand:empty')
  assert.deepEqual([empty?.sizeBytes, empty?.digest.slice(0, 19)], [0, 'sha256:44136fa355b3'])
  // Where the recorded server fails altogether.
  rmSync(v1)
  assert.deepEqual((await found(layout)).names, ['byhand:empty', 'small:latest'])
})

test('nothing of other programs is taken for a model', async (t) => {
  const layout = storeWith(t, { a: ['{}', 'weights'] })
  const library = 'registry.ollama.ai/library'
  const good = readFileSync(path.join(layout.manifests, library, 'a/latest'))
  for (const place of ['.DS_Store', 'Thumbs.db', 'x/.DS_Store', `${library}/.DS_Store`, `${library}/a/.DS_Store`])
    put(layout, place, good)
  for (const place of ['a/a', `${library}/a/late st`, `${library}/b..c/-x`, `.git/a/b/c`, `${library}.x/a.b/c/d`])
    put(layout, place, good)
  mkdirSync(path.join(layout.manifests, library, 'a/folder'))
  mkdirSync(path.join(layout.manifests, 'left/over/of/copying'), { recursive: true })
  assert.deepEqual(await found(layout), { names: ['a:latest'], damaged: [] })
})

test('a manifest that is just being written is read again', async (t) => {
  const layout = storeWith(t, { a: ['{}', 'weights'] })
  const file = path.join(layout.manifests, 'registry.ollama.ai/library/a/latest')
  const whole = readFileSync(file)
  for (const part of [0, 1, whole.length - 1]) {
    writeFileSync(file, whole.subarray(0, part))
    let pauses = 0
    const { models, damaged } = await readManifests(layout, {
      pause: async () => {
        pauses++
        writeFileSync(file, whole)
      },
    })
    assert.deepEqual([models.map(({ name }) => name), damaged, pauses], [['a:latest'], [], 1])
  }
  writeFileSync(file, '{')
  const gone = await readManifests(layout, { pause: async () => rmSync(file) })
  assert.deepEqual(gone, none)
})

test('what stays incomplete is told, and the others are read', async (t) => {
  const layout = storeWith(t, { a: ['{}', 'x'], b: ['{}', 'y'], 'hf.co/c/d:e': ['{}', 'z'] })
  const library = 'registry.ollama.ai/library'
  put(layout, `${library}/a/latest`, '{"layers":[')
  put(layout, 'hf.co/c/d/e', '')
  const bad = { layers: [{ mediaType: 'x', digest: 'sha256:../../../../etc/passwd', size: 1 }] }
  put(layout, `${library}/out/latest`, JSON.stringify(bad))
  assert.deepEqual(await found(layout), { names: ['b:latest'], damaged: ['a:latest', 'hf.co/c/d:e', 'out:latest'] })
})

test('a manifest that is too large is not read', async (t) => {
  const layout = storeWith(t, { a: ['{}'], b: ['{}'] })
  truncateSync(path.join(layout.manifests, 'registry.ollama.ai/library/a/latest'), 5 * 2 ** 20)
  const { models, damaged } = await readManifests(layout, { pause: () => assert.fail('it was read') })
  assert.deepEqual([models.map(({ name }) => name), damaged], [['b:latest'], ['a:latest']])
})

test('pipes, loops of links and folders keep nobody waiting', { skip: isWindows }, async (t) => {
  const layout = storeWith(t, { a: ['{}'] })
  const folder = path.join(layout.manifests, 'registry.ollama.ai/library/a')
  execFileSync('mkfifo', [path.join(folder, 'pipe')])
  symlinkSync(path.join(folder, 'loop'), path.join(folder, 'loop'))
  symlinkSync('/dev/zero', path.join(folder, 'endless'))
  symlinkSync(layout.folder, path.join(folder, 'folder'))
  symlinkSync('not-there', path.join(folder, 'nowhere'))
  symlinkSync(layout.manifests, path.join(layout.manifests, 'round'))
  assert.deepEqual(await found(layout), { names: ['a:latest'], damaged: ['a:endless', 'a:loop', 'a:pipe'] })
  const { lostLinks } = await readManifests(layout)
  assert.deepEqual(lostLinks.map((file) => path.relative(folder, file)).toSorted(), ['loop', 'nowhere'])
})

test('links to folders count as folders', { skip: isWindows }, async (t) => {
  const layout = storeWith(t, { a: ['{}'] })
  const library = path.join(layout.manifests, 'registry.ollama.ai/library')
  symlinkSync(path.join(library, 'a'), path.join(library, 'b'))
  symlinkSync('/dev/null', path.join(library, 'c'))
  symlinkSync('itself', path.join(library, 'itself'))
  assert.deepEqual((await found(layout)).names, ['a:latest', 'b:latest'])
})

test('a store that is not there yet is empty; what is no folder is no store', async (t) => {
  const folder = tempFolder(t, { file: 'x' })
  assert.deepEqual(await readManifests(layoutOf(path.join(folder, 'none/yet'))), none)
  assert.deepEqual(await readManifests(layoutOf(folder)), none)
  const isNoFolder = { code: 'store-unreadable', message: /is no folder$/ }
  await assert.rejects(readManifests(layoutOf(path.join(folder, 'file'))), isNoFolder)
  // Of which Windows says that it is not there.
  if (!isWindows)
    await assert.rejects(readManifests(layoutOf(path.join(folder, 'file/x'))), { code: 'store-unreadable' })
  writeFileSync(path.join(folder, 'manifests'), '')
  await assert.rejects(readManifests(layoutOf(folder)), isNoFolder)
})

const seesAll = isWindows || process.getuid?.() === 0 ? 'whoever runs this may read all of them' : false

test('a folder that may not be read is an error, and a file is damaged: it may name blobs', {
  skip: seesAll,
}, async (t) => {
  const layout = storeWith(t, { a: ['{}'], b: ['{}'] })
  const library = path.join(layout.manifests, 'registry.ollama.ai/library')
  chmodSync(path.join(library, 'a/latest'), 0)
  assert.deepEqual(await found(layout), { names: ['b:latest'], damaged: ['a:latest'] })
  chmodSync(path.join(library, 'a'), 0)
  try {
    await assert.rejects(readManifests(layout), { code: 'store-unreadable', hint: /mode/ })
  } finally {
    // Or it could not be removed.
    chmodSync(path.join(library, 'a'), 0o755)
  }
})

test('it can be given up', async (t) => {
  const layout = storeWith(t, { a: ['{}'] })
  const gaveUp = new Error('gave up')
  await assert.rejects(readManifests(layout, { signal: AbortSignal.abort(gaveUp) }), (error) => error === gaveUp)
  writeFileSync(path.join(layout.manifests, 'registry.ollama.ai/library/a/latest'), '{')
  const controller = new AbortController()
  // Without it, the pause is that of a command.
  const reading = readManifests(layout, { signal: controller.signal })
  controller.abort(gaveUp)
  await assert.rejects(reading, (error) => error === gaveUp)
})
