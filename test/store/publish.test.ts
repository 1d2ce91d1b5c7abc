/** What is written into a store is whole or not there, and a manifest never names what is missing. */
import assert from 'node:assert/strict'
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  watch,
  writeFileSync,
} from 'node:fs'
import { rmdir } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import { parseReference } from '../../src/artifact/reference.ts'
import { blobFile, layoutOf, manifestFile } from '../../src/store/layout.ts'
import { kindOf } from '../../src/store/leftover-names.ts'
import { readManifests } from '../../src/store/manifests.ts'
import { mutexName } from '../../src/store/mutex.ts'
import { ownerFor } from '../../src/store/ownership.ts'
import { prepare, publishBlob, publishManifest, publishPartial, writeStream } from '../../src/store/publish.ts'
import { removeModel } from '../../src/store/remove.ts'
import { tempFolder } from '../support/run-cli.ts'
import { addBlob, assertSound, blobOf, filesIn, isNode, manifestOf, setTime, startWorker, storeWith } from './models.ts'

/** Its processes, signals and error codes are not those that this looks for. */
const onDeno = process.versions['deno'] === undefined ? false : 'not on Deno'

const isPosix = process.platform !== 'win32'
const isRoot = process.getuid?.() === 0
const reference = parseReference('a')
const config = blobOf('{}')
const bytes = manifestOf(config, [])

async function* chunks(...texts: string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield new TextEncoder().encode(text)
}

test('the folders are made, with modes for a server of another user', { skip: !isPosix }, async (t) => {
  const folder = path.join(tempFolder(t), 'deep', 'models')
  const layout = layoutOf(folder)
  const owner = isRoot ? { uid: 12_345, gid: 12_346 } : undefined
  await prepare(layout, owner)
  await prepare(layout, owner)
  await publishManifest(layout, reference, bytes, { owner })
  await publishBlob(layout, config.bytes, { owner })
  const made = ['', ...readdirSync(folder, { recursive: true, encoding: 'utf8' }), '..']
  assert.equal(made.length, 9)
  for (const name of made) {
    const { mode, uid, gid } = statSync(path.join(folder, name))
    assert.equal(mode & 0o777, statSync(path.join(folder, name)).isDirectory() ? 0o755 & ~process.umask() : 0o644, name)
    if (owner !== undefined) assert.deepEqual({ uid, gid }, owner, name)
  }
})

test('a file is for others to read, whatever the umask', { skip: !isPosix || !isNode }, async (t) => {
  const layout = storeWith(t)
  const before = process.umask(0o077)
  try {
    await publishBlob(layout, config.bytes)
    await publishManifest(layout, reference, bytes)
  } finally {
    process.umask(before)
  }
  for (const file of [blobFile(layout, config.digest), manifestFile(layout, reference)])
    assert.equal(statSync(file).mode & 0o777, 0o644)
})

test('a layout that is not known is not touched', async (t) => {
  const folder = tempFolder(t)
  mkdirSync(path.join(folder, 'manifests-v2'))
  await assert.rejects(prepare(layoutOf(folder), undefined), { code: 'store-unsupported' })
  assert.deepEqual(readdirSync(folder), ['manifests-v2'])
})

test('a manifest is written byte for byte, and again over the one before', async (t) => {
  const layout = storeWith(t)
  for (const text of ['{\n  "layers": null }\n', '{}']) {
    await publishManifest(layout, reference, new TextEncoder().encode(text))
    assert.deepEqual(filesIn(layout.folder), ['manifests/registry.ollama.ai/library/a/latest'])
    assert.equal(readFileSync(manifestFile(layout, reference), 'utf8'), text)
  }
})

