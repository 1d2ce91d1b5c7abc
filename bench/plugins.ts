/** What 200 plugins cost a plan of 1,000 models: the same plan with and without them, in turn, from the config to the diagnostics. */
import * as v from 'valibot'
import { createPlan, definePlugin, type Plugin } from '../src/index.ts'
import { startListingServer } from './listing-server.ts'
import { format, interleave, machineLine, ratioOf, sampleOf } from './measure.ts'

const rounds = 15
const pluginCount = 200
const modelCount = 1000
const targetMs = 200

/** Each checks its config, declares five models and looks at every change. */
const policy = (index: number): Plugin =>
  definePlugin({
    apiVersion: 1,
    name: `policy-${index}`,
    configSchema: v.object({ names: v.array(v.string()), maxBytes: v.number() }),
    declare: ({ names }) => names.map((name) => ({ name })),
    review: async ({ maxBytes }, plan) =>
      plan.targets
        .flatMap(({ changes }) => changes)
        .filter(({ after }) => (after?.sizeBytes ?? 0) > maxBytes)
        .map(({ reference }) => ({
          severity: 'warning',
          code: 'too-large',
          message: `${reference} is large`,
          reference,
        })),
  })({ names: namesOf(index), maxBytes: 4_683_087_332 + modelCount - 6 })

const perPlugin = modelCount / pluginCount

function namesOf(index: number): string[] {
  return Array.from({ length: perPlugin }, (_, at) => `team/model-${index * perPlugin + at}:7b`)
}

export async function benchPlugins(): Promise<void> {
  console.log(
    `plugins: a plan of ${modelCount} models, all installed, with ${pluginCount} plugins that declare, review and check their config, against the same plan without any; ${rounds} runs each, in turn\n${machineLine()}\n`,
  )
  const names = Array.from({ length: pluginCount }, (_, index) => namesOf(index)).flat()
  const server = await startListingServer(names)
  try {
    const run = async (config: { models: string[]; plugins?: Plugin[] }, warnings: number): Promise<number> => {
      const startedMs = performance.now()
      const plan = await createPlan({ ...config, host: server.url }, { env: {}, offline: true })
      const ms = performance.now() - startedMs
      const [target] = plan.targets
      const found = target?.diagnostics.length ?? -1
      if (target?.changes.length !== modelCount || found !== warnings)
        throw new Error(`The plan has ${target?.changes.length} changes and ${found} diagnostics`)
      return ms
    }
    const plugins = Array.from({ length: pluginCount }, (_, index) => policy(index))
    const values = await interleave(
      { without: () => run({ models: names }, 0), with: () => run({ models: [], plugins }, 5 * pluginCount) },
      rounds,
    )
    const added = sampleOf(values.with.map((ms, index) => ms - (values.without[index] ?? Number.NaN)))
    console.log(`without  ${format(sampleOf(values.without))}`)
    console.log(`with     ${format(sampleOf(values.with))}, ${format(ratioOf(values.with, values.without), '×')}`)
    console.log(`added    ${format(added)}`)
    console.log(`\nadded under ${targetMs} ms: ${added.median < targetMs ? 'met' : 'MISSED'}`)
  } finally {
    server.close()
  }
}
