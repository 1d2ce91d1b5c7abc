/** Planning in process: 10,000 declared and 10,000 installed models, from the user's config to the finished plan, and how it grows. */
import { parseListedName } from '../src/artifact/reference.ts'
import { resolveConfig } from '../src/config/resolve.ts'
import { diff } from '../src/plan/diff.ts'
import { format, machineLine, type Sample, sampleOf } from './measure.ts'

const rounds = 15
const targetMs = 150

function planOnce(count: number): number {
  // Half of the declared models are installed; the other installed half is undeclared.
  const declared = Array.from({ length: count }, (_, index) => `team-${index % 50}/model-${index}:${index % 7}b`)
  const listed = Array.from(
    { length: count },
    (_, index) => `team-${(index + count / 2) % 50}/model-${index + count / 2}:${(index + count / 2) % 7}b`,
  )
  const startedMs = performance.now()
  const { desired } = resolveConfig({ models: declared, keep: ['llava', 'team-1/*'] })
  const models = listed.map((name) => ({
    name,
    reference: parseListedName(name),
    digest: `sha256:${name}`,
    sizeBytes: 1,
  }))
  const { changes } = diff(desired, { serverVersion: null, models, unreadable: [] })
  const ms = performance.now() - startedMs
  if (changes.length < count) throw new Error(`The plan has only ${changes.length} changes`)
  return ms
}

export function benchPlan(): void {
  console.log(`plan in process: resolve the config, read the listing, diff; ${rounds} runs each\n${machineLine()}\n`)
  const measure = (count: number): Sample => {
    planOnce(count)
    return sampleOf(Array.from({ length: rounds }, () => planOnce(count)))
  }
  const counts = [1250, 2500, 5000, 10_000, 20_000]
  const samples = new Map(counts.map((count) => [count, measure(count)]))
  for (const [count, sample] of samples) {
    console.log(
      `${String(count).padStart(6)} × ${String(count).padEnd(6)} ${format(sample)}  ${((sample.median / count) * 1000).toFixed(2)} µs per model`,
    )
  }
  const median = samples.get(10_000)?.median ?? Number.NaN
  console.log(`\n10,000 × 10,000 under ${targetMs} ms: ${median < targetMs ? 'met' : 'MISSED'}`)
}
