/**
 * Reads a manifest as a server reads the file that it stored: a streaming decoder takes the first JSON value, and what it has read by
 * then is what the listed digest covers (manifest.go in v0.33).
 */
import { OllamaConfigError } from '../errors.ts'
import { isRecord } from './json-text.ts'
import { assertSpelling, imageType, type Manifest, parseManifest } from './manifest.ts'

export interface StoredManifest {
  readonly manifest: Manifest
  /** Name of the base that the weights were taken over from. */
  readonly parentModel: string | null
  /** The listed digest is the SHA-256 of so many bytes from the beginning. */
  readonly hashedBytes: number
}

/**
 * Buffer of Go's decoder after so many bytes: it begins with 512 and grows to twice its size and 512 more. Everything that is read
 * into it counts, also behind the end of the value.
 */
export function decoderBuffer(neededBytes: number): number {
  let capacity = 512
  while (capacity < neededBytes) capacity = 2 * capacity + 512
  return capacity
}

/** @throws {OllamaConfigError} `registry-error` for what is no manifest, as a file that is only half written */
export function readStoredManifest(bytes: Uint8Array): StoredManifest {
  const end = endOfValue(bytes)
  if (end === undefined) throw incomplete()
  // With its byte order mark, which no JSON has.
  const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes.subarray(0, end))
  // A server reads `{}` as a model without layers.
  const value = parse(text)
  if (isRecord(value)) assertSpelling(value)
  const isEmpty = isRecord(value) && (value['config'] ?? null) === null && (value['layers'] ?? null) === null
  return {
    manifest: isEmpty ? { config: null, layers: [] } : parseManifest(text),
    parentModel: parentIn(value),
    hashedBytes: Math.min(bytes.byteLength, decoderBuffer(end)),
  }
}

/** The index behind the first object; `undefined` when there is none, or only its beginning. */
function endOfValue(bytes: Uint8Array): number | undefined {
  let depth = 0
  let inText = false
  for (let at = 0; at < bytes.byteLength; at++) {
    const byte = bytes[at]
    if (inText) {
      if (byte === backslash) at++
      else if (byte === quote) inText = false
    } else if (byte === quote) inText = true
    else if (byte === openBrace || byte === openBracket) depth++
    else if ((byte === closeBrace || byte === closeBracket) && --depth <= 0) return at + 1
  }
  return undefined
}

const [quote, backslash, openBrace, closeBrace, openBracket, closeBracket] = [0x22, 0x5c, 0x7b, 0x7d, 0x5b, 0x5d]

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw incomplete()
  }
}

/** Of the last layer of weights, as a server reads it. */
function parentIn(value: unknown): string | null {
  const layers = isRecord(value) && Array.isArray(value['layers']) ? value['layers'] : []
  const weights = layers.filter((layer: unknown) => isRecord(layer) && layer['mediaType'] === imageType('model')).at(-1)
  const from: unknown = isRecord(weights) ? weights['from'] : undefined
  return typeof from === 'string' && from !== '' ? from : null
}

function incomplete(): OllamaConfigError {
  return new OllamaConfigError('registry-error', 'The manifest is incomplete')
}
