/** What is known of a machine, its Ollama server and its config, as plain data: the checks read nothing else. Types only. */
import type { CloudState, LoadedModel, ServerAnswers } from '../backend/probe.ts'
import type { Diagnostic, ErrorData } from '../errors.ts'
import type { InstalledModel } from '../plan/state.ts'
import type { Gpu } from './gpu.ts'
import type { ModelFolder } from './model-folder.ts'
import type { ServerEnvironment } from './server-environment.ts'

export type { CloudState, LoadedModel, ServerAnswers }

export interface Facts {
  /** As `process.platform`. */
  readonly platform: string
  readonly server: ServerFacts
  /** The program `ollama` on this machine; `null` where it is not found. */
  readonly program: string | null
  /** What brings a newer version of it. */
  readonly upgrade: string
  /** Proxies of this process's environment, without user info. */
  readonly proxies: Proxies
  readonly environment: ServerEnvironment
  readonly folder: ModelFolder
  /** `null` when unknown, as of another machine. */
  readonly memoryBytes: number | null
  /** `null` when unknown. */
  readonly gpus: readonly Gpu[] | null
  readonly config: ConfigFacts
}

export interface ServerFacts {
  /** `null` when what was written is no address: `error` says why. */
  readonly address: string | null
  /** In words: who named it. */
  readonly source: string
  readonly loopback: boolean
  /** What was read otherwise than it was written. */
  readonly warning: string | null
  /** `null` when it was not asked. */
  readonly answers: ServerAnswers | null
  readonly error: ErrorData | null
}

/** What requests to a registry would go through; `null` where they go straight. */
export interface Proxies {
  readonly https: string | null
}

export interface ConfigFacts {
  /** `null` when there is none. */
  readonly file: string | null
  /** Why it is not loaded. */
  readonly error: (ErrorData & { readonly diagnostics?: readonly Diagnostic[] }) | null
  /** Shortest spelling. */
  readonly models: readonly DeclaredModel[]
  readonly plugins: readonly string[]
  /** Files of `discover` that are no plugin. */
  readonly pluginProblems: readonly Diagnostic[]
  readonly lock: LockFacts
  readonly record: RecordFacts
}

export interface DeclaredModel {
  readonly reference: string
  readonly cloud: boolean
  /** It has no entry of its own in a lock file. */
  readonly alias: boolean
}

export interface LockFacts {
  readonly error: ErrorData | null
  /** Digest of each locked model that is pulled, by reference; of one that is built `null`. `null` when there is no file. */
  readonly models: ReadonlyMap<string, string | null> | null
}

export interface RecordFacts {
  readonly error: ErrorData | null
  /** What the last apply of this config left, by reference. `null` when there is none. */
  readonly models: ReadonlyMap<string, string> | null
}

/** What the server lists; `undefined` when it does not tell. */
export function installedIn({ server }: Facts): readonly InstalledModel[] | undefined {
  const listing = server.answers?.listing
  return listing !== undefined && 'value' in listing ? listing.value.models : undefined
}

/** As the server says it; `null` when it does not. */
export function versionOf({ answers }: ServerFacts): string | null {
  return answers !== null && 'value' in answers.version ? answers.version.value : null
}
