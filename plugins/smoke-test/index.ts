/** Tries models after an apply: a prompt and what its answer must hold, or an input and the length of its vector. */
import type { Diagnostic } from '../../src/index.ts'
import {
  definePlugin,
  matchesModel,
  type PluginFactory,
  type ProbeContext,
  quoted,
  selectDeclared,
} from '../../src/plugin.ts'
import { answer, embed, type Verdict } from './ask.ts'
import { type Checked, configSchema, type SmokeTest } from './config.ts'

export type { EmbeddingTest, PromptTest, SmokeTest } from './config.ts'

const unloadMs = 5_000

/**
 * One test, or a list of them. Only models that the apply changed are tried, one after the other, and none stays loaded.
 *
 * @example smokeTest({ models: ['qwen3:8b'], prompt: 'Say ok', expect: /ok/i })
 */
const smokeTest: PluginFactory<SmokeTest | readonly SmokeTest[]> = definePlugin({
  apiVersion: 1,
  name: 'smoke-test',
  configSchema,
  timeoutMs: (config) =>
    [config].flat().reduce((sum, { models, timeoutMs }) => sum + models.length * (timeoutMs + unloadMs), 30_000),
  review: (config, plan) => [config].flat().flatMap(({ models }) => selectDeclared(plan, models).diagnostics),
  async probe(config, target, ctx) {
    const found: Diagnostic[] = []
    for (const test of [config].flat()) {
      for (const { reference, cloud, changed } of target.models) {
        if (cloud || !(changed || test.always)) continue
        if (test.models.some((name) => matchesModel(name, reference)))
          found.push(...(await tryOne(test, reference, ctx)))
      }
    }
    return found
  },
})

export default smokeTest

async function tryOne(test: Checked, reference: string, ctx: ProbeContext): Promise<readonly Diagnostic[]> {
  // A longer one would be over at once.
  const timeout = AbortSignal.timeout(Math.min(test.timeoutMs, 2 ** 31 - 1))
  let verdict: Verdict
  try {
    const client = ctx.clientFor(timeout)
    verdict = 'input' in test ? await embed(test, reference, client) : await answer(test, reference, client)
  } catch (error) {
    // An interruption is no verdict on the model.
    ctx.signal.throwIfAborted()
    const text = error instanceof Error ? error.message : String(error)
    verdict = timeout.aborted
      ? [
          `gave no answer within ${test.timeoutMs / 1000} s`,
          'give it more time with timeoutMs, or a shorter answer with options.num_predict',
        ]
      : [`cannot be used: ${quoted(text)}`, 'the log of the Ollama server tells more']
    await unload(reference, ctx)
  }
  if (verdict === null) return []
  const [problem, hint] = verdict
  return [{ severity: 'error', code: 'smoke-test-failed', message: `${quoted(reference)} ${problem}`, reference, hint }]
}

/** What failed may have left it loaded. Works for embedding models as well. */
async function unload(model: string, ctx: ProbeContext): Promise<void> {
  const client = ctx.clientFor(AbortSignal.timeout(unloadMs))
  await client.generate({ model, prompt: '', keep_alive: 0 }).catch((error: unknown) => {
    ctx.logger.warn(`Cannot unload ${quoted(model)}`, { error: String(error) })
  })
}
