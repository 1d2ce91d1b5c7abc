/** Small models for the tests of a store, written as a server lays them out, and what may never be: a manifest that names a missing blob. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { createInterface } from 'node:readline'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { blobsOf, configMediaType, formatManifest, imageType } from '../../src/artifact/manifest.ts'
import { parseListedName } from '../../src/artifact/reference.ts'
import { blobFile, type Layout, layoutOf, manifestFile } from '../../src/store/layout.ts'
import { readManifests, type StoredModel } from '../../src/store/manifests.ts'
import { programWords } from '../support/built.ts'
import { tempFolder } from '../support/run-cli.ts'

export interface Blob {
  readonly digest: string
  readonly bytes: Uint8Array
}

export function blobOf(text: string): Blob {
  const bytes = new TextEncoder().encode(text)
  return { digest: `sha256:${createHash('sha256').update(bytes).digest('hex')}`, bytes }
}

export function manifestOf(config: Blob, layers: readonly Blob[]): Uint8Array {
  const entry = (mediaType: string) => (blob: Blob) => ({
    mediaType,
    digest: blob.digest,
    sizeBytes: blob.bytes.byteLength,
  })
  const text = formatManifest({
    config: entry(configMediaType)(config),
    layers: layers.map(entry(imageType('model'))),
  })
  return new TextEncoder().encode(text)
}

/** A store with these models, each of a config and of layers with these texts. */
export function storeWith(
  t: TestContext,
  models: Readonly<Record<string, readonly [config: string, ...layers: string[]]>> = {},
): Layout {
  const layout = layoutOf(tempFolder(t))
  for (const folder of [layout.blobs, layout.manifests]) mkdirSync(folder)
  for (const [name, [config, ...layers]] of Object.entries(models)) {
    for (const text of [config, ...layers]) addBlob(layout, text)
    const file = manifestFile(layout, parseListedName(name))
    mkdirSync(path.dirname(file), { recursive: true })
    writeFileSync(file, manifestOf(blobOf(config), layers.map(blobOf)))
  }
  return layout
}

/** Returns its file. */
export function addBlob(layout: Layout, text: string): string {
  const { digest, bytes } = blobOf(text)
  writeFileSync(blobFile(layout, digest), bytes)
  return blobFile(layout, digest)
}

export function hasBlob(layout: Layout, text: string): boolean {
  return existsSync(blobFile(layout, blobOf(text).digest))
}

export async function storedModel(layout: Layout, name: string): Promise<StoredModel> {
  const model = (await readManifests(layout)).models.find((stored) => stored.name === name)
  assert.ok(model, `${name} is not there`)
  return model
}

/** Every file and link below the folder, sorted, with `/`. Links are not followed. */
export function filesIn(folder: string): readonly string[] {
  return readdirSync(folder, { withFileTypes: true })
    .flatMap((entry) =>
      entry.isDirectory()
        ? filesIn(path.join(folder, entry.name)).map((name) => `${entry.name}/${name}`)
        : [entry.name],
    )
    .sort()
}

/** Every manifest can be read, and what it names is there, with the content that its name says. */
export async function assertSound(layout: Layout): Promise<void> {
  const { models, damaged } = await readManifests(layout)
  assert.deepEqual(damaged, [])
  for (const { name, manifest } of models) {
    for (const { digest } of blobsOf(manifest)) {
      assert.ok(existsSync(blobFile(layout, digest)), `${name} names ${digest}, which is not there`)
      const found = createHash('sha256')
        .update(readFileSync(blobFile(layout, digest)))
        .digest('hex')
      assert.equal(`sha256:${found}`, digest, `of ${name}`)
    }
  }
}

export function setTime(file: string, ms: number): void {
  utimesSync(file, ms / 1000, ms / 1000)
}

export const isNode = process.versions['bun'] === undefined && process.versions['deno'] === undefined

export interface Worker {
  readonly child: ChildProcess
  begin(): void
  /** Resolves when it has told so many lines, or has ended. */
  line(count: number): Promise<void>
  /** Everything that it told. */
  readonly ended: Promise<readonly string[]>
}

const script = fileURLToPath(new URL('store-worker.ts', import.meta.url))

/** Resolves when it has loaded, so that several can begin at one moment. */
export async function startWorker(t: TestContext, ...words: string[]): Promise<Worker> {
  const child = spawn(process.execPath, [...programWords(script), ...words], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  t.after(() => child.kill('SIGKILL'))
  // One that was killed reads no more.
  child.stdin.on('error', () => {})
  const lines: string[] = []
  const waiting = new Set<() => void>()
  const reader = createInterface({ input: child.stdout })
  const ended = new Promise<readonly string[]>((resolve) => child.on('close', () => resolve(lines.slice(1))))
  reader.on('line', (line) => {
    lines.push(line)
    for (const wake of waiting) wake()
  })
  // `ready` is the first one, and nobody else counts it.
  const line = (count: number) =>
    new Promise<void>((resolve) => {
      const wake = () => {
        if (lines.length <= count) return
        waiting.delete(wake)
        resolve()
      }
      waiting.add(wake)
      wake()
      ended.then(() => resolve())
    })
  await line(0)
  return { child, begin: () => void child.stdin.write('begin\n'), line, ended }
}
