/** What is collected from a store, and how much more is not. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { parseReference } from '../../src/artifact/reference.ts'
import { collect, surveyLeftovers } from '../../src/store/collect.ts'
import { blobFile, type Layout, manifestFile } from '../../src/store/layout.ts'
import { holdStore } from '../../src/store/mutex.ts'
import { publishManifest } from '../../src/store/publish.ts'
import { notReadable } from '../../src/store/unreadable.ts'
import { tempFolder } from '../support/run-cli.ts'
import { addBlob, blobOf, filesIn, hasBlob, manifestOf, setTime, storeWith } from './models.ts'

const isPosix = process.platform !== 'win32'
const hour = 3_600_000
/** When everything that a test makes is old: when a file was changed last cannot be set. */
const later = () => Date.now() + 2 * hour
const hex = 'ab'.repeat(32)
const uuid = '01234567-89ab-cdef-0123-456789abcdef'

const leftoverNames: readonly (readonly [name: string, kind: string])[] = [
  [`blobs/sha256-${hex}`, 'blob'],
  [`blobs/sha256-${hex}-partial`, 'partial'],
  [`blobs/sha256-${hex}-partial-0`, 'partial'],
  [`blobs/sha256-${hex}-partial-15`, 'partial'],
  [`blobs/sha256-${hex}.tmp`, 'partial'],
  [`blobs/sha256-${hex}.ollama-config`, 'partial'],
  [`blobs/sha256-${hex}.ollama-config-parts`, 'partial'],
  [`blobs/.ollama-config-${uuid}.tmp`, 'temporary'],
  ['blobs/sha256-1234567890', 'temporary'],
  ['blobs/COPY123', 'temporary'],
  ['blobs/Q4_K_M123', 'temporary'],
  ['blobs/Q8_0123', 'temporary'],
  ['blobs/F16123', 'temporary'],
  ['blobs/split-copy123', 'temporary'],
  ['blobs/projector-metadata123', 'temporary'],
  ['blobs/compat-tensors123', 'temporary'],
  [`manifests/.ollama-config-${uuid}.tmp`, 'temporary'],
  [`.ollama-config-mutex-${uuid}`, 'temporary'],
  [`..ollama-config-mutex.mutex-${uuid}`, 'temporary'],
]

const othersNames: readonly string[] = [
  'README.md',
  'blobs/README.md',
  'blobs/.gitkeep',
  `blobs/sha256-${hex.toUpperCase()}`,
  `blobs/sha256-${hex.slice(1)}`,
  `blobs/sha256-${hex}0`,
  `blobs/sha256-${hex}-partial-x`,
  `blobs/sha256-${hex}.bak`,
  `blobs/sha256:${hex}`,
  'blobs/model.gguf',
  'blobs/COPY',
  'blobs/Q4_K_M.gguf',
  'blobs/.ollama-config-mine.tmp',
  'manifests/.DS_Store',
  `manifests/sha256-${hex}`,
  'manifests/registry.ollama.ai/.ollama-config-x.tmp',
  `manifests/registry.ollama.ai/.ollama-config-${uuid}.tmp`,
  '.ollama-config-mutex',
  `sha256-${hex}`,
]

function write(layout: Layout, name: string, text = 'x'): string {
  const file = path.join(layout.folder, name)
  mkdirSync(path.dirname(file), { recursive: true })
  writeFileSync(file, text)
  return file
}

const shortNames = (layout: Layout, files: readonly { readonly file: string }[]) =>
  files.map(({ file }) => path.relative(layout.folder, file).split(path.sep).join('/'))

