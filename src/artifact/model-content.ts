/** Reads the small blobs of a model, and what is told of its weights, as far as a build takes them over. Pure. */
import type { ConfigFields } from './derived.ts'
import type { Weights } from './weights.ts'

/** `undefined` for what is no JSON object. */
export function readJsonRecord(text: string | null | undefined): Readonly<Record<string, unknown>> | undefined {
  if (text === null || text === undefined) return undefined
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined
  } catch {
    return undefined
  }
}

/** Of the text of a config blob. */
export function readConfigFields(text: string | null | undefined): ConfigFields | undefined {
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
export function readWeights(info: Readonly<Record<string, unknown>>): Weights {
  const architecture = info['general.architecture']
  return {
    architecture: typeof architecture === 'string' ? architecture : '',
    parameterCount: Number(info['general.parameter_count'] ?? Number.NaN),
    fileType: Number(info['general.file_type'] ?? 0),
  }
}
