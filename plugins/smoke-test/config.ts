/** What the user may say. */
import * as v from 'valibot'
import type { ProbeContext } from '../../src/plugin.ts'

type Options = NonNullable<Parameters<ProbeContext['client']['embed']>[0]['options']>

interface Common {
  /** Names of declared models. Cloud models are never tried: that may cost money. */
  readonly models: readonly string[]
  /** For each model, until its answer is there, loading included. Default: 60 000. */
  readonly timeoutMs?: number | undefined
  /** Try it after every apply that changed something, not only when this model was changed. Default: false. */
  readonly always?: boolean | undefined
  /** Parameters of the request. Default: `temperature: 0`. */
  readonly options?: Options | undefined
}

/** For models that answer in words. */
export interface PromptTest extends Common {
  readonly prompt: string
  /** What the answer contains, or what it matches. Default: it is not empty. */
  readonly expect?: string | RegExp | undefined
  /** Ask for JSON, and expect some. */
  readonly json?: boolean | undefined
  /** Whether a thinking model may think first. Default: as the model does by itself. */
  readonly think?: boolean | undefined
}

/** For models that answer with a vector. */
export interface EmbeddingTest extends Common {
  readonly input: string
  /** Length of the vector. Default: it is not empty. */
  readonly dimensions?: number | undefined
}

export type SmokeTest = PromptTest | EmbeddingTest

/** What is wrong, in our words: keys that are unknown or missing are told by valibot in the same way as wrong values. */
const say =
  (wanted: string) =>
  ({ expected, received }: { expected: string | null; received: string }): string =>
    expected === 'never'
      ? `Key ${received} is not known: expected ${wanted}`
      : `Expected ${wanted}, found ${received === 'undefined' ? 'nothing' : received}`

const flag = v.optional(v.boolean(say('true or false')))
const count = (wanted: string) => v.pipe(v.number(say(wanted)), v.integer(say(wanted)), v.minValue(1, say(wanted)))

// Each name has a time of its own, which could not be added up for a pattern.
const name = v.pipe(
  v.string(say('a model name')),
  v.check((text) => !text.includes('*'), say('a model name, not a pattern')),
)

const common = {
  models: v.array(name, say('a list of model names')),
  timeoutMs: v.optional(count('a number of milliseconds'), 60_000),
  always: flag,
  options: v.optional(
    v.custom<Options>(
      (input) => typeof input === 'object' && input !== null && !Array.isArray(input),
      say('parameters such as { num_predict: 50 }'),
    ),
  ),
}

const promptSchema = v.strictObject(
  {
    ...common,
    prompt: v.string(say('a prompt as text')),
    expect: v.optional(v.union([v.string(), v.instance(RegExp)], say('a text or a regular expression such as /ok/i'))),
    json: flag,
    think: flag,
  },
  say('models and prompt, or models and input; also expect, json, think, timeoutMs, always and options'),
)

const embeddingSchema = v.strictObject(
  { ...common, input: v.string(say('a text to embed')), dimensions: v.optional(count('a number of dimensions')) },
  say('models and input; also dimensions, timeoutMs, always and options'),
)

// Not a union: the problems are then those of the test, and not that none of two fits.
const testSchema = v.lazy((input) =>
  typeof input === 'object' && input !== null && 'input' in input ? embeddingSchema : promptSchema,
)

/** A test with its defaults. */
export type Checked = (PromptTest | EmbeddingTest) & { readonly timeoutMs: number }

export const configSchema: v.GenericSchema<SmokeTest | readonly SmokeTest[], Checked | readonly Checked[]> = v.lazy(
  (input) => (Array.isArray(input) ? v.array(testSchema) : testSchema),
)