test('what is left over is known by its name, and nothing else is touched', { skip: !isPosix }, async (t) => {
  const layout = storeWith(t, { a: ['config a', 'weights a'] })
  for (const [name] of leftoverNames) write(layout, name)
  for (const name of othersNames) write(layout, name)
  const before = filesIn(layout.folder)
  const { leftovers, damaged } = await surveyLeftovers(layout, { now: later })
  assert.deepEqual(damaged, [])
  const found = leftovers.map(({ kind }, index) => [shortNames(layout, leftovers)[index], kind])
  assert.deepEqual(found.sort(), leftoverNames.map(([name, kind]) => [name, kind]).sort())
  for (const { ageMs } of leftovers) assert.ok(ageMs >= 2 * hour - 1000 && ageMs < 2 * hour + 60_000, String(ageMs))
  assert.deepEqual(filesIn(layout.folder), before)
  const { removed, spared, freedBytes } = await collect(layout, leftovers, { now: later })
  assert.deepEqual([removed.length, spared], [leftoverNames.length, []])
  assert.equal(
    freedBytes,
    leftovers.reduce((sum, { allocatedBytes }) => sum + allocatedBytes, 0),
  )
  const gone = new Set(leftoverNames.map(([name]) => name))
  assert.deepEqual(
    filesIn(layout.folder),
    before.filter((name) => !gone.has(name)),
  )
})

test('what is not an hour old stays, by its content, its name or its inode', { skip: !isPosix }, async (t) => {
  const layout = storeWith(t)
  const file = addBlob(layout, 'young')
  const old = addBlob(layout, 'renamed a moment ago')
  // As downloads that keep the time of the registry.
  setTime(old, Date.now() - 48 * hour)
  const { leftovers } = await surveyLeftovers(layout)
  assert.equal(leftovers.length, 2)
  const { removed, spared } = await collect(layout, leftovers)
  assert.deepEqual([removed, spared.map(({ reason }) => reason)], [[], ['young', 'young']])
  const almost = await collect(layout, leftovers, { now: () => Date.now() + hour - 60_000 })
  assert.deepEqual(almost.removed, [])
  setTime(file, Date.now() + 2 * hour)
  // A server that verifies what it pulled has nothing unfinished: its last blob is the sign.
  const { removed: none, spared: both } = await collect(layout, leftovers, { now: later })
  assert.deepEqual([none, both.map(({ reason }) => reason).sort()], [[], ['pulling', 'young']])
  assert.deepEqual(
    (await surveyLeftovers(layout, { now: later })).leftovers.map((leftover) => leftover.spared).sort(),
    ['pulling', 'young'],
  )
  rmSync(file)
  const { removed: gone } = await collect(layout, leftovers, { now: later })
  assert.deepEqual(
    gone.map((leftover) => leftover.file),
    [old],
  )
})

test('the parts of a download under way stay, however old some of its files are', async (t) => {
  const layout = storeWith(t)
  const part = write(layout, `blobs/sha256-${hex}-partial-3`)
  const data = write(layout, `blobs/sha256-${hex}-partial`)
  const other = write(layout, `blobs/sha256-${'cd'.repeat(32)}-partial`)
  setTime(data, Date.now() + 2 * hour)
  const { leftovers } = await surveyLeftovers(layout, { now: later })
  const { removed, spared } = await collect(layout, leftovers, { now: later })
  assert.deepEqual(
    removed.map(({ file }) => file),
    [other],
  )
  assert.deepEqual(
    spared.map(({ leftover, reason }) => [leftover.file, reason]),
    [
      [data, 'young'],
      [part, 'young'],
    ],
  )
})

test('while a server seems to pull or to build, every blob stays: those it has are named by nobody yet', async (t) => {
  for (const name of [`sha256-${hex}-partial-0`, `sha256-${hex}.tmp`, 'sha256-123', 'Q4_K_M123']) {
    const layout = storeWith(t)
    const blob = addBlob(layout, 'fetched hours ago')
    const working = write(layout, `blobs/${name}`)
    setTime(working, Date.now() + 2 * hour)
    const { leftovers } = await surveyLeftovers(layout, { now: later })
    const foreseen = leftovers.map((leftover) => [leftover.file, leftover.spared])
    const { removed, spared } = await collect(layout, leftovers, { now: later })
    assert.deepEqual(removed, [], name)
    assert.deepEqual(
      foreseen,
      spared.map(({ leftover, reason }) => [leftover.file, reason]),
    )
    assert.deepEqual(
      spared.map(({ leftover, reason }) => [leftover.file, reason]).sort(),
      [
        [blob, 'pulling'],
        [working, 'young'],
      ].sort(),
    )
  }
})

