/** Makes blobs of models that are built here once more, from what the config declares: with the same bytes, or not at all. */
import { createReadStream } from 'node:fs'
import { requestOf } from '../apply/make.ts'
import { blobsOf, type Layer } from '../artifact/manifest.ts'
import { referenceKey } from '../artifact/reference.ts'
import { deriveInStore } from '../backend/store-create.ts'
import type { Build, DesiredState, LocalFile } from '../plan/state.ts'
import { createFileReader } from '../resolution/inputs.ts'
import type { Layout } from '../store/layout.ts'
import type { StoredModel } from '../store/manifests.ts'
import type { Owner } from '../store/ownership.ts'
import { publishBlob, writeStream } from '../store/publish.ts'

export interface RemakeOptions {
  /** Every model in the store. */
  readonly stored: readonly StoredModel[]
  readonly desired: DesiredState
  readonly layout: Layout
  readonly owner: Owner | undefined
  readonly signal: AbortSignal
}

/** The model, how it is declared, and what it is built from. */
interface Made {
  readonly model: StoredModel
  readonly build: Build
  readonly base: StoredModel
}

/** @returns Digests of those that are there again */
export async function remakeBlobs(blobs: readonly Layer[], options: RemakeOptions): Promise<ReadonlySet<string>> {
  const missing = new Set(blobs.map(({ digest }) => digest))
  const remade = new Set<string>()
  const makers = madeModels(options).filter(({ model }) =>
    blobsOf(model.manifest).some(({ digest }) => missing.has(digest)),
  )
  // What is built of a model that is built comes after it.
  for (let before = -1; before < remade.size && missing.size > 0; ) {
    before = remade.size
    for (const made of makers) {
      for (const digest of await remake(made, missing, options)) {
        missing.delete(digest)
        remade.add(digest)
      }
    }
  }
  return remade
}

function madeModels({ stored, desired }: RemakeOptions): readonly Made[] {
  const find = new Map(stored.map((model) => [referenceKey(model.reference), model]))
  return desired.models.flatMap(({ reference, recipe }) => {
    if (recipe?.kind !== 'build' || recipe.from === null || recipe.quantize !== null) return []
    const model = find.get(referenceKey(reference))
    const base = find.get(referenceKey(recipe.from))
    return model === undefined || base === undefined ? [] : [{ model, build: recipe, base }]
  })
}

/** Nothing where it cannot be built now, or gives other bytes: it was declared otherwise then. */
async function remake(
  { model, build, base }: Made,
  missing: ReadonlySet<string>,
  { layout, owner, signal }: RemakeOptions,
): Promise<readonly string[]> {
  const wanted = blobsOf(model.manifest).filter(({ digest }) => missing.has(digest))
  if (wanted.length === 0) return []
  const made: string[] = []
  try {
    const adapters = await readAll(build.adapters, signal)
    for (const { digest, sizeBytes, file } of adapters) {
      if (!wanted.some((blob) => blob.digest === digest)) continue
      await writeStream(layout, { digest, sizeBytes, bytes: createReadStream(file, { signal }) }, { owner, signal })
      made.push(digest)
    }
    const { kind: _, cleared: __, ...fields } = build
    const request = requestOf({ ...fields, from: base.name, files: [], adapters }, base)
    const { texts } = await deriveInStore(layout, model.name, base, request, { signal })
    for (const { digest } of wanted) {
      const text = texts.get(digest)
      if (text === undefined) continue
      await publishBlob(layout, new TextEncoder().encode(text), { owner, signal })
      made.push(digest)
    }
  } catch {
    // Why the part cannot be had elsewhere is told already.
    signal.throwIfAborted()
  }
  return made
}

function readAll(files: readonly LocalFile[], signal: AbortSignal) {
  const read = createFileReader(new Map(), signal)
  return Promise.all(files.map(async (file) => ({ ...file, ...(await read(file)), onHost: null })))
}
