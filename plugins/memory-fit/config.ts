/** What the user may say. */
import * as v from 'valibot'
import { toBytes } from './estimate.ts'

export interface MemoryFit {
  /** Names of declared models, or patterns as in `keep`. Default: all. Cloud models are not asked. */
  readonly models?: readonly string[] | undefined
  /** What a model may take, as `24 GB` or in bytes. Default: the memory of this machine, when the server runs on it. */
  readonly memory?: string | number | undefined
  /** Context length in tokens. Default: what is declared, else what the model says, else 4096. */
  readonly numCtx?: number | undefined
  /** Of the KV cache: 2 for f16 (default), 1.0625 for q8_0, 0.5625 for q4_0. */
  readonly bytesPerElement?: number | undefined
  /** With `error`, a plan with a model that does not fit is not applied. Default: `warning`. */
  readonly severity?: 'warning' | 'error' | undefined
}

/** What is wrong, in our words: a key that is unknown is told by valibot in the same way as a wrong value. */
const say =
  (wanted: string) =>
  ({ expected, received }: { expected: string | null; received: string }): string =>
    expected === 'never' ? `Key ${received} is not known: expected ${wanted}` : `Expected ${wanted}, found ${received}`

const positive = (wanted: string) => v.pipe(v.number(say(wanted)), v.gtValue(0, say(wanted)))

const isSize = (size: unknown) => toBytes(size) !== null

/** A config with its defaults. */
export interface Checked extends MemoryFit {
  readonly bytesPerElement: number
  readonly severity: 'warning' | 'error'
}

export const configSchema: v.GenericSchema<MemoryFit, Checked> = v.pipe(
  // Without a config all is as by default.
  v.custom<MemoryFit>(() => true),
  v.transform((config) => config ?? {}),
  v.strictObject(
    {
      models: v.optional(v.array(v.string(say('a model name or a pattern')), say('a list of model names'))),
      memory: v.optional(v.custom<string | number>(isSize, say('a size such as "24 GB"'))),
      numCtx: v.optional(positive('a number of tokens')),
      bytesPerElement: v.optional(positive('a number of bytes'), 2),
      severity: v.optional(v.picklist(['warning', 'error'], say('"warning" or "error"')), 'warning'),
    },
    say('models, memory, numCtx, bytesPerElement and severity, each of them optional'),
  ),
)
