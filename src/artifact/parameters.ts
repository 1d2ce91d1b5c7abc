/** The parameters that Ollama knows (api/types.go in v0.33). The server checks neither names nor types, so that this is the only check. */

export type ParameterKind = 'integer' | 'number' | 'boolean' | 'texts'

export const parameterKinds: Readonly<Record<string, ParameterKind>> = {
  num_ctx: 'integer',
  num_batch: 'integer',
  num_gpu: 'integer',
  main_gpu: 'integer',
  use_mmap: 'boolean',
  num_thread: 'integer',
  draft_num_predict: 'integer',
  num_keep: 'integer',
  seed: 'integer',
  num_predict: 'integer',
  top_k: 'integer',
  top_p: 'number',
  min_p: 'number',
  typical_p: 'number',
  repeat_last_n: 'integer',
  temperature: 'number',
  repeat_penalty: 'number',
  presence_penalty: 'number',
  frequency_penalty: 'number',
  stop: 'texts',
}

/** Known once, and dropped by Ollama's own command line. */
export const retiredParameters: ReadonlySet<string> = new Set([
  'penalize_newline',
  'low_vram',
  'f16_kv',
  'logits_all',
  'vocab_only',
  'use_mlock',
  'mirostat',
  'mirostat_tau',
  'mirostat_eta',
])

/** A value as the server stores it. */
export type Parameter = string | number | boolean | readonly (string | number | boolean)[]
export type Parameters = Readonly<Record<string, Parameter>>
