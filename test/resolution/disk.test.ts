import assert from 'node:assert/strict'
import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { formatManifest } from '../../src/artifact/manifest.ts'
import type { Change, PullChange } from '../../src/plan/plan.ts'
import type { InstalledModel } from '../../src/plan/state.ts'
import { diskProblem } from '../../src/resolution/disk.ts'
import { sha256 } from '../../src/runtime/sha256.ts'
import { deletion, pull } from '../cli/views/events.ts'
import { installedModel, MemoryBackend } from '../support/memory-backend.ts'
import { tempFolder } from '../support/run-cli.ts'

const hex = 'ab'.repeat(32)
const far = 2 ** 50

const needing = (downloadBytes: number | null): PullChange => ({ ...pull('a:latest'), downloadBytes })

/** A backend that names a file of its model folder. */
class LocalBackend extends MemoryBackend {
  weightsFile: string | null = null
  override async show(name: string) {
    return { ...(await super.show(name)), weightsFile: this.weightsFile }
  }
}

const manifest = formatManifest({
  config: null,
  layers: [{ mediaType: 'application/vnd.ollama.image.model', digest: `sha256:${hex}`, sizeBytes: 0 }],
})
const there = installedModel('there:latest', { digest: `sha256:${sha256(manifest)}` })

async function problemOf(
  changes: readonly Change[],
  weightsFile: string | null,
  { candidates = [], listed = there }: { candidates?: readonly string[]; listed?: InstalledModel } = {},
) {
  const backend = new LocalBackend([listed])
  backend.weightsFile = weightsFile
  const { models } = await backend.readState()
  return diskProblem({ changes, actual: { serverVersion: null, models, unreadable: [] }, backend, candidates })
}

function modelFolder(t: Parameters<typeof tempFolder>[0]) {
  const folder = tempFolder(t)
  mkdirSync(path.join(folder, 'blobs'))
  const weights = path.join(folder, 'blobs', `sha256-${hex}`)
  writeFileSync(weights, '')
  const tag = path.join(folder, 'manifests', 'registry.ollama.ai', 'library', 'there', 'latest')
  mkdirSync(path.dirname(tag), { recursive: true })
  writeFileSync(tag, manifest)
  return { folder, weights }
}

test('too little space is an error where the server named the folder, and a warning where it is a guess', async (t) => {
  const { folder, weights } = modelFolder(t)
  const sure = await problemOf([needing(far)], weights)
  assert.deepEqual([sure?.severity, sure?.code], ['error', 'disk-space'])
  assert.match(sure?.message ?? '', /need 1125 TB, but only \S+ \S+ are free/)
  const guess = await problemOf([needing(far)], null, { candidates: ['/nowhere', folder] })
  assert.equal(guess?.severity, 'warning')
  // A path that is not here is one of a container, whose disk is not ours to judge.
  assert.equal(await problemOf([needing(far)], '/in/a/container/blobs/sha256-1', { candidates: [folder] }), undefined)
  // Nor is the same path of another machine, behind a tunnel, which has other models.
  const elsewhere = installedModel('there:latest')
  assert.equal(await problemOf([needing(far)], weights, { listed: elsewhere }), undefined)
  // What cannot be compared proves nothing.
  rmSync(path.join(folder, 'manifests'), { recursive: true })
  writeFileSync(path.join(folder, 'manifests'), '')
  assert.equal((await problemOf([needing(far)], weights))?.severity, 'warning')
  assert.equal(await problemOf([needing(1)], weights), undefined)
  assert.equal(await problemOf([needing(null), needing(0)], weights), undefined)
})

test('what a deletion would free does not count, but is named when it would do', async (t) => {
  const { folder, weights } = modelFolder(t)
  const { bavail, bsize } = statfsSync(folder)
  const changes = [needing(bavail * bsize + 10 ** 12), { ...deletion('old:7b'), nominalBytes: 10 ** 13 }]
  const problem = await problemOf(changes, weights)
  assert.equal(problem?.severity, 'error')
  assert.match(problem?.hint ?? '', /ollama rm old:7b$/)
  const irreplaceable = { ...deletion('made:1'), nominalBytes: 10 ** 13, irreplaceable: true }
  assert.match((await problemOf([needing(bavail * bsize + 10 ** 12), irreplaceable], weights))?.hint ?? '', /^free /)
})

test('the folder of a store is sure, also before it is there', async (t) => {
  const folder = path.join(tempFolder(t), 'not', 'yet')
  const problem = (changes: readonly Change[]) => {
    const backend = new MemoryBackend([], 'store')
    const actual = { serverVersion: null, models: [], unreadable: [] }
    return diskProblem({ changes, actual, backend, folder, candidates: [] })
  }
  const found = await problem([needing(far), { ...deletion('old:7b'), nominalBytes: 2 * far }])
  assert.equal(found?.severity, 'error')
  assert.match(found.message, /only \S+ \S+ are free \(.*not.yet\)$/)
  // There is no server to say "ollama rm" to.
  assert.match(found.hint ?? '', /^free /)
  assert.equal(await problem([needing(1)]), undefined)
})

test('what an unfinished download has on the disk already is not needed again', async (t) => {
  const { folder, weights } = modelFolder(t)
  const digest = `sha256:${'cd'.repeat(32)}`
  const blob = path.join(folder, 'blobs', `sha256-${'cd'.repeat(32)}`)
  // Of a model in tensor files it has another name.
  const partials = [`${blob}-partial`, `${blob}.tmp`]
  for (const file of partials) writeFileSync(file, new Uint8Array(50_000_000))
  const { bavail, bsize } = statfsSync(folder)
  // More than is free, and less than is free and there already together.
  const sizeBytes = bavail * bsize + 50_000_000
  const planned = { digest, config: null, layers: [{ mediaType: 'm', digest, sizeBytes, onHost: false }] }
  const changes = [{ ...needing(sizeBytes), manifest: planned }]
  assert.equal(await problemOf(changes, weights), undefined)
  for (const file of partials) rmSync(file)
  // Its space is free now; that much more is needed all the same.
  const more = { ...needing(sizeBytes + 100_000_000), manifest: planned }
  assert.equal((await problemOf([more], weights))?.severity, 'error')
})

test('a host that does not tell of its model is no reason to fail', async (t) => {
  const backend = new LocalBackend(['there'])
  backend.before = (step) => {
    if (step.startsWith('show')) throw new Error('no luck')
  }
  const actual = { serverVersion: null, models: [installedModel('there')], unreadable: [] }
  assert.equal(await diskProblem({ changes: [needing(far)], actual, backend, candidates: [] }), undefined)
  assert.equal(
    (await diskProblem({ changes: [needing(far)], actual, backend, candidates: [tempFolder(t)] }))?.severity,
    'warning',
  )
})
