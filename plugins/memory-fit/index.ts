/** Tells of models that do not fit into the memory of the host, weights and KV cache taken together. */
import type { Diagnostic } from '../../src/index.ts'
import {
  definePlugin,
  type HostContext,
  matchesModel,
  type PluginFactory,
  quoted,
  selectDeclared,
} from '../../src/plugin.ts'
import { type Checked, configSchema, type MemoryFit } from './config.ts'
import { gigabytes, toBytes } from './estimate.ts'
import { type Need, plannedNeed, shownNeed } from './needs.ts'

export type { MemoryFit } from './config.ts'

/**
 * All declared models against the memory of this machine, unless the config says otherwise. Each is taken alone.
 *
 * @example memoryFit({ memory: '24 GB', severity: 'error' })
 */
const memoryFit: PluginFactory<MemoryFit> = definePlugin({
  apiVersion: 1,
  name: 'memory-fit',
  configSchema,
  async review(config, plan, ctx) {
    const { changes, diagnostics } = selectDeclared(plan, config.models)
    const local = changes.filter(({ cloud }) => !cloud)
    const memory = memoryOf(config, ctx)
    if (memory === null) return local.length === 0 ? diagnostics : [...diagnostics, unknownMemory(ctx)]
    const all = plan.targets.flatMap((target) => target.changes)
    const needs = local.map(async (change) => judge(await plannedNeed(change, all, config, ctx), memory, config))
    return [...diagnostics, ...(await Promise.all(needs)).flat()]
  },
  async probe(config, target, ctx) {
    const memory = memoryOf(config, ctx)
    // The review has said so.
    if (memory === null) return []
    const models = target.models.filter(
      ({ reference, changed, cloud }) =>
        changed && !cloud && (config.models ?? [reference]).some((wanted) => matchesModel(wanted, reference)),
    )
    const needs = models.map(async ({ reference }) =>
      judge(shownNeed(reference, await ctx.show(reference), config), memory, config),
    )
    return (await Promise.all(needs)).flat()
  },
})

export default memoryFit

function memoryOf({ memory }: Checked, { host }: HostContext): number | null {
  return memory === undefined ? host.memoryBytes : toBytes(memory)
}

function unknownMemory({ host }: HostContext): Diagnostic {
  return {
    severity: 'warning',
    code: 'memory-unknown',
    message: `How much memory ${host.address} has is not known, so no model was compared with it`,
    hint: 'say it in the config: memoryFit({ memory: "24 GB" })',
  }
}

function judge(need: Need | null, memoryBytes: number, { severity, numCtx }: Checked): readonly Diagnostic[] {
  if (need === null) return []
  const { reference, weightsBytes, cache } = need
  const counted = typeof cache === 'string' ? { bytesPerToken: 0, tokens: 0, terms: '' } : cache
  const cacheBytes = counted.bytesPerToken * counted.tokens
  const sumBytes = weightsBytes + cacheBytes
  if (sumBytes <= memoryBytes) return []
  const limit = `more than ${gigabytes(memoryBytes)} of memory`
  const rest =
    typeof cache === 'string'
      ? `, ${limit}, and its KV cache is not counted, since ${cache}`
      : ` + ${gigabytes(cacheBytes)} KV cache (${cache.terms}) = ${gigabytes(sumBytes)}, ${limit}`
  const message = `${quoted(reference)} needs ${gigabytes(weightsBytes)} weights${rest}`
  // In steps that people write, and not so short that the model is of no use.
  const tokens = Math.floor((memoryBytes - weightsBytes) / counted.bytesPerToken / 1024) * 1024
  const fits = cacheBytes > 0 && tokens >= 1024
  const hint = !fits
    ? 'take a smaller model, or one with fewer bits per weight'
    : numCtx === undefined
      ? `it fits with a num_ctx of ${tokens}`
      : `it fits with numCtx: ${tokens} in memoryFit`
  return [{ severity, code: 'memory-exceeded', message, reference, hint }]
}
