/** Holds models to what they must be able to do: before the apply those that are there, after it those that it brought. */
import * as v from 'valibot'
import type { Diagnostic } from '../../src/index.ts'
import {
  definePlugin,
  type HostContext,
  matchesModel,
  type PluginFactory,
  quoted,
  selectDeclared,
} from '../../src/plugin.ts'

const known = ['completion', 'tools', 'vision', 'thinking', 'embedding', 'insert', 'image', 'audio'] as const

export type Capability = (typeof known)[number]

export interface Requirement {
  /** Names of declared models, or patterns as in `keep`. */
  readonly models: readonly string[]
  /** What each of them must be able to do. */
  readonly require: readonly Capability[]
}

/** What is wrong, in our words: keys that are unknown or missing are told by valibot in the same way as wrong values. */
const say =
  (wanted: string) =>
  ({ expected, received }: { expected: string | null; received: string }): string =>
    expected === 'never'
      ? `Key ${received} is not known: expected ${wanted}`
      : `Expected ${wanted}, found ${received === 'undefined' ? 'nothing' : received}`

const requirementSchema = v.strictObject(
  {
    models: v.array(v.string(say('a model name or a pattern')), say('a list of model names')),
    require: v.array(v.picklist(known, say(`one of ${known.join(', ')}`)), say('a list of capabilities')),
  },
  say('models and require'),
)

const configSchema: v.GenericSchema<Requirement | readonly Requirement[]> = v.lazy((input) =>
  Array.isArray(input) ? v.array(requirementSchema) : requirementSchema,
)

/**
 * One requirement, or a list of them. Cloud models are not asked.
 *
 * @example capabilities({ models: ['qwen3:8b'], require: ['tools', 'thinking'] })
 */
const capabilities: PluginFactory<Requirement | readonly Requirement[]> = definePlugin({
  apiVersion: 1,
  name: 'capabilities',
  configSchema,
  async review(config, plan, ctx) {
    const problems = [config].flat().map(async ({ models, require }) => {
      const { changes, diagnostics } = selectDeclared(plan, models)
      // What this plan replaces must not be judged by the version that goes.
      const staying = changes.filter(({ action, cloud }) => action === 'no-op' && !cloud)
      return [...diagnostics, ...(await check(require, staying, ctx))]
    })
    return (await Promise.all(problems)).flat()
  },
  async probe(config, target, ctx) {
    const problems = [config].flat().map(({ models, require }) => {
      const brought = target.models.filter(
        ({ reference, changed, cloud }) =>
          changed && !cloud && models.some((wanted) => matchesModel(wanted, reference)),
      )
      return check(require, brought, ctx)
    })
    return (await Promise.all(problems)).flat()
  },
})

export default capabilities

async function check(
  required: readonly Capability[],
  models: readonly { readonly reference: string }[],
  ctx: HostContext,
): Promise<readonly Diagnostic[]> {
  const found: Diagnostic[] = []
  for (const { reference } of models) {
    const has = (await ctx.show(reference))?.capabilities
    const missing = required.filter((capability) => has?.includes(capability) === false)
    if (has === undefined || missing.length === 0) continue
    const wanted = `${quoted(reference)} must have ${list(required)}`
    if (has.length === 0) {
      // Every model can do something: this server is older than the question (Ollama 0.6.4).
      const message = `${wanted}: the server does not tell what it can do`
      found.push({ severity: 'warning', code: 'capabilities-unknown', message, reference, hint: 'a newer Ollama does' })
    } else {
      const message = `${wanted}: it has ${list(has)}, not ${list(missing)}`
      const hint = 'declare a model that has it, or another version of this one'
      found.push({ severity: 'error', code: 'capability-missing', message, reference, hint })
    }
  }
  return found
}

function list(words: readonly string[]): string {
  return words.map((word) => quoted(word)).join(', ')
}