test('names that differ only in case are one file, also when it is damaged', async (t) => {
  const layout = storeWith(t, { 'Case:Q4': ['{}'] })
  await publishManifest(layout, parseReference('case:q4'), bytes)
  const file = 'manifests/registry.ollama.ai/library/Case/Q4'
  assert.deepEqual(filesIn(layout.manifests), [file.slice('manifests/'.length)])
  writeFileSync(path.join(layout.folder, file), '{"layers":')
  await publishManifest(layout, parseReference('cASE:q4'), bytes)
  assert.deepEqual(filesIn(layout.manifests), [file.slice('manifests/'.length)])
  await assertSound(layout)
})

test('a part of a name is spelled as installed names have it, since a server looks for it there', async (t) => {
  const layout = storeWith(t, { 'Hub.example/Team/Case:Q4': ['{}'], 'other:V1': ['{}'] })
  for (const name of ['hub.EXAMPLE/team/case:q8', 'hub.example/TEAM/new:v1', 'OTHER', 'Others:q4'])
    await publishManifest(layout, parseReference(name), bytes)
  assert.deepEqual(filesIn(layout.manifests), [
    'Hub.example/Team/Case/Q4',
    'Hub.example/Team/Case/q8',
    'Hub.example/Team/new/V1',
    'registry.ollama.ai/library/Others/Q4',
    'registry.ollama.ai/library/other/V1',
    'registry.ollama.ai/library/other/latest',
  ])
})

test('root gives what it writes to the owner of the store, or to whom is wanted, and nothing that was there', {
  skip: !isPosix || !isRoot,
}, async (t) => {
  const outer = tempFolder(t)
  chownSync(outer, 1234, 1235)
  const layout = layoutOf(path.join(outer, 'new', 'models'))
  const wanted = { uid: 4321, gid: 4322 }
  const ownerOf = (file: string) => {
    const { uid, gid } = lstatSync(file)
    return { uid, gid }
  }
  // As long as there is no store: that of the folder it will lie in.
  const owner = await ownerFor(layout, undefined)
  assert.deepEqual(owner, { uid: 1234, gid: 1235 })
  assert.deepEqual(await ownerFor(layout, wanted), wanted)
  await prepare(layout, owner)
  const before = ['', 'new', 'new/models', 'new/models/blobs', 'new/models/manifests'].map((name) =>
    path.join(outer, name),
  )
  await publishManifest(layout, reference, bytes, { owner: wanted })
  await writeStream(layout, { digest: config.digest, sizeBytes: 2, bytes: chunks('{}') }, { owner: wanted })
  const partial = path.join(layout.blobs, 'x.ollama-config')
  writeFileSync(partial, 'x')
  await publishPartial(layout, blobOf('x').digest, partial, { owner: wanted })
  for (const file of before) assert.deepEqual(ownerOf(file), owner, file)
  const manifest = manifestFile(layout, reference)
  const made = [manifest, path.dirname(manifest), path.join(manifest, '../..'), path.join(manifest, '../../..')]
  for (const file of [...made, blobFile(layout, config.digest), blobFile(layout, blobOf('x').digest)])
    assert.deepEqual(ownerOf(file), wanted, file)
  chownSync(layout.folder, 77, 78)
  assert.deepEqual(await ownerFor(layout, undefined), { uid: 77, gid: 78 })
})

test('who is not root owns what he writes himself', { skip: !isPosix || isRoot }, async (t) => {
  assert.equal(await ownerFor(layoutOf(tempFolder(t)), undefined), undefined)
})

test('a manifests/ or blobs/ that is a link is written through', { skip: !isPosix }, async (t) => {
  const folder = tempFolder(t)
  const elsewhere = tempFolder(t)
  const layout = layoutOf(folder)
  for (const name of ['blobs', 'manifests']) {
    mkdirSync(path.join(elsewhere, name))
    symlinkSync(path.join(elsewhere, name), path.join(folder, name))
  }
  await prepare(layout, undefined)
  await publishBlob(layout, config.bytes)
  await publishManifest(layout, reference, bytes)
  await assertSound(layout)
  assert.deepEqual(filesIn(folder), ['blobs', 'manifests'])
  assert.equal(filesIn(elsewhere).length, 2)
  const [model] = (await readManifests(layout)).models
  assert.ok(model)
  await removeModel(layout, model)
  assert.deepEqual(filesIn(elsewhere), [])
  assert.ok(lstatSync(layout.manifests).isSymbolicLink() && existsSync(path.join(elsewhere, 'manifests')))
})

