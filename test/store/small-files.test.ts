/** Small files that are read again only when they changed. */
import assert from 'node:assert/strict'
import { renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { NotReadableError } from '../../src/runtime/regular-file.ts'
import { SmallFiles } from '../../src/store/small-files.ts'
import { tempFolder } from '../support/run-cli.ts'

const maxBytes = 2 ** 20
const textOf = (bytes: Uint8Array) => new TextDecoder().decode(bytes)

function fileWith(t: TestContext, text: string): string {
  const file = path.join(tempFolder(t), 'file')
  writeFileSync(file, text)
  return file
}

/** What was written just now is not remembered: reads until it gives the same bytes again, not others that are equal. */
async function remembered(files: SmallFiles, file: string): Promise<Uint8Array> {
  for (let bytes = await files.read(file, maxBytes); ; ) {
    const again = await files.read(file, maxBytes)
    if (again === bytes) return bytes
    bytes = again
  }
}

test('a file that did not change is not read again, and one that did is', async (t) => {
  const file = fileWith(t, 'one')
  const files = new SmallFiles()
  assert.equal(textOf(await remembered(files, file)), 'one')
  writeFileSync(file, 'two')
  assert.equal(textOf(await files.read(file, maxBytes)), 'two')
  await remembered(files, file)
  writeFileSync(`${file}.new`, 'six')
  renameSync(`${file}.new`, file)
  assert.equal(textOf(await files.read(file, maxBytes)), 'six')
  await remembered(files, file)
  rmSync(file)
  await assert.rejects(files.read(file, maxBytes), { code: 'ENOENT' })
})

test('one that is written again at once, of the same size and with the same time, is read again', async (t) => {
  const file = fileWith(t, '')
  const files = new SmallFiles()
  for (let round = 100; round < 400; round++) {
    writeFileSync(file, `${round}`)
    utimesSync(file, 1_700_000_000.5, 1_700_000_000.5)
    assert.equal(textOf(await files.read(file, maxBytes)), `${round}`)
  }
})

test('a large one is not kept, and one that is too large is not read', async (t) => {
  const file = fileWith(t, 'x'.repeat(100_000))
  const small = fileWith(t, 'small')
  const files = new SmallFiles()
  // The other one is as old, or older.
  await remembered(files, small)
  assert.notEqual(await files.read(file, maxBytes), await files.read(file, maxBytes))
  await assert.rejects(files.read(file, 1000), NotReadableError)
})
