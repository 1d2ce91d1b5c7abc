/** Every way in which a blob can be damaged is told, and each blob is read once. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { blobFile, type Layout } from '../../src/store/layout.ts'
import { readManifests } from '../../src/store/manifests.ts'
import { verifyBlobs } from '../../src/store/verify.ts'
import { blobOf, storeWith } from './models.ts'

const isPosix = process.platform !== 'win32'

const fileOf = (layout: Layout, text: string) => blobFile(layout, blobOf(text).digest)

async function statesOf(layout: Layout, texts: readonly string[]): Promise<readonly string[]> {
  const blobs = await verifyBlobs(layout, (await readManifests(layout)).models)
  return texts.map((text) => {
    const found = blobs.filter(({ digest }) => digest === blobOf(text).digest)
    assert.equal(found.length, 1, text)
    return found[0]?.state ?? ''
  })
}

test('a flipped byte, a cut file, a longer one and a missing one are told from what is sound', async (t) => {
  const texts = ['{}', 'flipped', 'cut', 'longer', 'missing', 'empty', 'sound']
  const layout = storeWith(t, { a: ['{}', ...texts.slice(1)] })
  assert.deepEqual(
    await statesOf(layout, texts),
    texts.map(() => 'sound'),
  )
  const flipped = readFileSync(fileOf(layout, 'flipped'))
  flipped.writeUInt8(flipped.readUInt8(3) ^ 1, 3)
  writeFileSync(fileOf(layout, 'flipped'), flipped)
  truncateSync(fileOf(layout, 'cut'), 2)
  writeFileSync(fileOf(layout, 'longer'), 'longer ')
  rmSync(fileOf(layout, 'missing'))
  truncateSync(fileOf(layout, 'empty'), 0)
  assert.deepEqual(await statesOf(layout, texts), [
    'sound',
    'wrong-bytes',
    'wrong-size',
    'wrong-size',
    'missing',
    'wrong-size',
    'sound',
  ])
})

test('what is no file is not opened, and a link is followed as a server follows it', { skip: !isPosix }, async (t) => {
  const texts = ['{}', 'folder', 'pipe', 'link', 'lost link']
  const layout = storeWith(t, { a: ['{}', ...texts.slice(1)] })
  for (const text of texts.slice(1)) rmSync(fileOf(layout, text))
  mkdirSync(fileOf(layout, 'folder'))
  execFileSync('mkfifo', [fileOf(layout, 'pipe')])
  writeFileSync(path.join(layout.folder, 'elsewhere'), 'link')
  symlinkSync(path.join(layout.folder, 'elsewhere'), fileOf(layout, 'link'))
  symlinkSync(path.join(layout.folder, 'nowhere'), fileOf(layout, 'lost link'))
  assert.deepEqual(await statesOf(layout, texts), ['sound', 'unreadable', 'unreadable', 'sound', 'missing'])
})

test('a blob of many models is read once, and so are large files on their own threads', async (t) => {
  const large = 'x'.repeat(20_000_000)
  const layout = storeWith(t, { a: ['{}', 'shared', large], b: ['{}', 'shared'], c: ['{ }', `${large}y`] })
  const { models } = await readManifests(layout)
  const told: number[] = []
  let total = 0
  const blobs = await verifyBlobs(layout, models, {
    threads: 2,
    onProgress: (readBytes, totalBytes) => {
      told.push(readBytes)
      total = totalBytes
    },
  })
  const sizes = [2, 6, 20_000_000, 3, 20_000_001]
  assert.equal(blobs.length, sizes.length)
  assert.ok(blobs.every(({ state }) => state === 'sound'))
  assert.equal(
    total,
    sizes.reduce((sum, size) => sum + size, 0),
  )
  assert.deepEqual(
    told,
    told.toSorted((a, b) => a - b),
  )
  assert.equal(told.at(-1), total)
  const file = fileOf(layout, large)
  const bytes = readFileSync(file)
  bytes.write('z', bytes.length - 1)
  writeFileSync(file, bytes)
  const bad = (await verifyBlobs(layout, models, { threads: 1 })).filter(({ state }) => state !== 'sound')
  assert.deepEqual(
    bad.map(({ digest, state }) => [digest, state]),
    [[blobOf(large).digest, 'wrong-bytes']],
  )
})

test('of two manifests that give a blob two sizes, one is wrong', async (t) => {
  const layout = storeWith(t, { a: ['{}', 'weights'] })
  const { digest } = blobOf('weights')
  const withSize = (sizeBytes: number) => ({
    manifest: { config: null, layers: [{ mediaType: 'x', digest, sizeBytes }] },
  })
  assert.deepEqual(
    (await verifyBlobs(layout, [withSize(7), withSize(8)])).map(({ sizeBytes, state }) => [sizeBytes, state]),
    [
      [7, 'sound'],
      [8, 'wrong-size'],
    ],
  )
})

test('it stops when it is told to', async (t) => {
  const layout = storeWith(t, { a: ['{}', 'x'.repeat(40_000_000), 'y'.repeat(40_000_000)] })
  const { models } = await readManifests(layout)
  const reason = new Error('enough')
  await assert.rejects(verifyBlobs(layout, models, { signal: AbortSignal.abort(reason) }), (error) => error === reason)
  const controller = new AbortController()
  let calls = 0
  const verifying = verifyBlobs(layout, models, {
    threads: 1,
    signal: controller.signal,
    onProgress: () => {
      calls++
      controller.abort(reason)
    },
  })
  await assert.rejects(verifying, (error) => error === reason)
  assert.equal(calls, 1)
})
