/** What goes with a model, and what stays since somebody else needs it, or might. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { parseReference } from '../../src/artifact/reference.ts'
import { blobFile, manifestFile } from '../../src/store/layout.ts'
import { readManifests } from '../../src/store/manifests.ts'
import { copyModel, removeModel, removeUnnamedBlobs } from '../../src/store/remove.ts'
import { tempFolder } from '../support/run-cli.ts'
import { assertSound, blobOf, filesIn, hasBlob, storedModel, storeWith } from './models.ts'

const isPosix = process.platform !== 'win32'

test('a model goes with the blobs that only it names, and with its empty folders', async (t) => {
  const layout = storeWith(t, { a: ['config a', 'shared', 'only a'], 'user/b': ['config b', 'shared'] })
  await removeModel(layout, await storedModel(layout, 'a:latest'))
  assert.deepEqual(
    ['config a', 'only a', 'shared', 'config b'].map((text) => hasBlob(layout, text)),
    [false, false, true, true],
  )
  assert.deepEqual(filesIn(layout.manifests), ['registry.ollama.ai/user/b/latest'])
  assert.ok(!existsSync(path.join(layout.manifests, 'registry.ollama.ai/library')))
  await assertSound(layout)
  await removeModel(layout, await storedModel(layout, 'user/b:latest'))
  assert.deepEqual(filesIn(layout.folder), [])
  assert.ok(existsSync(layout.manifests))
})

test('while any manifest is damaged no blob goes, for it may name them', async (t) => {
  const damages: readonly ((file: string) => void)[] = [
    (file) => writeFileSync(file, '{"layers":['),
    (file) => writeFileSync(file, ''),
    // On a disk that is not there now.
    ...(isPosix ? [(file: string) => symlinkSync('/not/there', file)] : []),
    ...(isPosix ? [(file: string) => symlinkSync('/not/there', path.join(file, '../../../../elsewhere'))] : []),
  ]
  for (const damage of damages) {
    const layout = storeWith(t, { a: ['config a', 'only a'] })
    const other = manifestFile(layout, parseReference('b'))
    mkdirSync(path.dirname(other), { recursive: true })
    damage(other)
    await removeModel(layout, await storedModel(layout, 'a:latest'))
    assert.ok(hasBlob(layout, 'only a') && hasBlob(layout, 'config a'))
    assert.deepEqual((await readManifests(layout)).models, [])
  }
})

test('a blob that is a link goes without what it leads to', { skip: !isPosix }, async (t) => {
  const layout = storeWith(t, { a: ['config a', 'linked'] })
  const outside = path.join(tempFolder(t, { outside: 'precious' }), 'outside')
  const file = blobFile(layout, blobOf('linked').digest)
  rmSync(file)
  symlinkSync(outside, file)
  await removeModel(layout, await storedModel(layout, 'a:latest'))
  assert.deepEqual(filesIn(layout.folder), [])
  assert.equal(readFileSync(outside, 'utf8'), 'precious')
})

test('a blob that cannot be removed stays, and the others go', async (t) => {
  const layout = storeWith(t, { a: ['config a', 'stuck', 'only a'] })
  const { digest } = blobOf('stuck')
  rmSync(blobFile(layout, digest))
  // In the place of a file that Windows does not let go.
  mkdirSync(blobFile(layout, digest))
  await removeModel(layout, await storedModel(layout, 'a:latest'))
  assert.ok(hasBlob(layout, 'stuck'))
  assert.ok(!hasBlob(layout, 'only a') && !hasBlob(layout, 'config a'))
})

test('a model that is gone already is no failure, and one that cannot go keeps its blobs', async (t) => {
  const layout = storeWith(t, { a: ['config a', 'only a'] })
  const model = await storedModel(layout, 'a:latest')
  rmSync(model.file)
  mkdirSync(model.file)
  await assert.rejects(removeModel(layout, model), { code: 'file-not-written' })
  assert.ok(hasBlob(layout, 'only a'))
  rmSync(path.dirname(model.file), { recursive: true })
  await removeModel(layout, model)
  assert.deepEqual(filesIn(layout.folder), [])
})

test('after a replacement only what the version before had alone goes', async (t) => {
  const layout = storeWith(t, { a: ['config 1', 'shared', 'old'] })
  const before = await storedModel(layout, 'a:latest')
  const after = storeWith(t, { a: ['config 2', 'shared'] })
  writeFileSync(before.file, readFileSync(manifestFile(after, parseReference('a'))))
  for (const text of ['config 2']) writeFileSync(blobFile(layout, blobOf(text).digest), text)
  await removeUnnamedBlobs(layout, before)
  assert.deepEqual(
    ['config 1', 'old', 'shared', 'config 2'].map((text) => hasBlob(layout, text)),
    [false, false, true, true],
  )
  await assertSound(layout)
})

test('a copy has the same bytes, and keeps the blobs when its source goes', async (t) => {
  const layout = storeWith(t, { a: ['config a', 'only a'] })
  const source = await storedModel(layout, 'a:latest')
  await copyModel(layout, source, parseReference('user/b:7b'))
  await copyModel(layout, source, parseReference('A'))
  const copy = await storedModel(layout, 'user/b:7b')
  assert.equal(copy.digest, source.digest)
  assert.deepEqual(filesIn(layout.manifests), ['registry.ollama.ai/library/a/latest', 'registry.ollama.ai/user/b/7b'])
  await removeModel(layout, source)
  await assertSound(layout)
  assert.ok(hasBlob(layout, 'only a'))
})

test('an abort before the first step changes nothing', async (t) => {
  const layout = storeWith(t, { a: ['config a'] })
  const model = await storedModel(layout, 'a:latest')
  const before = filesIn(layout.folder)
  const reason = new Error('enough')
  const signal = AbortSignal.abort(reason)
  await assert.rejects(removeModel(layout, model, { signal }), (error) => error === reason)
  await assert.rejects(removeUnnamedBlobs(layout, model, { signal }), (error) => error === reason)
  assert.deepEqual(filesIn(layout.folder), before)
})
