/** `plan` and `apply` where there is much to do, or where the other side is slow, each against the limit of the same run. */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { benchLoadApply } from './load-apply.ts'
import { benchLoadPlan } from './load-plan.ts'
import { benchLoadSlow } from './load-slow.ts'
import { machineLine } from './measure.ts'

const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url))

export async function benchLoad(): Promise<void> {
  if (!existsSync(main)) throw new Error('Build first: npm run build')
  console.log(`${machineLine()}\n`)
  for (const bench of [benchLoadPlan, benchLoadSlow, benchLoadApply]) {
    await bench(main)
    console.log()
  }
}
