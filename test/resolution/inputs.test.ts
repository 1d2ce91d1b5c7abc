/** Files that a plan needs: read once, not at all where they are as they were, and never believed while they change. */
import assert from 'node:assert/strict'
import { appendFileSync, chmodSync, mkdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { isOllamaConfigError } from '../../src/errors.ts'
import type { LocalFile } from '../../src/plan/state.ts'
import { createFileReader, type ReadFile } from '../../src/resolution/inputs.ts'
import { sha256 } from '../../src/runtime/sha256.ts'
import { tempFolder } from '../support/run-cli.ts'

const none: ReadonlyMap<string, ReadFile> = new Map()

function fileWith(t: TestContext, text: string): LocalFile {
  const file = path.join(tempFolder(t), 'a.gguf')
  writeFileSync(file, text)
  return { name: 'a.gguf', file }
}

function failsWith(text: RegExp) {
  return (error: unknown) => isOllamaConfigError(error) && error.code === 'config-invalid' && text.test(error.message)
}

test('a file is its digest, its size and when it was changed', async (t) => {
  const input = fileWith(t, 'bytes')
  utimesSync(input.file, 1000, 1000)
  assert.deepEqual(await createFileReader(none, undefined)(input), {
    digest: `sha256:${sha256('bytes')}`,
    sizeBytes: 5,
    modifiedMs: 1_000_000,
  })
})

test('a file of several pieces, and an empty one', async (t) => {
  const large = 'x'.repeat(2_500_000)
  assert.equal((await createFileReader(none, undefined)(fileWith(t, large))).digest, `sha256:${sha256(large)}`)
  assert.equal((await createFileReader(none, undefined)(fileWith(t, ''))).digest, `sha256:${sha256('')}`)
})

test('a file is read once by each reader, also when it is asked for twice at once', async (t) => {
  const input = fileWith(t, 'first')
  const readFile = createFileReader(none, undefined)
  const [one, two] = await Promise.all([readFile(input), readFile({ ...input, name: 'other' })])
  assert.equal(one, two)
  writeFileSync(input.file, 'second')
  assert.equal(await readFile(input), one)
  assert.equal((await createFileReader(none, undefined)(input)).digest, `sha256:${sha256('second')}`)
})

test('what is known of a file holds while size and time are the same, and no longer', async (t) => {
  const input = fileWith(t, 'bytes')
  utimesSync(input.file, 1000, 1000)
  const known: ReadFile = { digest: 'sha256:known', sizeBytes: 5, modifiedMs: 1_000_000 }
  const read = (facts: Partial<ReadFile>) =>
    createFileReader(new Map([[input.file, { ...known, ...facts }]]), undefined)(input)
  assert.equal((await read({})).digest, 'sha256:known')
  assert.equal((await read({ sizeBytes: 6 })).digest, `sha256:${sha256('bytes')}`)
  assert.equal((await read({ modifiedMs: 1_000_001 })).digest, `sha256:${sha256('bytes')}`)
})

test('a file that is gone, a folder, or one that may not be read is told by its name', async (t) => {
  const input = fileWith(t, 'bytes')
  const read = () => createFileReader(none, undefined)(input)
  const isRoot = process.getuid?.() === 0
  if (process.platform !== 'win32' && !isRoot) {
    chmodSync(input.file, 0)
    await assert.rejects(read, failsWith(/"[^"]*a\.gguf" cannot be read: .*EACCES/))
  }
  rmSync(input.file)
  await assert.rejects(read, failsWith(/"[^"]*a\.gguf" cannot be read: .*ENOENT/))
  mkdirSync(input.file)
  await assert.rejects(read, failsWith(/"[^"]*a\.gguf" cannot be read: .*(EISDIR|EPERM)/))
})

test('a file that changes while it is read is refused', async (t) => {
  const input = fileWith(t, 'x'.repeat(8_000_000))
  let over = false
  const reading = createFileReader(
    none,
    undefined,
  )(input).finally(() => {
    over = true
  })
  const refused = assert.rejects(reading, failsWith(/cannot be read: it is changing/))
  // In every turn of the loop, of which reading takes many: so also between the first look and the last.
  while (!over) {
    appendFileSync(input.file, 'more')
    await new Promise((resolve) => setImmediate(resolve))
  }
  await refused
})

test('an abort ends the reading with its own reason', async (t) => {
  const input = fileWith(t, 'x'.repeat(3_000_000))
  const stop = new AbortController()
  const reading = createFileReader(none, stop.signal)(input)
  const reason = new Error('stop')
  stop.abort(reason)
  await assert.rejects(reading, (error) => error === reason)
})
