/** `verifyModels`: reads every byte of the models, and fetches again what is damaged. */
import type { Config } from '../config/config.ts'
import type { ErrorData } from '../errors.ts'
import type { Leftover } from '../store/collect.ts'
import type { BlobProblem } from '../store/verify.ts'
import type { KnownConfig, LoadedConfig, ReadyOptions } from './connection.ts'
import { knownOf } from './known.ts'

export type { BlobProblem } from '../store/verify.ts'

export interface VerifyModelsOptions extends ReadyOptions {
  /** Only these. Default: all that are declared. */
  readonly models?: readonly string[] | undefined
  /** Also models that are installed and not declared. Default: false. */
  readonly all?: boolean | undefined
  /** Bring back what is damaged. Default: false. */
  readonly repair?: boolean | undefined
  /** Called often while bytes are read, and while damaged blobs are fetched. */
  readonly onProgress?: ((progress: VerifyProgress) => void) | undefined
  /** Called once when another process of ours works there, with words for it: a repair waits for it. */
  readonly onBusy?: ((holder: string) => void) | undefined
}

export interface VerifyProgress {
  readonly phase: 'reading' | 'fetching'
  readonly completedBytes: number
  readonly totalBytes: number
}

export interface Verification {
  readonly formatVersion: string
  /** Of the server, or the folder again. */
  readonly address: string
  /** Where the files are. */
  readonly folder: string
  /** Sorted by reference. */
  readonly models: readonly VerifiedModel[]
  /** What `collectLeftovers` is for. Sorted by path. */
  readonly leftovers: readonly Leftover[]
}

export interface VerifiedModel {
  readonly reference: string
  /** `missing`: declared, and not there. */
  readonly status: 'sound' | 'repaired' | 'damaged' | 'missing'
  /** Whether the config has it, or something that starts from it. */
  readonly declared: boolean
  /** `null` when it is missing, or its manifest cannot be read. */
  readonly digest: string | null
  readonly sizeBytes: number | null
  readonly damage: readonly DamagedPart[]
}

export interface DamagedPart {
  /** `weights`, `template`, `manifest` and so on; `model` for all of it together. */
  readonly what: string
  /** Of a blob; `null` for what is none. */
  readonly digest: string | null
  /** `no-model`: its files are what their digests say, and nothing that a server can load. */
  readonly problem: BlobProblem | 'no-model'
  /** What was found instead, for people; empty where the problem says it all. */
  readonly found: string
  readonly repaired: boolean
  /** Why it was not repaired, of what is no blob why it cannot be; `null` also when that was not asked for. */
  readonly error: ErrorData | null
}

/** Whether nothing is wrong, or not any more. */
export function isSound({ models }: Verification): boolean {
  return models.every(({ status }) => status === 'sound' || status === 'repaired')
}

/**
 * Reads the files of the models, in a store or of a server on this machine. With `repair` damaged blobs are fetched again from the
 * registry of a model that names them, or made again from what the config declares; nothing else is changed.
 *
 * @throws {OllamaConfigError} `usage` for a model that is not declared, with `all` not installed, and where the files of a server cannot
 * be read here; `store-unreadable`, `store-unsupported`, `store-busy`, `file-not-written`, and what the host answers
 */
export async function verifyModels(
  config: LoadedConfig | KnownConfig | Config,
  options: VerifyModelsOptions = {},
): Promise<Verification> {
  options.signal?.throwIfAborted()
  const known = await knownOf(config, options)
  const { verifyFiles } = await import('./verification.ts')
  return verifyFiles(known, options)
}