test('at no moment is there a file below manifests/ that a server would take for a tag', {
  // Elsewhere not every name is told.
  skip: process.platform !== 'linux' || !isNode,
  timeout: 120_000,
}, async (t) => {
  const layout = storeWith(t)
  const tags = Array.from({ length: 200 }, (_, index) => `t${index}`)
  const folder = path.dirname(manifestFile(layout, reference))
  mkdirSync(folder, { recursive: true })
  const seen = new Set<string>()
  const all = new Promise<void>((resolve) => {
    const watched = [folder, path.dirname(folder), path.join(folder, '../..')].map((name) =>
      watch(name, (_event, file) => {
        seen.add(file ?? '')
        if (seen.has('t199')) resolve()
      }),
    )
    t.after(() => {
      for (const watcher of watched) watcher.close()
    })
  })
  for (const tag of tags) await publishManifest(layout, { ...reference, tag }, bytes)
  await all
  assert.deepEqual([...seen].sort(), tags.toSorted())
})

test('no reference leads out of manifests/', async (t) => {
  const layout = storeWith(t)
  for (const part of ['..', '.', '', '/etc', 'a/b', '..\\x', 'x\0']) {
    for (const name of ['host', 'namespace', 'model', 'tag'] as const)
      await assert.rejects(publishManifest(layout, { ...reference, [name]: part }, bytes), {
        code: 'invalid-reference',
      })
  }
  assert.deepEqual(filesIn(layout.folder), [])
})

test('what cannot be written leaves what was there, and no other file', async (t) => {
  const layout = storeWith(t)
  // The name of a model is a file where its folder should be.
  mkdirSync(path.dirname(path.dirname(manifestFile(layout, reference))), { recursive: true })
  writeFileSync(path.dirname(manifestFile(layout, reference)), 'x')
  await assert.rejects(publishManifest(layout, reference, bytes), { code: 'file-not-written' })
  // A folder has the name of a tag.
  mkdirSync(manifestFile(layout, parseReference('b')), { recursive: true })
  await assert.rejects(publishManifest(layout, parseReference('b'), bytes), { code: 'file-not-written' })
  mkdirSync(blobFile(layout, config.digest))
  await assert.rejects(publishBlob(layout, config.bytes), { code: 'file-not-written' })
  assert.deepEqual(filesIn(layout.folder), ['manifests/registry.ollama.ai/library/a'])
})

test('a folder that a server takes away just before is made again', { skip: onDeno }, async (t) => {
  const layout = storeWith(t)
  const folder = path.dirname(manifestFile(layout, reference))
  for (let round = 0; round < 30; round++) {
    let publishing = true
    // As a server does it that deletes another model at that moment: only what is empty, and once.
    const remover = (async () => {
      while (publishing) {
        if (
          await rmdir(folder).then(
            () => true,
            () => false,
          )
        )
          return
      }
    })()
    await publishManifest(layout, reference, bytes)
    publishing = false
    await remover
    assert.ok(existsSync(manifestFile(layout, reference)))
    rmSync(folder, { recursive: true, force: true })
  }
  assert.deepEqual(filesIn(layout.folder), [])
})

test('a small blob is written once, and renewed so that no server prunes it', async (t) => {
  const layout = storeWith(t)
  assert.equal(await publishBlob(layout, config.bytes), config.digest)
  const file = blobFile(layout, config.digest)
  const old = Date.now() - 24 * 3_600_000
  setTime(file, old)
  const { ino } = statSync(file)
  await publishBlob(layout, config.bytes)
  assert.equal(statSync(file).ino, ino)
  assert.ok(statSync(file).mtimeMs > old + 3_600_000)
  assert.deepEqual(filesIn(layout.folder), [`blobs/${config.digest.replace(':', '-')}`])
})