test('what an apply of ours left a moment ago keeps no blobs: none works here now', async (t) => {
  const layout = storeWith(t)
  const blob = addBlob(layout, 'old')
  setTime(write(layout, `blobs/sha256-${hex}.ollama-config`), Date.now() + 2 * hour)
  const { leftovers } = await surveyLeftovers(layout, { now: later })
  const { removed } = await collect(layout, leftovers, { now: later })
  assert.deepEqual(
    removed.map(({ file }) => file),
    [blob],
  )
})

test('partial files count by what they take', { skip: !isPosix }, async (t) => {
  const layout = storeWith(t)
  truncateSync(write(layout, `blobs/sha256-${hex}-partial`), 5_000_000_000)
  const { leftovers } = await surveyLeftovers(layout, { now: later })
  assert.equal(leftovers.length, 1)
  assert.ok((leftovers[0]?.allocatedBytes ?? 0) < 1_000_000)
})

test('what a manifest names by now stays', async (t) => {
  const layout = storeWith(t)
  for (const text of ['{}', 'weights', 'forgotten']) addBlob(layout, text)
  const { leftovers } = await surveyLeftovers(layout, { now: later })
  assert.equal(leftovers.length, 3)
  let calls = 0
  const { removed, spared } = await collect(layout, leftovers, {
    now: later,
    // By a server, after all that was looked at beforehand.
    assertHeld: async () => {
      calls++
      if (calls === 1)
        await publishManifest(layout, parseReference('new'), manifestOf(blobOf('{}'), [blobOf('weights')]))
    },
  })
  assert.equal(calls, 3)
  assert.deepEqual(
    removed.map(({ file }) => file),
    [blobFile(layout, blobOf('forgotten').digest)],
  )
  assert.deepEqual(
    spared.map(({ reason }) => reason),
    ['named', 'named'],
  )
  assert.ok(hasBlob(layout, '{}') && hasBlob(layout, 'weights'))
})

test('while a manifest is damaged everything stays', async (t) => {
  const damages: readonly ((layout: Layout) => void)[] = [
    (layout) => write(layout, 'manifests/h/n/m/t', '{"layers":['),
    (layout) => rmSync(layout.manifests, { recursive: true }),
    ...(isPosix
      ? [
          (layout: Layout) => {
            mkdirSync(path.dirname(manifestFile(layout, parseReference('b'))), { recursive: true })
            symlinkSync('/not/there', manifestFile(layout, parseReference('b')))
          },
          (layout: Layout) => symlinkSync('/not/there', path.join(layout.manifests, 'on-another-disk')),
          (layout: Layout) => symlinkSync('itself', path.join(layout.manifests, 'itself')),
          (layout: Layout) => {
            rmSync(layout.manifests, { recursive: true })
            symlinkSync('/not/there', layout.manifests)
          },
        ]
      : []),
  ]
  for (const damage of damages) {
    const layout = storeWith(t)
    addBlob(layout, 'who knows')
    write(layout, `blobs/sha256-${hex}-partial`)
    const { leftovers } = await surveyLeftovers(layout, { now: later })
    assert.equal(leftovers.length, 2)
    damage(layout)
    const { damaged } = await surveyLeftovers(layout, { now: later })
    assert.equal(damaged.length, 1)
    const { removed, spared } = await collect(layout, leftovers, { now: later })
    assert.deepEqual([removed, spared.map(({ reason }) => reason)], [[], ['damaged-manifest', 'damaged-manifest']])
    assert.equal(filesIn(layout.blobs).length, 2)
  }
})

