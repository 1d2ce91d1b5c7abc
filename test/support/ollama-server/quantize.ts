/** What the server has its quantizer do with weights: copy those of plain files, and change them where that is asked for. */
import { layerType } from './content.ts'
import { CreateFailure, type Start, type StartLayer } from './derive.ts'
import type { LineWriter } from './exchange.ts'
import { fileTypeName, fileTypeNumber, infoInFile, type ModelInfo } from './facts.ts'
import { hasOwnTensors, NotBuilt } from './files.ts'
import type { OllamaServerOptions } from './options.ts'
import type { Store } from './store.ts'

export type Quantizer = NonNullable<OllamaServerOptions['quantizer']>

const folders = [
  '$OLLAMA_BIN_DIR',
  '$OLLAMA_BIN_DIR/../lib/ollama',
  '$OLLAMA_BIN_DIR/build/lib/ollama',
  '$OLLAMA_BIN_DIR/dist/linux-amd64/lib/ollama',
  '$OLLAMA_BIN_DIR/dist/linux_amd64/lib/ollama',
  '$SERVER_CWD/build/lib/ollama',
  '$SERVER_CWD/dist/linux-amd64/lib/ollama',
  '$SERVER_CWD/dist/linux_amd64/lib/ollama',
]
const missing = `llama-quantize unavailable: llama-quantize binary not found (checked: ${folders.map((folder) => `${folder}/llama-quantize`).join(', ')})`

const targets: Record<string, string> = {
  F32: 'F32',
  F16: 'F16',
  BF16: 'BF16',
  Q8_0: 'Q8_0',
  Q4_K_S: 'Q4_K_S',
  Q4_K_M: 'Q4_K_M',
  Q4_K: 'Q4_K_M',
}

/** @throws CreateFailure */
export async function quantized(
  start: Start,
  asked: string,
  quantizer: Quantizer,
  store: Store,
  writer: LineWriter,
): Promise<Start> {
  const layers: StartLayer[] = []
  for (const layer of start.layers) layers.push(await treated(layer, asked.toUpperCase(), quantizer, store, writer))
  const info = layers.find((layer) => layer.mediaType === layerType('model'))?.info
  return { ...start, layers, extras: { ...start.extras, ...(info === undefined ? {} : { modelInfo: info }) } }
}

async function treated(
  layer: StartLayer,
  type: string,
  quantizer: Quantizer,
  store: Store,
  writer: LineWriter,
): Promise<StartLayer> {
  const { mediaType, file, info = {} } = layer
  if (mediaType === layerType('projector') && file !== undefined && lacksProjectorType(info)) {
    throw new NotBuilt('a projector that does not say its type')
  }
  if (mediaType !== layerType('model')) return layer
  if (type !== '') {
    const now = fileTypeName(Number(info['general.file_type'] ?? 0))
    if (targets[type] === undefined) {
      const supported = 'supported types are F32, F16, Q4_K_S, Q4_K_M, Q8_0'
      throw new CreateFailure(`unsupported quantization type ${type} - ${supported}`)
    }
    if (!['F16', 'BF16', 'F32'].includes(now)) {
      throw new CreateFailure('quantization is only supported for F16, BF16 and F32 models')
    }
    if (now !== targets[type]) {
      return await rewritten(layer, type, `quantizing ${now} model to ${type}`, quantizer, store, writer)
    }
  }
  if (file === undefined || hasOwnTensors(file)) return layer
  return await rewritten(layer, 'COPY', 'validating GGUF model', quantizer, store, writer)
}

function lacksProjectorType(info: ModelInfo): boolean {
  const isClip = info['general.architecture'] === 'clip' && info['clip.has_vision_encoder'] === true
  return isClip && info['clip.projector_type'] === undefined && info['clip.vision.projector_type'] === undefined
}

/** What comes out is a layer of its own, which no longer says where it is from. */
async function rewritten(
  { mediaType, digest, size: total, info = {} }: StartLayer,
  type: string,
  status: string,
  quantizer: Quantizer,
  store: Store,
  writer: LineWriter,
): Promise<StartLayer> {
  if (quantizer === 'missing') {
    const start = type === 'COPY' ? 'failed to validate GGUF with llama-quantize without compatibility patches: ' : ''
    throw new CreateFailure(`${start}${missing}`)
  }
  const line = (completed: number) => writer.line({ status, digest: '0000000000000000000', total, completed })
  await line(Math.floor(total / 2))
  const bytes = store.blobs.get(digest.replace('-', ':'))?.bytes
  const made = bytes === undefined || quantizer === 'copy' ? bytes : quantizer(bytes, type)
  await line(total)
  await writer.line({ status: 'verifying conversion' })
  const { isNew, ...stored } = made === undefined ? { digest, size: total, isNew: false } : store.put(made)
  const verb = isNew ? 'creating new' : 'using existing'
  const changed = made === bytes ? info : { ...info, 'general.file_type': fileTypeNumber(targets[type] ?? '') }
  const newInfo = (made && infoInFile(made)) ?? changed
  return { mediaType, ...stored, status: `${verb} layer ${stored.digest}`, info: newInfo }
}
