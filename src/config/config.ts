/**
 * What users write in `ollama.config.ts`. The types are written by hand so that editors show these texts; `docs/config.md` and the JSON
 * Schema are made of them too (`npm run docs`).
 */
import type { Plugin } from '../plugin.ts'

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
  /** What goes for models that do not say it themselves. */
  readonly defaults?: Defaults | undefined
  /**
   * Plugins, in the order in which they are asked: each declares, reviews or probes models. They are code and run as you.
   *
   * @example plugins: [smokeTest({ models: ['qwen3:8b'], prompt: 'Say ok', expect: /ok/i })]
   */
  readonly plugins?: readonly Plugin[] | undefined
  /**
   * A folder, relative to the config's, whose plugins `ollama-config plugins`, `doctor` and the model manager know too, and run: `*.plugin.ts`
   * and `NAME/index.ts` in it. Plan and apply use only `plugins`. Default: none.
   */
  readonly discover?: string | undefined
  /** For `ollama.config.json`: where editors find the JSON Schema. Nothing else reads it. */
  readonly $schema?: string | undefined
}

/** What goes for models that do not say it themselves. */
export interface Defaults {
  /** Merged under the parameters of each model that is built from another or from files. */
  readonly parameters?: ModelParameters | undefined
  /** How long models that `apply --preload` loads stay in memory where they do not say it. Default: the server's, `OLLAMA_KEEP_ALIVE`. */
  readonly keepAlive?: string | number | undefined
}

/**
 * One model. Where it comes from is said by at most one of `from`, `gguf`, `aliasOf` and `modelfile`; with none of them it is
 * pulled. Fields that say how it is built go with `from` and `gguf` only.
 */
export interface ModelDeclaration {
  /** Such as `qwen3:8b`, `user/model:tag`, `hf.co/user/repo:Q4_K_M` or `registry.corp:5000/team/base:1`. */
  readonly name: string
  /** Let the server fetch it over plain http, as from a registry without TLS. Only for models that are pulled. Default: false. */
  readonly insecure?: boolean | undefined
  /**
   * How long it stays in memory when `apply --preload` has loaded it: a time such as `'10m'`, or seconds; -1: for ever, 0: it is not loaded.
   * Where models have this key only they are loaded, else all. Default: `defaults.keepAlive`.
   */
  readonly keepAlive?: string | number | undefined
  /**
   * Build it from this model, which may be another one of the config. One that is not declared is pulled.
   *
   * @example { name: 'reviewer', from: 'qwen3:8b', system: 'You review diffs.', parameters: { num_ctx: 16384 } }
   */
  readonly from?: string | undefined
  /** Build it from GGUF files: weights, and perhaps a projector, or the parts of a split file. Relative to the config's folder. */
  readonly gguf?: string | readonly string[] | undefined
  /** A second name of this model, which may be another one of the config. One that is not declared is pulled. */
  readonly aliasOf?: string | undefined
  /** Build it from a Modelfile, read as `ollama create -f` reads it. Relative to the config's folder. */
  readonly modelfile?: string | undefined
  /** The system prompt. That of the base cannot be taken away, only replaced. */
  readonly system?: string | undefined
  /** The prompt template, in the syntax of Go's `text/template`. */
  readonly template?: string | undefined
  /** The beginning of every conversation. */
  readonly messages?: readonly Message[] | undefined
  /** Licence texts, added to those of the base. */
  readonly license?: string | readonly string[] | undefined
  /** LoRA adapters: GGUF files, relative to the config's folder. The server takes one. */
  readonly adapters?: string | readonly string[] | undefined
  /** Name of a renderer that is built into Ollama, instead of a template. */
  readonly renderer?: string | undefined
  /** Name of a parser that is built into Ollama. */
  readonly parser?: string | undefined
  /** The oldest version of Ollama that can run it, such as `0.14.0`. */
  readonly requires?: string | undefined
  /** Quantize the weights, which must be F16, BF16 or F32. */
  readonly quantize?: Quantization | undefined
  /** Merged over `defaults.parameters`, and by the server over those of the base. */
  readonly parameters?: ModelParameters | undefined
  /**
   * Pass on parameters that this version does not know; the server checks none. Default: false, so that slips of the pen are found. The
   * spread is for TypeScript, which knows only the names of this version; JSON needs none.
   *
   * @example { name: 'a', from: 'b', allowUnknownParameters: true, parameters: { num_ctx: 8192, ...{ brand_new: 1 } } }
   */
  readonly allowUnknownParameters?: boolean | undefined
}

