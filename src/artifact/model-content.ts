/** Reads the small blobs of a model, and what is told of its weights, as far as a build takes them over. Pure. */
import type { ConfigFields, ModelContent } from './derived.ts'
import { isRecord, readJsonText } from './json-text.ts'
import type { Layer } from './manifest.ts'
import type { Weights } from './weights.ts'

/** `undefined` for what is no JSON object, or too deep to be walked. */
export function readJsonRecord(text: string | null | undefined): Readonly<Record<string, unknown>> | undefined {
  const value = text === null || text === undefined ? undefined : readJsonText(text)
  return isRecord(value) ? value : undefined
}

/** Of the text of a config blob. */
function readConfigFields(text: string | null | undefined): ConfigFields | undefined {
  const config = readJsonRecord(text)
  if (config === undefined) return undefined
  const field = (key: string) => (typeof config[key] === 'string' && config[key] !== '' ? config[key] : null)
  const { capabilities } = config
  return {
    modelFormat: field('model_format') ?? '',
    renderer: field('renderer'),
    parser: field('parser'),
    requires: field('requires'),
    capabilities: Array.isArray(capabilities) ? capabilities.filter((item) => typeof item === 'string') : [],
  }
}

/** @param info Keys of the GGUF, as `/api/show` gives them */
function readWeights(info: Readonly<Record<string, unknown>>): Weights {
  const architecture = info['general.architecture']
  return {
    architecture: typeof architecture === 'string' ? architecture : '',
    parameterCount: numberAt(info, 'general.parameter_count') ?? Number.NaN,
    fileType: numberAt(info, 'general.file_type') ?? 0,
  }
}

/** Weights that were 8-bit floats once, and are larger now: a server quantizes them at every build (`hasSourceFP8Tensors`). */
function isQuantizedAnew(info: Readonly<Record<string, unknown>>): boolean {
  const architecture = info['general.architecture']
  return typeof architecture === 'string' && info[`${architecture}.source_quantization`] === 'hf_fp8'
}

/** Nothing is turned into a number that is none: of some objects that fails. */
function numberAt(info: Readonly<Record<string, unknown>>, key: string): number | undefined {
  const value = info[key]
  return typeof value === 'number' ? value : undefined
}

/** What a model's parts say together. */
export interface ContentTexts {
  readonly layers: readonly Layer[]
  /** Of its config blob; `null` like absent ones: it cannot be had. */
  readonly config: string | null | undefined
  /** Of its params layers, in order. */
  readonly params: readonly (string | null | undefined)[]
  /** Keys of its GGUF, as `/api/show` gives them. */
  readonly info: Readonly<Record<string, unknown>>
}

/** `undefined` when a part cannot be had, is none that a server would read, or is not taken over as it is. */
export function readContent({ layers, config, params, info }: ContentTexts): ModelContent | undefined {
  if (isQuantizedAnew(info)) return undefined
  const fields = readConfigFields(config)
  const records = params.map(readJsonRecord).filter((record) => record !== undefined)
  if (fields === undefined || records.length < params.length) return undefined
  return {
    layers,
    config: fields,
    // Of two, a server asks the first one first.
    parameters: params.length === 0 ? null : Object.fromEntries(records.toReversed().flatMap(Object.entries)),
    weights: readWeights(info),
  }
}
