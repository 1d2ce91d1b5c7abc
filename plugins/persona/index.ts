/** Declares models with a character: a base, and a system prompt put together from a few traits. */
import * as v from 'valibot'
import type { ModelDeclaration, ModelParameters } from '../../src/index.ts'
import { definePlugin, type PluginFactory } from '../../src/plugin.ts'

export interface Persona {
  /** Name of the new model. */
  readonly name: string
  /** The model it is built from. */
  readonly from: string
  /** Who it is, to go after "You are". Needed where there is no `system`. */
  readonly role?: string | undefined
  /** How it speaks, such as `friendly and brief`. */
  readonly tone?: string | undefined
  /** What it keeps to, one sentence each. */
  readonly rules?: readonly string[] | undefined
  /** The whole system prompt; the traits above then only describe it to readers. */
  readonly system?: string | undefined
  readonly parameters?: ModelParameters | undefined
  /** Pass on parameters that this version does not know. Default: false. */
  readonly allowUnknownParameters?: boolean | undefined
  /** The prompt template, in the syntax of Go's `text/template`. Default: that of the base. */
  readonly template?: string | undefined
}

/** What is wrong, in our words: keys that are unknown or missing are told by valibot in the same way as wrong values. */
const say =
  (wanted: string) =>
  ({ expected, received }: { expected: string | null; received: string }): string =>
    expected === 'never'
      ? `Key ${received} is not known: expected ${wanted}`
      : `Expected ${wanted}, found ${received === 'undefined' ? 'nothing' : received}`

const text = (wanted: string) => v.pipe(v.string(say(wanted)), v.nonEmpty(`Expected ${wanted}, found ""`))

const personaSchema = v.pipe(
  v.strictObject(
    {
      name: text('the name of the new model'),
      from: text('the name of the model to build from'),
      role: v.optional(text('who it is, such as "a careful code reviewer"')),
      tone: v.optional(text('how it speaks, such as "friendly and brief"')),
      rules: v.optional(v.array(text('a rule as text'), say('a list of rules'))),
      system: v.optional(text('a system prompt as text')),
      parameters: v.optional(v.custom<ModelParameters>(isObject, say('parameters such as { temperature: 0.2 }'))),
      allowUnknownParameters: v.optional(v.boolean(say('true or false'))),
      template: v.optional(text('a template as text')),
    },
    say('name, from, and role or system; also tone, rules, parameters, allowUnknownParameters and template'),
  ),
  v.check(
    ({ role, system }) => role !== undefined || system !== undefined,
    'Expected role or system: neither is given',
  ),
)

const configSchema: v.GenericSchema<Persona | readonly Persona[]> = v.lazy((input) =>
  Array.isArray(input) ? v.array(personaSchema) : personaSchema,
)

/**
 * One persona, or a list of them.
 *
 * @example persona({ name: 'reviewer', from: 'qwen3:8b', role: 'a careful code reviewer', rules: ['Quote the line.'] })
 */
const persona: PluginFactory<Persona | readonly Persona[]> = definePlugin({
  apiVersion: 1,
  name: 'persona',
  configSchema,
  declare: (config) => [config].flat().map(declarationOf),
})

export default persona

function declarationOf({ role, tone, rules, ...persona }: Persona): ModelDeclaration {
  return { ...persona, system: persona.system ?? systemPrompt({ role, tone, rules }) }
}

/** The same traits give the same text, byte for byte: another text would be another model. */
function systemPrompt({ role = '', tone, rules = [] }: Pick<Persona, 'role' | 'tone' | 'rules'>): string {
  const parts = [
    `You are ${role.replace(/\.$/, '')}.`,
    ...(tone === undefined ? [] : [`Your tone is ${tone}.`]),
    ...(rules.length === 0 ? [] : [['Rules:', ...rules.map((rule) => `- ${rule}`)].join('\n')]),
  ]
  return parts.join('\n\n')
}

function isObject(input: unknown): boolean {
  return typeof input === 'object' && input !== null && !Array.isArray(input)
}
