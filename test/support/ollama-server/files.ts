/** Uploaded files as layers of a new model: weights, projectors, adapters. */
import { layerType } from './content.ts'
import { blobPath, CreateFailure, type StartLayer } from './derive.ts'
import type { LineWriter } from './exchange.ts'
import { type ModelInfo, shownValues } from './facts.ts'
import { type Gguf, GgufError, isGguf, readGguf } from './gguf.ts'
import { goJson } from './json-body.ts'
import type { Extras, Store } from './store.ts'

/** By the paths that the client gave. */
export type Files = Record<string, string>

/** Ends a create that asks for more than is built here. */
export class NotBuilt extends Error {}

interface FileLayers {
  layers: StartLayer[]
  /** What the server will tell of a model with these weights. */
  extras: Extras
}

/** @throws CreateFailure, NotBuilt */
export async function readFiles(
  files: Files,
  isAdapter: boolean,
  store: Store,
  writer: LineWriter,
): Promise<FileLayers> {
  const paths = Object.keys(files).sort()
  if (!isGgufByName(paths, files, store)) throw new CreateFailure('unknown type', 400)
  if (paths.length > 1 && isAdapter) throw new CreateFailure('only one adapter is currently supported', 400)
  const layers: StartLayer[] = []
  const contents: Gguf[] = []
  for (const path of paths) {
    const { layer, gguf } = await readFile(path, files[path] ?? '', isAdapter, store, writer)
    layers.push(layer)
    contents.push(gguf)
  }
  const templates = contents.map(({ values }) => values['tokenizer.chat_template'])
  return {
    layers: [...layers, ...templates.filter(isChatml).flatMap(() => chatmlLayers(store))],
    extras: extrasOf(layers, contents),
  }
}

/** The first path decides, or what the file begins with where a path has none of the two endings. */
function isGgufByName(paths: string[], files: Files, store: Store): boolean {
  for (const path of paths) {
    if (path.endsWith('.safetensors')) throw new NotBuilt('safetensors')
    if (path.endsWith('.gguf')) return true
    const bytes = bytesOf(files[path] ?? '', store)
    if (bytes === undefined) return false
    if (isGguf(bytes)) return true
  }
  return false
}

function bytesOf(digest: string, store: Store): Uint8Array | undefined {
  return store.blobs.get(digest.replace('-', ':'))?.bytes
}

async function readFile(
  path: string,
  digest: string,
  isAdapter: boolean,
  store: Store,
  writer: LineWriter,
): Promise<{ layer: StartLayer; gguf: Gguf }> {
  await writer.line({ status: 'parsing GGUF' })
  // Only where a file is no GGUF does it matter which of the two fields named it.
  const wrongFile = isAdapter ? 400 : 500
  if (!/^sha256[:-][0-9a-fA-F]{64}$/.test(digest)) throw new CreateFailure('invalid digest format', wrongFile)
  const bytes = bytesOf(digest, store)
  if (bytes === undefined) {
    throw new CreateFailure(`open ${blobPath(digest)}: no such file or directory`, wrongFile)
  }
  if (!isGguf(bytes)) throw new CreateFailure('supplied file was not in GGUF format', 400)
  const gguf = parse(bytes, wrongFile)
  const info = shownValues(gguf.values)
  if (Number(gguf.values['split.count'] ?? 0) > 1) throw new NotBuilt(`${path}, a part of a GGUF`)
  const mediaType = layerType(kindOf(info))
  const layer = { mediaType, digest, size: bytes.length, from: path, status: `using existing layer ${digest}` }
  return { layer: { ...layer, info, file: bytes }, gguf }
}

function parse(bytes: Uint8Array, status: number): Gguf {
  try {
    return readGguf(bytes)
  } catch (error) {
    throw error instanceof GgufError ? new CreateFailure(error.message, status) : error
  }
}

function kindOf(info: ModelInfo): 'model' | 'adapter' | 'projector' {
  const { 'general.type': type, 'general.architecture': family } = info
  const size = (key: string) => Number(info[`${family}.${key}`] ?? 0)
  if (type === 'adapter') return 'adapter'
  if (type === 'projector' || type === 'mmproj') return 'projector'
  if (size('block_count') > 0) return 'model'
  const sees = info[`${family}.has_vision_encoder`] === true || info[`${family}.has_audio_encoder`] === true
  return size('vision.block_count') > 0 || (family === 'clip' && sees) ? 'projector' : 'model'
}

/** Tensors that the server wants to keep as they are: with one of them a file is not copied by the quantizer. */
export function hasOwnTensors(file: Uint8Array): boolean {
  return readGguf(file).tensors.some(({ name }) => /^(a|mm|mtp|s|v)\./.test(name))
}

/** Of the chat templates that the real server finds by their likeness, only the best-known one, as it is mostly written. */
function isChatml(template: unknown): boolean {
  return typeof template === 'string' && template.includes("'<|im_start|>' + message['role']") && template.length < 300
}

const chatml =
  '{{- range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}<|im_start|>assistant\n'

/** Parameters come with the template, and are written once more later, with those declared. */
function chatmlLayers(store: Store): StartLayer[] {
  const encode = (text: string) => new TextEncoder().encode(text)
  const { isNew: isNewTemplate, ...template } = store.put(encode(chatml))
  const { isNew, ...params } = store.put(encode(`${goJson({ stop: ['<|im_start|>', '<|im_end|>'] })}\n`))
  return [
    { mediaType: layerType('template'), ...template, status: 'using autodetected template chatml' },
    { mediaType: layerType('params'), ...params, status: undefined },
  ]
}

function extrasOf(layers: StartLayer[], contents: Gguf[]): Extras {
  const find = (kind: string) => layers.findIndex((layer) => layer.mediaType === layerType(kind))
  const info = layers[find('model')]?.info
  const projector = layers[find('projector')]?.info
  if (info === undefined) return {}
  const size = (key: string) => {
    const value = info[`${info['general.architecture']}.${key}`]
    return typeof value === 'number' ? { [key]: value } : {}
  }
  const has = (key: string) => info[`${info['general.architecture']}.${key}`] !== undefined
  const isSeeing = has('vision.block_count') || projector !== undefined
  return {
    details: { ...size('context_length'), ...size('embedding_length') },
    capabilities: [has('pooling_type') ? 'embedding' : 'completion', ...(isSeeing ? ['vision'] : [])],
    modelInfo: info,
    tensors: contents[find('model')]?.tensors ?? [],
    ...(projector === undefined ? {} : { projectorInfo: projector }),
  }
}
