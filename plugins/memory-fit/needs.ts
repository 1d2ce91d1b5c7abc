/** What a model needs: of one that is there by what the server tells of it, of one that is not by what the plan knows. */
import type { Change } from '../../src/index.ts'
import { type HostContext, matchesModel, type ShownModel } from '../../src/plugin.ts'
import type { Checked } from './config.ts'
import { type Cache, cacheOf } from './estimate.ts'

export interface Need {
  readonly reference: string
  readonly weightsBytes: number
  /** Or why it is not counted. */
  readonly cache: Cache | string
}

/**
 * The need of a model as the plan leaves it; `null` when it cannot be told yet. What is built is measured by its base, when that
 * is there; of what is pulled only the manifest is known.
 *
 * @param all the changes of the plan, to find the base of a model among them
 */
export async function plannedNeed(
  change: Change,
  all: readonly Change[],
  config: Checked,
  ctx: HostContext,
): Promise<Need | null> {
  const { reference } = change
  if (change.action === 'no-op') return shownNeed(reference, await ctx.show(reference), config)
  const build = 'build' in change ? change.build : undefined
  const from = build?.from ?? undefined
  const tokens = build?.parameters['num_ctx']
  const base = from === undefined ? null : await ctx.show(from)
  if (base !== null)
    return shownNeed(reference, base, {
      ...config,
      numCtx: config.numCtx ?? (typeof tokens === 'number' ? tokens : undefined),
    })
  const source = from === undefined ? change : all.find((other) => matchesModel(from, other.reference))
  const weightsBytes = source === undefined ? null : weightsOf(source)
  return weightsBytes === null ? null : { reference, weightsBytes, cache: 'it is not installed yet' }
}

/** `null` without a model. */
export function shownNeed(reference: string, shown: ShownModel | null, config: Checked): Need | null {
  if (shown === null) return null
  const cache = cacheOf(shown, { tokens: config.numCtx, bytesPerElement: config.bytesPerElement })
  return { reference, weightsBytes: shown.sizeBytes, cache: cache ?? 'the model does not tell its shape' }
}

/** Licences and templates are in the sum only where the plan has no manifest. */
function weightsOf(change: Change): number | null {
  const layers = 'manifest' in change ? change.manifest?.layers : undefined
  const weights = layers?.filter(({ mediaType }) => /\.image\.(?:model|projector|adapter|tensor)$/.test(mediaType))
  if (weights === undefined) return change.after?.sizeBytes ?? null
  return weights.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
}
