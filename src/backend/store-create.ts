/** Builds a model from another one and a declaration in a store, as a server builds it, where that can be foreseen byte for byte. */
import {
  type BuildFields,
  type DerivedBytes,
  isPredictable,
  type ModelContent,
  predictDerived,
} from '../artifact/derived.ts'
import { imageType, shortDigest } from '../artifact/manifest.ts'
import { readContent } from '../artifact/model-content.ts'
import { quoted } from '../artifact/text.ts'
import { OllamaConfigError } from '../errors.ts'
import { sha256 } from '../runtime/sha256.ts'
import { readGguf } from '../store/gguf.ts'
import type { Layout } from '../store/layout.ts'
import type { StoredModel } from '../store/manifests.ts'
import { openBlob, readSmallBlob, repairHint } from '../store/read-blob.ts'
import type { CallOptions, CreateRequest } from './backend.ts'
import { seemsThere } from './store-blob.ts'
import { showStored } from './store-shown.ts'

/** Whether it can be built here at all; what its base makes of it is not known yet. */
export function isForServer({ from, files, quantize }: CreateRequest): boolean {
  return from === undefined || files !== undefined || quantize !== undefined
}

/** Writes nothing. @throws {OllamaConfigError} `build-failed`, and what reading the base throws */
export async function deriveInStore(
  layout: Layout,
  name: string,
  base: StoredModel,
  request: CreateRequest,
  { signal }: CallOptions = {},
): Promise<DerivedBytes> {
  const content = await contentOf(layout, base, signal)
  if (content === undefined || !isPredictable(content))
    throw onlyServer(name, `what a server would make of its base "${base.name}" cannot be foreseen`)
  const adapters = Object.entries(request.adapters ?? {})
  if (adapters.length > 1) throw notBuilt(name, 'a server takes one adapter', 'drop all "adapters" but one')
  const { license, messages = [], parameters = {}, system, template, renderer, parser, requires } = request
  const fields = {
    system: system ?? null,
    template: template ?? null,
    parameters,
    messages,
    licenses: license ?? [],
    renderer: renderer ?? null,
    parser: parser ?? null,
    requires: requires ?? null,
    adapters: await Promise.all(adapters.map(([file, digest]) => readAdapter(layout, name, { file, digest }, signal))),
  }
  return predictDerived(content, base.name, fields, sha256)
}

/**
 * What it takes over has to be there: no manifest may name what is not.
 *
 * @throws {OllamaConfigError} `build-failed`
 */
export async function assertTakenOver(layout: Layout, name: string, { blobs, texts }: DerivedBytes): Promise<void> {
  for (const blob of blobs) {
    if (texts.has(blob.digest) || (await seemsThere(layout, blob))) continue
    const problem = `a part that it takes over is missing or damaged: the blob ${shortDigest(blob.digest)}`
    throw notBuilt(name, problem, repairHint)
  }
}

export function onlyServer(name: string, why: string): OllamaConfigError {
  return new OllamaConfigError('build-failed', `${quoted(name)} cannot be built without a server: ${why}`, {
    hint: 'apply it on an Ollama server (without --store)',
  })
}

function notBuilt(name: string, problem: string, hint: string, cause?: unknown): OllamaConfigError {
  return new OllamaConfigError('build-failed', `${quoted(name)} cannot be built: ${problem}`, { hint, cause })
}

/** `undefined` when a server would not read it either, or would make other weights of it. */
async function contentOf(
  layout: Layout,
  base: StoredModel,
  signal: AbortSignal | undefined,
): Promise<ModelContent | undefined> {
  const { config, layers } = base.manifest
  if (config === null) return undefined
  const params = layers.filter(({ mediaType }) => mediaType === imageType('params'))
  const [configText, ...paramTexts] = await Promise.all(
    [config, ...params].map(({ digest }) => readSmallBlob(layout, digest, { signal })),
  )
  const { modelInfo } = await showStored(layout, base, { signal })
  return readContent({ layers, config: configText, params: paramTexts, info: modelInfo })
}

type Adapter = BuildFields['adapters'][number]

async function readAdapter(
  layout: Layout,
  name: string,
  { file, digest }: { readonly file: string; readonly digest: string },
  signal: AbortSignal | undefined,
): Promise<Adapter> {
  const blob = await openBlob(layout, digest, { signal }).catch((error: unknown) => {
    if (signal?.aborted) throw signal.reason
    throw notBuilt(name, `its adapter ${quoted(file)} is gone`, 'try again: it is read anew', error)
  })
  try {
    const { values } = await readGguf(blob.handle, blob.found.size, signal).catch((error: unknown) => {
      if (signal?.aborted) throw signal.reason
      throw notBuilt(name, `its adapter ${quoted(file)} is no GGUF file`, 'check "adapters" in the config', error)
    })
    if (values.get('general.type') !== 'adapter')
      throw notBuilt(name, `${quoted(file)} is no adapter`, 'check "adapters" in the config')
    // A server may add a template that fits to it.
    if (values.has('tokenizer.chat_template')) throw onlyServer(name, `its adapter ${quoted(file)} has a template`)
    return { name: file, digest, sizeBytes: blob.found.size }
  } finally {
    await blob.handle.close()
  }
}
