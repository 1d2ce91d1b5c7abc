/**
 * What a model can do, as a server tells it from the model's files (server/images.go in v0.33). What a server's
 * environment changes (OLLAMA_GO_TEMPLATE) is not known here.
 */
import { type GoTemplate, readGoTemplate } from '../artifact/go-template.ts'
import { printable } from '../artifact/text.ts'
import type { Gguf } from '../store/gguf.ts'

export interface CapabilitySources {
  /** Fields of the config blob. */
  readonly config: Readonly<Record<string, unknown>>
  /** Absent for models that are not in GGUF. */
  readonly weights?: Gguf | undefined
  readonly projectors: readonly Gguf[]
  /** Of a layer of its own. */
  readonly template?: string | undefined
}

/** Parsers that servers have built in, and what each adds. */
const parsers: Readonly<Record<string, readonly string[]>> = {
  ...withCapabilities(
    ['qwen3', 'qwen3-coder', 'qwen3-vl-instruct', 'ministral', 'olmo3', 'functiongemma', 'gemma4-no-thinking', 'lfm2'],
    ['tools'],
  ),
  ...withCapabilities(['glm-ocr'], ['tools']),
  ...withCapabilities(['olmo3-think'], ['thinking']),
  ...withCapabilities(
    ['qwen3-thinking', 'qwen3-vl-thinking', 'qwen3.5', 'ornith', 'harmony', 'cogito', 'deepseek3', 'glm-4.7', 'gemma4'],
    ['tools', 'thinking'],
  ),
  ...withCapabilities(
    ['nemotron-3-nano', 'nemotron-3.5-nano', 'lfm2-thinking', 'laguna', 'poolside-v1', 'cohere', 'glimmer'],
    ['tools', 'thinking'],
  ),
}

function withCapabilities(names: readonly string[], list: readonly string[]) {
  return Object.fromEntries(names.map((name) => [name, list]))
}

/** In the server's order. */
export function capabilitiesOf({ config, weights, projectors, template }: CapabilitySources): readonly string[] {
  const word = (key: string) => (typeof config[key] === 'string' ? config[key] : '')
  const [renderer, parser, family] = [word('renderer'), word('parser'), word('model_family')]
  const isGptOss = family === 'gptoss' || family === 'gpt-oss'
  const usesHarmony = isGptOss && template?.includes('<|start|>') === true && template.includes('<|end|>')
  const chatTemplate = weights?.values.get('tokenizer.chat_template')
  const ofChat = typeof chatTemplate === 'string' ? chatCapabilities(chatTemplate) : []
  const go = template === undefined ? undefined : readGoTemplate(template)
  const isRendered = renderer !== '' || parser !== '' || usesHarmony
  // With templates of both kinds, the one of the weights is taken where it can do more.
  const prefersChat =
    !isRendered && typeof chatTemplate === 'string' && go !== undefined && isBetter(chatTemplate, go, template ?? '')
  const usesGo = go !== undefined && !prefersChat
  const { capabilities } = config
  const found = new Set([
    ...(Array.isArray(capabilities) ? capabilities : [])
      .filter((item: unknown) => typeof item === 'string')
      .map((item: string) => printable(item, 80)),
    ...(isRendered || usesGo ? [] : ofChat),
    ...(weights === undefined ? [] : weightsCapabilities(weights)),
    ...(projectors.length > 0 ? ['vision'] : []),
    ...(projectors.some(hearsAudio) ? ['audio'] : []),
    ...(usesGo ? goCapabilities(go) : []),
    ...(Object.hasOwn(parsers, parser) ? (parsers[parser] ?? []) : []),
    ...(isGptOss ? ['thinking'] : []),
  ])
  for (const capability of notServed({ config, renderer, parser, weights })) found.delete(capability)
  return [...found]
}

/** What is in the files, and servers cannot do yet. */
function notServed({
  config,
  renderer,
  parser,
  weights,
}: Pick<CapabilitySources, 'config' | 'weights'> & { readonly renderer: string; readonly parser: string }): string[] {
  const isSafetensors = config['model_format'] === 'safetensors'
  const families = [
    config['model_family'],
    weights?.values.get('general.architecture'),
    config['model_families'],
  ].flat()
  const isOmni = families.includes('nemotron_h_omni')
  const isTextOnly =
    /^gemma4(-small|-large)?$/.test(renderer) || isOmni || [renderer, parser].includes('nemotron-3-nano')
  if (isSafetensors && isTextOnly) return ['vision', 'audio']
  return isOmni || (isSafetensors && renderer === 'glimmer') ? ['audio'] : []
}

function weightsCapabilities({ values }: Gguf): readonly string[] {
  const architecture = values.get('general.architecture')
  const has = (key: string) => typeof architecture === 'string' && values.has(`${architecture}.${key}`)
  return [
    has('pooling_type') ? 'embedding' : 'completion',
    ...(has('vision.block_count') ? ['vision'] : []),
    ...(has('audio.block_count') ? ['audio'] : []),
  ]
}

function hearsAudio({ values }: Gguf): boolean {
  const architecture = values.get('general.architecture')
  const hears = [...values].some(([key, value]) => /(^|\.)has_audio_encoder$/.test(key) && value === true)
  return hears && values.get(`${architecture}.vision.projector_type`) !== 'gemma3nv'
}

/** Of a Jinja template in the weights. */
function chatCapabilities(text: string): readonly string[] {
  const splitsThoughts = /content\.split\((?:'<\/think>'|"<\/think>")\)/.test(text)
  const thinks =
    (text.includes('<think>') && text.includes('</think>')) ||
    (splitsThoughts && !text.includes('reasoning_content') && !text.includes('<SPECIAL_12>'))
  return [...(/tools|tool_call/.test(text) ? ['tools'] : []), ...(thinks ? ['thinking'] : [])]
}

function goCapabilities({ fields, marksThoughts }: GoTemplate): readonly string[] {
  return [
    ...(fields.has('tools') ? ['tools'] : []),
    ...(fields.has('suffix') ? ['insert'] : []),
    ...(marksThoughts ? ['thinking'] : []),
  ]
}

function isBetter(chat: string, go: GoTemplate, text: string): boolean {
  const [ofChat, ofGo] = [chatCapabilities(chat), goCapabilities(go)]
  if (ofChat.length > ofGo.length) return !answersTools(go, text) || chatAnswersTools(chat)
  const isSame = ofChat.length === ofGo.length && ofChat.every((capability) => ofGo.includes(capability))
  return isSame && ofChat.includes('tools') && chatAnswersTools(chat) && !answersTools(go, text)
}

/** Whether what a tool gave can be told to the model. */
function answersTools({ fields }: GoTemplate, text: string): boolean {
  return fields.has('tools') && fields.has('toolcalls') && /eq \.Role "tool"|tool_response|TOOL_RESULTS/.test(text)
}

function chatAnswersTools(chat: string): boolean {
  return (
    /tool_calls|assistant_tool_call/.test(chat) &&
    /tool_response|tool_results|role['"]\] == ['"]tool['"]|message\.role == ['"]tool['"]|ipython/.test(chat)
  )
}