export type Quantization = 'F32' | 'F16' | 'BF16' | 'Q8_0' | 'Q4_K_M' | 'Q4_K_S'

/** One message of a conversation. */
export interface Message {
  /** Who says it. */
  readonly role: 'system' | 'user' | 'assistant' | 'tool'
  /** What is said. */
  readonly content: string
  /** What a thinking model thought before. */
  readonly thinking?: string | undefined
  /** Pictures that go with it, in Base64. */
  readonly images?: readonly string[] | undefined
  /** Tools that the assistant calls. */
  readonly tool_calls?: readonly ToolCall[] | undefined
  /** In a message of the role `tool`: the tool that it comes from. */
  readonly tool_name?: string | undefined
  /** In a message of the role `tool`: the call that it answers. */
  readonly tool_call_id?: string | undefined
}

/** A call of a tool, in a message of the role `assistant`. */
export interface ToolCall {
  /** Its name, and what it is given. */
  readonly function: { readonly name: string; readonly arguments: Readonly<Record<string, unknown>> }
}

/** Parameters of a model, by Ollama's own names. */
export interface ModelParameters {
  /** Context length in tokens. */
  readonly num_ctx?: number | undefined
  /** Longest answer in tokens; -1: no limit. */
  readonly num_predict?: number | undefined
  /** Tokens of the beginning that stay when the context is full. */
  readonly num_keep?: number | undefined
  /** Tokens of the prompt that are worked on at once. */
  readonly num_batch?: number | undefined
  /** Layers that go to the GPU. */
  readonly num_gpu?: number | undefined
  /** The GPU for what is not split over several. */
  readonly main_gpu?: number | undefined
  /** Threads of the CPU. Default: what Ollama finds best. */
  readonly num_thread?: number | undefined
  /** Tokens that a draft model proposes at once. */
  readonly draft_num_predict?: number | undefined
  /** Map the weights into memory instead of reading them. */
  readonly use_mmap?: boolean | undefined
  /** Of the random numbers: the same seed and prompt give the same answer. */
  readonly seed?: number | undefined
  /** Higher is more creative; 0 takes the likeliest token each time. */
  readonly temperature?: number | undefined
  /** Choose among so many of the likeliest tokens. */
  readonly top_k?: number | undefined
  /** Choose among the likeliest tokens that together have this probability. */
  readonly top_p?: number | undefined
  /** Leave out tokens less likely than this part of the likeliest one. */
  readonly min_p?: number | undefined
  /** Prefer tokens about as likely as expected; 1: off. */
  readonly typical_p?: number | undefined
  /** How many tokens back repetitions are looked for; 0: none, -1: the whole context. */
  readonly repeat_last_n?: number | undefined
  /** How strongly repetitions are avoided; 1: not at all. */
  readonly repeat_penalty?: number | undefined
  /** Against tokens that were there at all; 0: off. */
  readonly presence_penalty?: number | undefined
  /** Against tokens, the more often they were there; 0: off. */
  readonly frequency_penalty?: number | undefined
  /** The answer ends where one of these begins. Replaces those of the base. */
  readonly stop?: readonly string[] | undefined
}

/** A header value that comes from an environment variable when the request is made. */
export interface HeaderFromEnvironment {
  /** Name of the variable. */
  readonly env: string
}

/** What a config written as a function is given. */
export interface ConfigContext {
  /** Variables of the environment. */
  readonly env: Readonly<Record<string, string | undefined>>
  /** Address of the server as far as flags and environment tell, without user info; path of the store with `--store`. */
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
