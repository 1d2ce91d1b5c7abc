/**
 * The long run of the tests with faults and with hostile input: `npm run test:faults [-- SEEDS]`, 1000 by default, which takes some
 * minutes. A failing seed is printed; FAULT_SEED, or HOSTILE_SEED and HOSTILE_PATH, run it again.
 */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const seeds = Number(process.argv[2] ?? 1000)
if (!Number.isInteger(seeds) || seeds < 1) {
  console.error('How many seeds? As in: npm run test:faults -- 1000')
  process.exit(1)
}
const tests = fileURLToPath(new URL('../run.mjs', import.meta.url))
const env = { ...process.env, FAULT_SEEDS: String(seeds), HOSTILE_RUNS: String(Math.max(30, Math.round(seeds / 5))) }
// After thousands of connections Node 20 may spin for ever when it ends (nodejs/node#47748), which leaving by process.exit() spares it.
const words = ['--test-force-exit', 'test/faults/', 'hostile/']
const { status } = spawnSync(process.execPath, [tests, ...words], { env, stdio: 'inherit' })
process.exit(status ?? 1)