test('links go, what they lead to stays', { skip: !isPosix }, async (t) => {
  const layout = storeWith(t)
  const outside = tempFolder(t, { file: 'precious' })
  symlinkSync(path.join(outside, 'file'), path.join(layout.blobs, `sha256-${hex}`))
  symlinkSync(outside, path.join(layout.blobs, `sha256-${hex}-partial`))
  symlinkSync('nowhere', path.join(layout.blobs, 'COPY1'))
  // Not a folder of the server's: a link to one.
  symlinkSync(outside, path.join(layout.folder, 'ollama-safetensors1'))
  mkdirSync(path.join(layout.folder, 'ollama-safetensors2'))
  symlinkSync(outside, path.join(layout.folder, 'ollama-safetensors2', 'model.safetensors'))
  linkSync(path.join(outside, 'file'), path.join(layout.folder, 'ollama-safetensors2', 'config.json'))
  const { leftovers } = await surveyLeftovers(layout, { now: later })
  const { removed } = await collect(layout, leftovers, { now: later })
  assert.equal(removed.length, 4)
  // Node 20 lists what is behind a link too.
  assert.deepEqual(readdirSync(layout.folder).sort(), ['blobs', 'manifests', 'ollama-safetensors1'])
  assert.deepEqual(readdirSync(layout.blobs), [])
  assert.deepEqual(filesIn(outside), ['file'])
  assert.equal(readFileSync(path.join(outside, 'file'), 'utf8'), 'precious')
})

test('a folder of a conversion is as young as what is in it', async (t) => {
  const layout = storeWith(t)
  const inside = write(layout, 'blobs/split-gguf-12/deep/part')
  const { leftovers } = await surveyLeftovers(layout, { now: later })
  assert.deepEqual(shortNames(layout, leftovers), ['blobs/split-gguf-12'])
  setTime(inside, Date.now() + 2 * hour)
  assert.deepEqual((await collect(layout, leftovers, { now: later })).removed, [])
  setTime(inside, Date.now())
  assert.equal((await collect(layout, leftovers, { now: later })).removed.length, 1)
  assert.deepEqual(filesIn(layout.folder), [])
})

test('a folder, or another thing, with the name of a blob is not touched', async (t) => {
  const layout = storeWith(t)
  write(layout, `blobs/sha256-${hex}/file`)
  write(layout, `blobs/sha256-${hex}-partial/file`)
  assert.deepEqual((await surveyLeftovers(layout, { now: later })).leftovers, [])
})

test('what is given is judged again: nothing outside, nothing unknown', async (t) => {
  const layout = storeWith(t)
  const outside = path.join(tempFolder(t), `sha256-${hex}`)
  writeFileSync(outside, 'precious')
  const own = write(layout, 'blobs/model.gguf')
  const given = [outside, own, path.join(layout.blobs, '..', '..', 'x'), layout.blobs, path.join(layout.blobs, 'gone')]
  const { removed, spared } = await collect(
    layout,
    given.map((file) => ({ kind: 'blob' as const, file, allocatedBytes: 1, ageMs: 9 * hour, spared: null })),
    { now: later },
  )
  assert.deepEqual(removed, [])
  assert.deepEqual(
    spared.map(({ leftover, reason }) => [leftover.file, reason]),
    [outside, own, layout.blobs].map((file) => [file, 'unknown']),
  )
  assert.equal(readFileSync(outside, 'utf8'), 'precious')
})

