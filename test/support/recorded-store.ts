/** A model directory with the recorded models in it, byte for byte, and what the recorded server told of each. */
import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { TestContext } from 'node:test'
import type { CreateRequest } from '../../src/backend/backend.ts'
import { type Layout, layoutOf } from '../../src/store/layout.ts'
import { readFixture } from './conformance/recorded-registry.ts'
import { tempFolder } from './run-cli.ts'

interface StoredBlob {
  readonly digest: string
  readonly base64: string
}

interface Stored {
  readonly manifest: { readonly path: string; readonly base64: string }
  readonly config: StoredBlob
  readonly layers: readonly StoredBlob[]
}

export interface RecordedModel {
  /** Of the recording: `length-1536`, or the name of what was pulled. */
  readonly what: string
  readonly stored: Stored
  readonly listed: {
    readonly name: string
    /** Without `sha256:`. */
    readonly digest: string
    readonly size: number
    readonly details: { readonly parent_model: string }
    readonly remote_host?: string
  }
  /** What it was built by; bases have none. */
  readonly request?: RecordedRequest
  /** Where it was recorded. */
  readonly modelInfo?: Readonly<Record<string, unknown>>
}

type RecordedRequest = Omit<CreateRequest, 'license'> & {
  readonly model: string
  readonly license?: string | readonly string[]
}

interface Pulled {
  readonly model: string
  readonly as_stored: Stored
  readonly tags_entry: RecordedModel['listed']
  readonly show_model_info: RecordedModel['modelInfo'] & object
}

interface Derived {
  readonly bases: Readonly<Record<string, { readonly stored: Stored; readonly tags_entry: RecordedModel['listed'] }>>
  readonly cases: readonly {
    readonly case: string
    readonly request: RecordedRequest
    readonly stored: Stored
    readonly tags_entry: RecordedModel['listed']
  }[]
}

/** Names with a port are no files on Windows. */
function isStorable({ stored }: RecordedModel): boolean {
  return process.platform !== 'win32' || !stored.manifest.path.includes(':')
}

export function pulledModels(): readonly RecordedModel[] {
  const { models } = readFixture('bytes-pulled') as { readonly models: readonly Pulled[] }
  return models.map(({ model, as_stored, tags_entry, show_model_info }) => ({
    what: model,
    stored: as_stored,
    listed: tags_entry,
    modelInfo: show_model_info,
  }))
}

/** Bases first. */
export function derivedModels(): readonly RecordedModel[] {
  const { bases, cases } = readFixture('bytes-derived') as Derived
  return [
    ...Object.entries(bases).map(([what, { stored, tags_entry }]) => ({ what, stored, listed: tags_entry })),
    ...cases.map((entry) => ({
      what: entry.case,
      request: entry.request,
      stored: entry.stored,
      listed: entry.tags_entry,
    })),
  ].filter(isStorable)
}

export function storeOf(t: TestContext, models: readonly RecordedModel[]): Layout {
  const layout = layoutOf(tempFolder(t))
  mkdirSync(layout.blobs)
  for (const { stored } of models) {
    for (const { digest, base64 } of [stored.config, ...stored.layers]) {
      writeFileSync(path.join(layout.blobs, digest.replace(':', '-')), Buffer.from(base64, 'base64'))
    }
    const file = path.join(layout.folder, stored.manifest.path)
    mkdirSync(path.dirname(file), { recursive: true })
    writeFileSync(file, Buffer.from(stored.manifest.base64, 'base64'))
  }
  return layout
}
