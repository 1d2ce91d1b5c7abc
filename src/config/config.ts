/** What users write in `ollama.config.ts`. The types are written by hand so that editors show these texts. */

/** The models of an Ollama host, declared. */
export interface Config {
  /**
   * The models that the host shall have. A name alone is the same as `{ name }`; a name without a tag means `:latest`.
   *
   * @example models: ['all-minilm', { name: 'registry.corp:5000/team/base:1', insecure: true }]
   */
  readonly models: readonly (string | ModelDeclaration)[]
  /**
   * Address of the Ollama server, in any form that `OLLAMA_HOST` takes, or `unix:///path/to.sock`.
   * Default: `OLLAMA_HOST`, else `http://127.0.0.1:11434`. The flag `--host` wins over it.
   */
  readonly host?: string | undefined
  /**
   * Headers for every request to the server, as a reverse proxy may ask for. Take secrets from the environment:
   * `{ Authorization: { env: 'OLLAMA_AUTHORIZATION' } }` sends the value of that variable. They are never printed.
   */
  readonly headers?: Readonly<Record<string, string | HeaderFromEnvironment>> | undefined
  /**
   * Which installed models may be deleted: `'undeclared'` (default) those that are not in the config, `'managed'` of those only
   * what an earlier apply of this config brought in and no other config of this user declares, `false` none.
   * Nothing is ever deleted without `--prune` or a question answered with yes.
   */
  readonly prune?: 'undeclared' | 'managed' | false | undefined
  /**
   * Models that are never deleted. `*` stands for a run of characters within one part, never for `/` or `:`;
   * a pattern without a tag covers every tag.
   *
   * @example keep: ['llava', 'qwen3:*', 'user/my-*']
   */
  readonly keep?: readonly string[] | undefined
}

/** One model to pull. */
export interface ModelDeclaration {
  /** Such as `qwen3:8b`, `user/model:tag`, `hf.co/user/repo:Q4_K_M` or `registry.corp:5000/team/base:1`. */
  readonly name: string
  /** Let the server fetch it over plain http, as from a registry without TLS. Default: false. */
  readonly insecure?: boolean | undefined
}

/** A header value that comes from an environment variable when the request is made. */
export interface HeaderFromEnvironment {
  readonly env: string
}

/** What a config written as a function is given. */
export interface ConfigContext {
  readonly env: Readonly<Record<string, string | undefined>>
  /** Address of the server as far as flags and environment tell, without user info. */
  readonly host: string
  /** Absolute path of the working directory. */
  readonly cwd: string
}

/** A config that looks at where it runs. */
export type ConfigFunction = (context: ConfigContext) => Config | Promise<Config>

/**
 * Gives `ollama.config.ts` its types and editor completion; returns its argument.
 *
 * @example export default defineConfig({ models: ['all-minilm', 'qwen3:8b'] })
 */
export function defineConfig(config: ConfigFunction): ConfigFunction
// Last, since it is of the last that TypeScript tells what did not fit.
export function defineConfig(config: Config): Config
export function defineConfig(config: Config | ConfigFunction): Config | ConfigFunction {
  return config
}
