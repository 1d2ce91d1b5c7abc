/**
 * An apply that is stopped at any moment, by any signal or by nobody reading any more: the lock and the record are whole, nothing is in
 * the way of the next apply, and that one has nothing left to do after it. FAULT_SEEDS says how many (default 6), FAULT_SEED runs one again.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { parseLock } from '../../src/record/lock-file.ts'
import { parseRecord } from '../../src/record/record-file.ts'
import { spawnCli } from '../support/run-cli.ts'
import { layer, type World, weights, world } from '../support/world.ts'
import { chance } from './chance.ts'

const one = process.env['FAULT_SEED']
const count = Math.min(Number(process.env['FAULT_SEEDS'] ?? 6), 200)
const seeds = one === undefined ? Array.from({ length: count }, (_, index) => index + 1) : [Number(one)]
const ends = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGKILL', 'SIGKILL', 'closed pipes'] as const

const config = {
  models: ['a', 'b', { name: 'reviewer', from: 'a', system: 'You review.' }, { name: 'fast', aliasOf: 'b' }],
}

assert.ok(seeds.length > 0, 'FAULT_SEEDS is no number')
for (const seed of seeds) {
  const dice = chance(`signal ${seed}`)
  const [end, moment] = [dice.pick(ends), dice.below(24)]
  const title = `${end} after ${moment} requests of an apply (FAULT_SEED=${seed}): the next one converges`
  test(title, { skip: process.platform === 'win32' }, async (t) => {
    const made = await ready(t)
    const { server, cwd } = made
    const before = server.requests.length
    const run = spawnCli(['apply', '--yes'], { cwd, env: { OLLAMA_HOST: server.url } })
    let over = false
    run.child.once('exit', () => {
      over = true
    })
    while (!over && server.requests.length < before + moment) await new Promise((resolve) => setTimeout(resolve, 1))
    if (end === 'closed pipes') {
      run.child.stdout?.destroy()
      run.child.stderr?.destroy()
    } else if (!over) run.kill(end)
    const { code, exitSignal } = await run.done
    if (end === 'SIGKILL') assert.ok(over || exitSignal === 'SIGKILL' || code === 0, `${code} ${exitSignal}`)
    // Before its first request it may not have begun to listen.
    else if (!(moment === 0 && exitSignal === end))
      assert.ok(code === 0 || (code === 130 && end !== 'closed pipes'), `${end}: exit code ${code}`)
    assertWhole(made)
    await made.run(0, 'apply', '--yes')
    await made.run(0, 'check')
    assertWhole(made)
    assert.deepEqual(server.installed(), ['a:latest', 'b:latest', 'fast:latest', 'reviewer:latest'])
    assert.deepEqual(server.problems, [])
  })
}

async function ready(t: TestContext): Promise<World> {
  const models = [
    { name: 'a', layers: [weights(1, 40_000), layer('license', 'Free')] },
    { name: 'b', layers: [weights(2, 40_000)] },
  ]
  const made = await world(t, models, { models: ['b'] }, { bytesPerLine: 2000 })
  // A process of its own cannot be given another registry: what it would ask is in the lock.
  await made.run(0, 'lock')
  made.config(config)
  return made
}

/** What is there of files can be read, and is no half of anything. */
function assertWhole({ cwd }: World): void {
  parseLock(readFileSync(path.join(cwd, 'ollama.lock.json'), 'utf8'), 'ollama.lock.json')
  const files = readdirSync(cwd, { recursive: true, encoding: 'utf8' })
  for (const file of files.filter((name) => /record.*\d+\.json$/.test(name))) {
    parseRecord(readFileSync(path.join(cwd, file), 'utf8'), file)
  }
}