test('a blob with the right name and the wrong content is replaced', async (t) => {
  const layout = storeWith(t)
  const file = blobFile(layout, config.digest)
  for (const wrong of ['', '{', '[]', '{} ']) {
    writeFileSync(file, wrong)
    await publishBlob(layout, config.bytes)
    assert.equal(readFileSync(file, 'utf8'), '{}')
  }
})

test('a link in place of a blob is replaced, and what it leads to stays', { skip: !isPosix }, async (t) => {
  const layout = storeWith(t)
  const outside = path.join(tempFolder(t, { outside: 'precious' }), 'outside')
  const file = blobFile(layout, config.digest)
  symlinkSync(outside, file)
  await publishBlob(layout, config.bytes)
  assert.ok(lstatSync(file).isFile())
  rmSync(file)
  symlinkSync(outside, file)
  await writeStream(layout, { digest: config.digest, sizeBytes: 2, bytes: chunks('{', '}') })
  assert.ok(lstatSync(file).isFile())
  assert.equal(readFileSync(outside, 'utf8'), 'precious')
})

test('a stream becomes a blob when size and digest fit, else nothing is left', async (t) => {
  const layout = storeWith(t)
  const { digest } = blobOf('hello world')
  const wrong: readonly (readonly [string, number, readonly string[]])[] = [
    [digest, 11, ['hello', ' worle']],
    [digest, 11, ['hello']],
    [digest, 11, []],
    [digest, 11, ['hello world', '!']],
    [digest, 12, ['hello world']],
    [blobOf('another').digest, 11, ['hello world']],
  ]
  for (const [wanted, sizeBytes, texts] of wrong) {
    await assert.rejects(writeStream(layout, { digest: wanted, sizeBytes, bytes: chunks(...texts) }), {
      code: 'digest-mismatch',
    })
    assert.deepEqual(filesIn(layout.folder), [])
  }
  await writeStream(layout, { digest, sizeBytes: 11, bytes: chunks('hello', '', ' world') })
  assert.equal(readFileSync(blobFile(layout, digest), 'utf8'), 'hello world')
  assert.equal(filesIn(layout.folder).length, 1)
})

test('a stream without end does not fill the disk', async (t) => {
  const layout = storeWith(t)
  let given = 0
  let closed = false
  async function* endless() {
    try {
      for (;;) yield new Uint8Array(++given)
    } finally {
      closed = true
    }
  }
  const { digest } = config
  await assert.rejects(writeStream(layout, { digest, sizeBytes: 100, bytes: endless() }), { code: 'digest-mismatch' })
  assert.ok(given < 20 && closed)
  assert.deepEqual(filesIn(layout.folder), [])
})

test('what reading throws passes as it is, and an abort too; nothing is left', { skip: onDeno }, async (t) => {
  const layout = storeWith(t)
  const unread = Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO', syscall: 'read' })
  async function* failing() {
    yield new Uint8Array(1)
    throw unread
  }
  const blob = { digest: config.digest, sizeBytes: 2 }
  await assert.rejects(writeStream(layout, { ...blob, bytes: failing() }), (error) => error === unread)
  const reason = new Error('enough')
  const controller = new AbortController()
  async function* aborting() {
    yield new Uint8Array(1)
    controller.abort(reason)
    yield new Uint8Array(1)
  }
  const { signal } = controller
  await assert.rejects(writeStream(layout, { ...blob, bytes: aborting() }, { signal }), (error) => error === reason)
  const late = { signal }
  await assert.rejects(publishBlob(layout, config.bytes, late), (error) => error === reason)
  await assert.rejects(publishManifest(layout, reference, bytes, late), (error) => error === reason)
  await assert.rejects(publishPartial(layout, config.digest, 'x', late), (error) => error === reason)
  assert.deepEqual(filesIn(layout.folder), [])
})

