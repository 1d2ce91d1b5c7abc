/** How much memory a model takes, with the arithmetic shown. Pure. */
import type { ShownModel } from '../../src/plugin.ts'

/** Ollama's own on machines with less than 23 GiB of graphics memory; with more it takes longer ones. */
const defaultTokens = 4096

export interface Cache {
  readonly bytesPerToken: number
  readonly tokens: number
  /** As in `36 layers × 4096 tokens × 2 × 8 KV heads × 128 × 2 bytes`. */
  readonly terms: string
}

export interface CacheOptions {
  /** Context length that is declared; it goes before that of the model. */
  readonly tokens?: number | undefined
  readonly bytesPerElement: number
}

/**
 * The KV cache, by the keys of the GGUF; `null` when they do not tell. It is the most that the model takes: layers with a sliding
 * window, and heads that share a compressed cache, take less.
 */
export function cacheOf(
  { modelInfo, capabilities, parameters }: ShownModel,
  { tokens, bytesPerElement }: CacheOptions,
): Cache | null {
  const read = (key: string) => numbers(modelInfo[`${String(modelInfo['general.architecture'])}.${key}`])
  const [context] = read('context_length') ?? []
  const [wanted = defaultTokens] = numbers(tokens) ?? numbers(parameters['num_ctx']) ?? []
  // The server takes no more than the model was trained for.
  const length = Math.min(wanted, context ?? wanted)
  // An encoder keeps nothing between tokens.
  if (capabilities.includes('embedding') && !capabilities.includes('completion'))
    return { bytesPerToken: 0, tokens: length, terms: 'none is kept' }
  const [layers] = read('block_count') ?? []
  const [heads] = read('attention.head_count') ?? []
  const [width] = read('embedding_length') ?? []
  const perHead = width === undefined || heads === undefined ? undefined : width / heads
  const [key = perHead] = read('attention.key_length') ?? []
  const [value = perHead] = read('attention.value_length') ?? []
  // One for each layer where it is a list, which the server leaves out when it is longer than 5: then as many as can be.
  const kvHeads = read('attention.head_count_kv')
  const perLayer = kvHeads ?? (heads === undefined ? undefined : [heads])
  if (layers === undefined || perLayer === undefined || key === undefined || value === undefined) return null
  const [first = 0] = perLayer
  const total = perLayer.length === 1 ? layers * first : perLayer.reduce((sum, count) => sum + count, 0)
  const terms = [
    ...(perLayer.length === 1 ? [`${layers} layers`] : []),
    `${length} tokens`,
    ...(key === value ? ['2'] : []),
    `${perLayer.length === 1 ? first : total} ${kvHeads === undefined ? 'heads' : 'KV heads'}`,
    key === value ? `${key}` : `(${key} + ${value})`,
    `${bytesPerElement} bytes`,
  ]
  return { bytesPerToken: total * (key + value) * bytesPerElement, tokens: length, terms: terms.join(' × ') }
}

/** A number as a list of one; `undefined` for what is neither. */
function numbers(value: unknown): readonly number[] | undefined {
  const list: readonly unknown[] = Array.isArray(value) ? value : [value]
  const found = list.filter((item) => typeof item === 'number')
  return found.length === 0 || found.length < list.length ? undefined : found
}

const units: Readonly<Record<string, number>> = { '': 1, K: 1e3, M: 1e6, G: 1e9, T: 1e12 }
const binary: Readonly<Record<string, number>> = { K: 1024, M: 1024 ** 2, G: 1024 ** 3, T: 1024 ** 4 }

/** `24 GB`, `512 MB`, `16 GiB`, or a number of bytes; `null` for anything else. */
export function toBytes(size: unknown): number | null {
  if (typeof size === 'number') return size > 0 && Number.isFinite(size) ? size : null
  const [, digits, unit = '', i] = /^(\d+(?:\.\d+)?)\s*([KMGT]?)(i?)B$/i.exec(String(size).trim()) ?? []
  const factor = (i === '' ? units : binary)[unit.toUpperCase()]
  return digits === undefined || factor === undefined || Number(digits) === 0 ? null : Number(digits) * factor
}

/** Decimal, as registries count: `5.2 GB`, `45 MB`. */
export function gigabytes(bytes: number): string {
  if (bytes < 1e9) return `${Math.round(bytes / 1e6)} MB`
  return `${(bytes / 1e9).toFixed(1).replace('.0', '')} GB`
}