test('who lost the mutex, or is told to stop, removes nothing more', async (t) => {
  const layout = storeWith(t)
  addBlob(layout, 'one')
  addBlob(layout, 'two')
  const { leftovers } = await surveyLeftovers(layout, { now: later })
  const hold = await holdStore(layout)
  let calls = 0
  const assertHeld = async () => {
    if (++calls === 2) rmSync(path.join(layout.folder, '.ollama-config-mutex'))
    await hold.assertHeld()
  }
  await assert.rejects(collect(layout, leftovers, { now: later, assertHeld }), { code: 'store-busy' })
  await hold.release()
  assert.equal(filesIn(layout.blobs).length, 1)
  const reason = new Error('enough')
  const signal = AbortSignal.abort(reason)
  await assert.rejects(collect(layout, leftovers, { now: later, signal }), (error) => error === reason)
  await assert.rejects(surveyLeftovers(layout, { signal }), (error) => error === reason)
  assert.equal(filesIn(layout.blobs).length, 1)
})

test('a disk that has no room even for the mutex is made room on', (t) => {
  if (!isPosix || 'Bun' in globalThis) return t.skip('there is no limit on the size of files here')
  const layout = storeWith(t)
  addBlob(layout, 'one')
  addBlob(layout, 'two')
  const source = (name: string) => JSON.stringify(new URL(`../../src/${name}`, import.meta.url).href)
  const program = path.join(path.dirname(layout.folder), 'program.mts')
  writeFileSync(
    program,
    `import { collectLeftovers, findLeftovers } from ${source('index.ts')}
     process.on('SIGXFSZ', () => {})
     const now = () => Date.now() + ${2 * hour}
     const found = await findLeftovers(undefined, { store: ${JSON.stringify(layout.folder)}, now })
     const { removed } = await collectLeftovers(found, { now })
     console.log(removed.length)`,
  )
  t.after(() => rmSync(program))
  const runtime =
    'Deno' in globalThis ? ['run', '-A', '--no-check', '--no-prompt'] : ['--import', import.meta.resolve('tsx')]
  const { stdout, stderr } = spawnSync(
    'bash',
    // No file may have a byte, nor what tsx or a coverage run keeps; a pipe is none.
    ['-c', `trap '' XFSZ; ulimit -f 0; exec "$@"`, 'bash', process.execPath, ...runtime, program],
    {
      encoding: 'utf8',
      cwd: fileURLToPath(new URL('../..', import.meta.url)),
      env: { ...process.env, TSX_DISABLE_CACHE: '1', NODE_V8_COVERAGE: undefined },
    },
  )
  assert.equal(stdout, '2\n', stderr)
  assert.deepEqual(filesIn(layout.blobs), [])
})

test('a store that is not there has no leftovers', async (t) => {
  const layout = storeWith(t)
  rmSync(layout.folder, { recursive: true })
  assert.deepEqual(await surveyLeftovers(layout), { leftovers: [], damaged: [] })
})

test('a store without a blob lacks no manifests: what broke off there can go', async (t) => {
  const layout = storeWith(t)
  rmSync(layout.manifests, { recursive: true, force: true })
  assert.deepEqual((await surveyLeftovers(layout)).damaged, [])
  write(layout, `blobs/sha256-${hex}-partial`)
  const { leftovers, damaged } = await surveyLeftovers(layout, { now: later })
  assert.deepEqual([leftovers.map(({ spared }) => spared), damaged], [[null], []])
  assert.equal((await collect(layout, leftovers, { now: later })).removed.length, 1)
})

test('a folder that cannot be read is named, with the reason in words', { skip: !isPosix }, async (t) => {
  const layout = storeWith(t)
  rmSync(layout.blobs, { recursive: true, force: true })
  symlinkSync('blobs', layout.blobs)
  await assert.rejects(surveyLeftovers(layout), {
    code: 'store-unreadable',
    message: `The store cannot be read: "${layout.blobs}": its symbolic links go in a circle`,
  })
  const refused = notReadable('/m/blobs', Object.assign(new Error("EACCES: …, scandir '/m/blobs'"), { code: 'EACCES' }))
  assert.ok(refused instanceof Error)
  assert.equal(refused.message, 'The store cannot be read: "/m/blobs": permission denied')
})
