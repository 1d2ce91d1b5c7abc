/** Asks a server for all that it tells of itself at once: each answer, or why there is none, stands by itself. */
import { isRecord } from '../artifact/json-text.ts'
import { type ErrorData, toErrorData } from '../errors.ts'
import { readText } from '../runtime/body.ts'
import { answerError, readFailed } from './answer-errors.ts'
import { type CallContext, toHostError } from './errors.ts'
import { connectHost, type HostBackendOptions, placeOf } from './http.ts'
import { type Listing, maxJsonBytes, nonEmpty, parseJson, readListing } from './responses.ts'
import { hideSecrets, secretsOf, withoutSecrets } from './secrets.ts'

export type Answer<T> = { readonly value: T } | { readonly error: ErrorData }

export interface LoadedModel {
  readonly name: string
  readonly sizeBytes: number
  /** Of it, what lies in the memory of a GPU. */
  readonly vramBytes: number
}

export interface CloudState {
  readonly enabled: boolean
  /** Who switched it off: `env`, `config`, `both`; else `none`. */
  readonly source: string
}

export interface ServerAnswers {
  readonly version: Answer<string>
  readonly listing: Answer<Listing>
  readonly loaded: Answer<readonly LoadedModel[]>
  /** Servers that know of no cloud do not tell. */
  readonly cloud: Answer<CloudState>
}

export interface ProbeOptions extends HostBackendOptions {
  /** Longest time for all of it, in milliseconds. */
  readonly limitMs: number
  readonly signal?: AbortSignal | undefined
}

type Read<T> = (text: string, context: CallContext) => T

/** @throws `signal.reason`, and nothing else */
export async function probeServer(options: ProbeOptions): Promise<ServerAnswers> {
  const { address, headers, limitMs, signal } = options
  const http = connectHost(options)
  const secrets = secretsOf(address.headers, headers)
  const ask = async <T>(path: string, read: Read<T>): Promise<Answer<T>> => {
    const context: CallContext = { ...placeOf(address), method: 'GET', path, serverVersion: null }
    try {
      const response = await http.send({ path, signal, totalMs: limitMs })
      if (response.status === 200) return { value: read(await readText(response, maxJsonBytes), context) }
      throw answerError(await readFailed(response), context)
    } catch (error) {
      signal?.throwIfAborted()
      return { error: toErrorData(withoutSecrets(toHostError(error, context), secrets)) }
    }
  }
  const [version, listing, loaded, cloud] = await Promise.all([
    ask('/api/version', (text, context) => hideSecrets(readVersionOf(text, context), secrets)),
    ask('/api/tags', readListing),
    ask('/api/ps', readLoaded),
    ask('/api/status', readCloud),
  ])
  return { version, listing, loaded, cloud }
}

function readVersionOf(text: string, context: CallContext): string {
  return nonEmpty(parseJson(text, context)['version'], 80) ?? 'unknown'
}

function readLoaded(text: string, context: CallContext): readonly LoadedModel[] {
  const { models } = parseJson(text, context)
  if (!Array.isArray(models)) return []
  return models.flatMap((model: unknown) => {
    const name = isRecord(model) ? nonEmpty(model['name'], 200) : null
    if (!isRecord(model) || name === null) return []
    return [{ name, sizeBytes: bytesOf(model['size']), vramBytes: bytesOf(model['size_vram']) }]
  })
}

/** Left out while it is 0. */
function bytesOf(value: unknown): number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0 ? value : 0
}

function readCloud(text: string, context: CallContext): CloudState {
  const { cloud } = parseJson(text, context)
  const { disabled, source } = isRecord(cloud) ? cloud : {}
  return { enabled: disabled !== true, source: nonEmpty(source, 20) ?? 'none' }
}
