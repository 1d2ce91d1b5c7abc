/** A machine that is not as it should be: its clock jumps, its folders are full or cannot be written. */
import assert from 'node:assert/strict'
import { closeSync, mkdirSync, openSync, utimesSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { withFileMutex } from '../../src/runtime/file-mutex.ts'
import { tempFolder } from '../support/run-cli.ts'
import { weights, world } from '../support/world.ts'

test('whatever the clock says, an apply does all of it, and takes no negative time', async (t) => {
  const made = await world(t, [{ name: 'a', layers: [weights(1)] }], { models: ['a', { name: 'b', aliasOf: 'a' }] })
  const real = Date.now
  let calls = 0
  // An hour on, two hours back, and so on.
  Date.now = () => real() + (calls++ % 2 === 0 ? 3_600_000 : -7_200_000) * calls
  try {
    const { stdout } = await made.run(0, 'apply', '--yes', '--json', '--wait', '2s')
    const durations = [...stdout.matchAll(/"durationMs":(-?[\d.]+)/g)].map(([, number]) => Number(number))
    assert.ok(durations.length > 0 && durations.every((ms) => ms >= 0 && ms < 600_000), `${durations}`)
    await made.run(0, 'lock')
    await made.run(0, 'check')
  } finally {
    Date.now = real
  }
  await made.run(0, 'check')
  assert.deepEqual(made.server.problems, [])
})

test('a mutex of a file that has a time of the future is not in the way for ever', async (t) => {
  const folder = tempFolder(t)
  const file = path.join(folder, 'x.json')
  const left = path.join(folder, '.x.json.mutex')
  closeSync(openSync(left, 'w'))
  const future = new Date(Date.now() + 9e8)
  utimesSync(left, future, future)
  assert.equal(await withFileMutex(file, async () => 'mine', { staleMs: 100 }), 'mine')
})

test('a record that cannot be written is told of, and the models are there', async (t) => {
  const made = await world(t, [{ name: 'a', layers: [weights(1)] }], { models: ['a'] })
  // Root may write everywhere, but no file where its folder should be.
  mkdirSync(path.join(made.cwd, '.home'))
  writeFileSync(path.join(made.cwd, '.home', 'ollama-config'), 'not a folder')
  const { stdout } = await made.run(0, 'apply', '--yes')
  assert.match(stdout, /cannot be written/)
  assert.deepEqual(made.server.installed(), ['a:latest'])
})
