/** The same digest on this thread and on another one, of files that are there and of files that still grow. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { appendFileSync, truncateSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { HashThread } from '../../src/runtime/hash-thread.ts'
import { runtimeArguments } from '../support/built.ts'
import { tempFolder } from '../support/run-cli.ts'

const mebi = 1024 * 1024
/** Small ones are hashed on this thread; where there are no threads, as on Node 20 from sources, large ones too. */
const sizes = { small: 3 * mebi + 7, large: 40 * mebi + 7 }

/** No two pieces of it are equal: one that is read twice or left out would show. */
function bytesOf(size: number, seed = 1): Uint8Array {
  const words = new Uint32Array(Math.ceil(size / 4))
  for (let index = 0; index < words.length; index++) words[index] = Math.imul(index + seed, 2654435761)
  return new Uint8Array(words.buffer, 0, size)
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function startThread(t: TestContext): HashThread {
  const thread = new HashThread()
  t.after(() => thread.close())
  return thread
}

function fileWith(t: TestContext, bytes: Uint8Array): string {
  const file = path.join(tempFolder(t), 'file')
  writeFileSync(file, bytes)
  return file
}

for (const [kind, size] of Object.entries(sizes)) {
  test(`a ${kind} file, and how far it is`, async (t) => {
    const bytes = bytesOf(size)
    const told: number[] = []
    const onProgress = (hashedBytes: number) => void told.push(hashedBytes)
    assert.equal(await startThread(t).hash(fileWith(t, bytes), size, { onProgress }), sha256(bytes))
    const sorted = told.toSorted((a, b) => a - b)
    assert.deepEqual(told, sorted)
    assert.ok(told.every((hashedBytes) => hashedBytes > 0 && hashedBytes <= size))
    if (kind === 'large') assert.ok(told.length >= 2)
  })

  test(`of a ${kind} file only what is said to be there is read, from its beginning`, async (t) => {
    const bytes = bytesOf(size)
    // As a download makes it: the full size at once, and zeros where nothing came yet.
    const file = fileWith(t, new Uint8Array(size))
    const growing = startThread(t).follow(file, size)
    const handle = await open(file, 'r+')
    const step = Math.ceil(size / 7)
    // The last part comes before the others.
    for (const part of [6, 0, 1, 2, 3, 4, 5]) {
      await handle.write(bytes, part * step, Math.min(step, size - part * step), part * step)
      if (part < 6) growing.advance((part + 1) * step)
    }
    await handle.close()
    assert.equal(await growing.finish(size), sha256(bytes))
  })

  test(`a ${kind} file that gets longer while it is hashed, and is longer in the end`, async (t) => {
    const bytes = bytesOf(size)
    const file = fileWith(t, bytes.subarray(0, 10))
    const growing = startThread(t).follow(file, size)
    growing.advance(10)
    for (let at = 10; at < size; at += mebi) {
      const next = Math.min(size, at + mebi)
      appendFileSync(file, bytes.subarray(at, next))
      growing.advance(next)
    }
    appendFileSync(file, 'not of it')
    assert.equal(await growing.finish(size), sha256(bytes))
  })

  test(`two ${kind} files at once`, async (t) => {
    const thread = startThread(t)
    const files = [bytesOf(size, 1), bytesOf(size, 2)]
    const digests = await Promise.all(files.map((bytes) => thread.hash(fileWith(t, bytes), size)))
    assert.deepEqual(digests, files.map(sha256))
  })

  test(`a ${kind} file that is given up, and the one beside it goes on`, async (t) => {
    const thread = startThread(t)
    const bytes = bytesOf(size)
    const file = fileWith(t, bytes)
    const early = thread.follow(file, size)
    const late = thread.follow(file, size)
    const beside = thread.follow(file, size)
    early.advance(size - 1)
    early.cancel()
    early.cancel()
    early.advance(size)
    await assert.rejects(early.finish(size), /cancelled/)
    const ended = late.finish(size)
    late.cancel()
    await assert.rejects(ended, /cancelled/)
    assert.equal(await beside.finish(size), sha256(bytes))
  })

  test(`a ${kind} file that is cut while it is hashed is an error, and the next one is hashed`, async (t) => {
    const thread = startThread(t)
    const bytes = bytesOf(size)
    const file = fileWith(t, bytes)
    const growing = thread.follow(file, size)
    growing.advance(mebi)
    truncateSync(file, 2 * mebi)
    await assert.rejects(growing.finish(size), /shorter than it was/)
    growing.advance(size)
    growing.cancel()
    writeFileSync(file, bytes)
    assert.equal(await thread.hash(file, size), sha256(bytes))
  })

  test(`a ${kind} file that is not there`, async (t) => {
    const thread = startThread(t)
    await assert.rejects(thread.hash(path.join(tempFolder(t), 'none'), size), { code: 'ENOENT' })
    const bytes = bytesOf(size)
    assert.equal(await thread.hash(fileWith(t, bytes), size), sha256(bytes))
  })
}

test('an abort ends it with its reason, also right at the end of a file', async (t) => {
  const thread = startThread(t)
  // Just so many are a small file that is told of once: at its end.
  for (const size of [16 * mebi, sizes.large]) {
    const file = fileWith(t, bytesOf(size))
    const reason = new Error('enough')
    const controller = new AbortController()
    const { signal } = controller
    const onProgress = () => controller.abort(reason)
    await assert.rejects(thread.hash(file, size, { signal, onProgress }), (error) => error === reason)
    await assert.rejects(thread.hash(file, size, { signal }), (error) => error === reason)
  }
})

test('a file without a byte, also one that was to be large', async (t) => {
  const thread = startThread(t)
  const nothing = sha256(new Uint8Array())
  assert.equal(await thread.hash(fileWith(t, new Uint8Array()), 0), nothing)
  assert.equal(await thread.follow(fileWith(t, new Uint8Array()), sizes.large).finish(0), nothing)
})

test('one that was closed can be used again', async (t) => {
  const thread = startThread(t)
  const bytes = bytesOf(sizes.large)
  const file = fileWith(t, bytes)
  for (let round = 0; round < 2; round++) {
    thread.close()
    assert.equal(await thread.hash(file, sizes.large), sha256(bytes))
  }
})

test('a thread that has nothing to do keeps no process alive, whatever is still said to it', (t) => {
  const folder = tempFolder(t)
  const file = path.join(folder, 'file')
  writeFileSync(file, '')
  truncateSync(file, sizes.large)
  const program = path.join(folder, 'program.mts')
  const module = JSON.stringify(new URL('../../src/runtime/hash-thread.ts', import.meta.url).href)
  writeFileSync(
    program,
    `import { HashThread } from ${module}
     const size = ${sizes.large}
     const thread = new HashThread()
     console.log((await thread.hash(${JSON.stringify(file)}, size)).length)
     const failed = thread.follow(${JSON.stringify(path.join(folder, 'none'))}, size)
     failed.advance(size)
     await failed.finish(size).catch(() => console.log('failed'))
     failed.advance(size)
     failed.cancel()
     const given = thread.follow(${JSON.stringify(file)}, size)
     given.cancel()
     given.advance(size)`,
  )
  // Only one that hangs takes so long.
  const options = { encoding: 'utf8', timeout: 60_000 } as const
  const { stdout, stderr, signal } = spawnSync(process.execPath, [...runtimeArguments(), program], options)
  assert.equal(signal, null)
  assert.equal(stdout, '64\nfailed\n', stderr)
})
