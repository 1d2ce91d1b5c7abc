/** Reading blobs, and what is said of those that cannot be read. */
import assert from 'node:assert/strict'
import { mkdirSync, truncateSync } from 'node:fs'
import { test } from 'node:test'
import { blobFile } from '../../src/store/layout.ts'
import { openBlob, readSmallBlob } from '../../src/store/read-blob.ts'
import { addBlob, blobOf, storeWith } from './models.ts'

const digestOf = (text: string) => blobOf(text).digest
const repair = /"ollama-config verify --repair"/

test('a small blob is read as it is, and anything else is an error', async (t) => {
  const layout = storeWith(t)
  addBlob(layout, '\ufeffé\r\n')
  assert.equal(await readSmallBlob(layout, digestOf('\ufeffé\r\n')), '\ufeffé\r\n')
  await assert.rejects(readSmallBlob(layout, digestOf('none')), { code: 'model-not-found', hint: repair })
  await assert.rejects(readSmallBlob(layout, 'sha256:../x'), { code: 'invalid-response' })
  addBlob(layout, 'large')
  truncateSync(blobFile(layout, digestOf('large')), 2 ** 25)
  await assert.rejects(readSmallBlob(layout, digestOf('large')), {
    code: 'store-unreadable',
    message: /33554432 bytes/,
    hint: repair,
  })
  const gaveUp = new Error('gave up')
  const signal = AbortSignal.abort(gaveUp)
  await assert.rejects(readSmallBlob(layout, digestOf('large'), { signal }), (error) => error === gaveUp)
})

test('of what is no file nobody is told to look at its owner', async (t) => {
  const layout = storeWith(t)
  mkdirSync(blobFile(layout, digestOf('folder')))
  await assert.rejects(openBlob(layout, digestOf('folder')), {
    code: 'store-unreadable',
    message: /it is no file$/,
    hint: repair,
  })
})
