/** What the weights say of a model, whatever its config says: architecture, number of parameters, kind of numbers. */
import type { Content } from './content.ts'
import { GgufError, readGguf } from './gguf.ts'
import { type Extras, type ImageConfig, readConfig } from './store.ts'

export type ModelInfo = Record<string, unknown>

/** What a config says of one file of weights. */
export interface Facts {
  family: string
  families: string[]
  modelType: string
  fileType: string
}

const fileTypes =
  'F32 F16 Q4_0 Q4_1 - - - Q8_0 Q5_0 Q5_1 Q2_K Q3_K_S Q3_K_M Q3_K_L Q4_K_S Q4_K_M Q5_K_S Q5_K_M Q6_K IQ2_XXS IQ2_XS Q2_K_S IQ3_XS IQ3_XXS IQ1_S IQ4_NL IQ3_S IQ3_M IQ2_S IQ2_M IQ4_XS IQ1_M BF16 - - - TQ1_0 TQ2_0 MXFP4_MOE NVFP4 Q1_0'.split(
    ' ',
  )

/** Of the number in `general.file_type`. Zero counts as not given, so that no model is ever called F32. */
export function fileTypeName(number: number): string {
  const name = number === 0 ? undefined : fileTypes[number]
  return name === undefined || name === '-' ? 'unknown' : name
}

export function fileTypeNumber(name: string): number | undefined {
  const number = fileTypes.indexOf(name)
  return number < 0 || name === '-' ? undefined : number
}

/** What the weights do not say is taken from the config that came with them. */
export function factsOf(info: ModelInfo, config: ImageConfig): Facts {
  const { 'general.architecture': family, 'general.parameter_count': count, 'general.file_type': fileType } = info
  const isKnown = typeof family === 'string' && family !== ''
  return {
    family: isKnown ? family : (config.model_family ?? 'unknown'),
    families: isKnown ? [family] : (config.model_families ?? []),
    modelType: typeof count === 'number' ? humanNumber(count) : (config.model_type ?? '0'),
    fileType: typeof fileType === 'number' ? fileTypeName(fileType) : (config.file_type ?? 'unknown'),
  }
}

/** What `/api/show` tells: what a test said, else what is in the file, else something that fits the config. */
export function modelInfoOf({ content, extras }: { content: Content; extras: Extras }): ModelInfo {
  if (extras.modelInfo !== undefined) return extras.modelInfo as ModelInfo
  const weights = content.layers.find((layer) => layer.mediaType.endsWith('.image.model'))
  const bytes = weights === undefined ? undefined : content.blobs.get(weights.digest)?.bytes
  return (bytes && infoInFile(bytes)) ?? madeUpInfo(readConfig(content), extras)
}

/** Undefined for bytes that only stand for weights. */
export function infoInFile(bytes: Uint8Array): ModelInfo | undefined {
  try {
    return shownValues(readGguf(bytes).values)
  } catch (error) {
    if (error instanceof GgufError) return undefined
    throw error
  }
}

/** Sorted, and without what has a place of its own in the answer. */
export function shownValues(values: ModelInfo): ModelInfo {
  const { 'general.name': name, 'tokenizer.chat_template': template, ...rest } = values
  return Object.fromEntries(Object.entries(rest).sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** A model of about a billion parameters in shape, so that its memory can be estimated. */
function madeUpInfo(config: ImageConfig, { details }: Extras): ModelInfo {
  const { model_family: family = '', model_type = '', file_type = '' } = config
  const count = countOf(model_type)
  const number = fileTypeNumber(file_type)
  const { context_length, embedding_length } = { ...config, ...details } as ImageConfig
  if (family === '') return { 'general.architecture': '' }
  return shownValues({
    'general.architecture': family,
    ...(number === undefined ? {} : { 'general.file_type': number }),
    ...(count === undefined ? {} : { 'general.parameter_count': count }),
    [`${family}.attention.head_count`]: 32,
    [`${family}.attention.head_count_kv`]: 8,
    [`${family}.attention.key_length`]: 64,
    [`${family}.attention.value_length`]: 64,
    [`${family}.block_count`]: 16,
    [`${family}.context_length`]: context_length ?? 131072,
    [`${family}.embedding_length`]: embedding_length ?? 2048,
    [`${family}.feed_forward_length`]: 8192,
  })
}

const units = { K: 1e3, M: 1e6, B: 1e9 } as const

function countOf(text: string): number | undefined {
  const found = /^(\d+(?:\.\d+)?)([KMB]?)$/.exec(text)
  return found === null
    ? undefined
    : Math.round(Number(found[1]) * units[(found[2] || 'K') as 'K'] * (found[2] ? 1 : 1e-3))
}

export function humanNumber(count: number): string {
  if (count >= units.B) return inUnit(count / units.B, 1, 'B')
  if (count >= units.M) return inUnit(count / units.M, 2, 'M')
  return count >= units.K ? `${goFixed(count / units.K, 0)}K` : String(count)
}

function inUnit(number: number, digits: number, unit: string): string {
  return `${Number.isInteger(number) ? number : goFixed(number, digits)}${unit}`
}

/** Go rounds halves to the even digit, `toFixed` up. */
function goFixed(number: number, digits: number): string {
  const exact = number.toFixed(60)
  const end = exact.indexOf('.') + 1 + digits
  const down = exact.slice(0, end).replace(/\.$/, '')
  const isHalf = /^50*$/.test(exact.slice(end))
  return isHalf && Number(down.at(-1)) % 2 === 0 ? down : number.toFixed(digits)
}