test('no digest leads out of blobs/', async (t) => {
  const layout = storeWith(t)
  for (const digest of [
    '',
    'sha256:',
    `sha256:../${'a'.repeat(61)}`,
    `sha256:${'A'.repeat(64)}`,
    `md5:${'a'.repeat(64)}`,
  ]) {
    const refused = { code: 'invalid-response' }
    await assert.rejects(writeStream(layout, { digest, sizeBytes: 2, bytes: chunks('{}') }), refused)
    await assert.rejects(publishPartial(layout, digest, path.join(layout.folder, 'x')), refused)
  }
  assert.deepEqual(filesIn(layout.folder), [])
})

test('a finished download becomes the blob, also over a damaged one', async (t) => {
  const layout = storeWith(t)
  const file = blobFile(layout, config.digest)
  const partial = `${file}.ollama-config`
  writeFileSync(file, 'damaged')
  writeFileSync(partial, '{}', { mode: 0o600 })
  await publishPartial(layout, config.digest, partial)
  assert.equal(readFileSync(file, 'utf8'), '{}')
  if (isPosix) assert.equal(statSync(file).mode & 0o777, 0o644)
  assert.ok(!existsSync(partial))
  await assert.rejects(publishPartial(layout, config.digest, partial), { code: 'file-not-written' })
  assert.equal(readFileSync(file, 'utf8'), '{}')
})

test('what belongs to another user is written anew rather than left to be pruned', {
  skip: !isPosix || isRoot,
}, async (t) => {
  const layout = storeWith(t)
  await publishBlob(layout, config.bytes)
  chmodSync(blobFile(layout, config.digest), 0o444)
  assert.equal(await publishBlob(layout, config.bytes), config.digest)
})

test('a failure at any step leaves no manifest without its blobs', async (t) => {
  const layout = storeWith(t)
  const weights = blobOf('weights')
  const steps = [
    () => writeStream(layout, { digest: weights.digest, sizeBytes: 7, bytes: chunks('weights') }),
    async () => void (await publishBlob(layout, config.bytes)),
    () => publishManifest(layout, reference, manifestOf(config, [weights])),
  ]
  for (let count = 0; count <= steps.length; count++) {
    for (const step of steps.slice(0, count)) await step()
    await assertSound(layout)
    assert.equal((await readManifests(layout)).models.length, count === steps.length ? 1 : 0)
  }
})

test('kill -9 at any moment leaves no manifest that names a missing blob, and no tag that is none', {
  skip: onDeno,
  timeout: 240_000,
}, async (t) => {
  const layout = storeWith(t)
  addBlob(layout, 'unrelated')
  let worked = 0
  for (let round = 0; round < 6; round++) {
    const worker = await startWorker(t, 'publish', layout.folder)
    worker.begin()
    await worker.line(1 + (round % 4))
    // Somewhere in the next round, whose length is about this.
    await new Promise((resolve) => setTimeout(resolve, (round * 7) % 16))
    worker.child.kill('SIGKILL')
    worked += (await worker.ended).length
    await assertSound(layout)
    for (const file of filesIn(layout.manifests))
      assert.match(file, /^(?:registry\.ollama\.ai\/library\/m[0-2]\/latest|\.ollama-config-[0-9a-f-]{36}\.tmp)$/)
    // Those of the mutex are found again by the next one that takes it.
    const known = [mutexName, `.${mutexName}.mutex`]
    for (const file of filesIn(layout.folder).filter((name) => !name.startsWith('manifests/registry')))
      assert.ok(known.includes(file) || kindOf(layout, path.join(layout.folder, file)) !== undefined, file)
  }
  assert.ok(worked >= 6)
})
