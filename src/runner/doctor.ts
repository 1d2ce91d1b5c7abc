/** `examine`: what is right and what is wrong with Ollama, this machine and the config. */
import type { LoadedModel } from '../backend/probe.ts'
import type { Finding } from '../doctor/finding.ts'
import type { Gpu } from '../doctor/gpu.ts'
import type { LoadConfigOptions } from './load.ts'

export type { LoadedModel } from '../backend/probe.ts'
export type { Finding, FindingStatus, Subject } from '../doctor/finding.ts'
export type { Gpu } from '../doctor/gpu.ts'

export interface ExamineOptions extends Omit<LoadConfigOptions, 'store' | 'owner' | 'connections'> {
  /** Longest time that the server has to answer, in milliseconds; the config has five times as long to load. Default: 1 000. */
  readonly limitMs?: number | undefined
}

export interface Examination {
  readonly formatVersion: string
  /** Of the server; `null` when what was written is no address. */
  readonly address: string | null
  /** `null` when it does not tell. */
  readonly serverVersion: string | null
  /** Absolute path of the config; `null` when there is none that loads. */
  readonly file: string | null
  /** In a fixed order of subjects. */
  readonly findings: readonly Finding[]
  readonly facts: {
    /** The program `ollama` of this machine. */
    readonly program: string | null
    /** Where the server keeps its models, on its own machine. */
    readonly modelFolder: string | null
    /** Of the disk that it lies on. */
    readonly freeBytes: number | null
    /** Of this machine, where the server is on it. */
    readonly memoryBytes: number | null
    readonly gpus: readonly Gpu[] | null
    /** Models in memory. */
    readonly loaded: readonly LoadedModel[] | null
  }
}

/**
 * Looks at the server that flag, config and environment lead to, at this machine, and at the config. Changes nothing, and asks no
 * registry. Whatever is wrong is a finding.
 *
 * @throws {OllamaConfigError} `invalid-address` for the option `host`, `config-not-found` for `configFile`
 * @throws `options.signal.reason`
 */
export async function examine(options: ExamineOptions = {}): Promise<Examination> {
  options.signal?.throwIfAborted()
  const { examineAll } = await import('./examination.ts')
  return examineAll(options)
}
