/** One process at a time: who holds the mutex, and what becomes of one that nobody holds any more. */
import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { isOllamaConfigError } from '../../src/errors.ts'
import { withFileMutex } from '../../src/runtime/file-mutex.ts'
import { tempFolder } from '../support/run-cli.ts'

test('works exclude each other, and leave nothing behind, also one that fails', async (t) => {
  const folder = tempFolder(t)
  const file = path.join(folder, 'lock.json')
  let inside = 0
  const results = await Promise.allSettled(
    [1, 2, 3, 4].map((number) =>
      withFileMutex(file, async () => {
        inside++
        assert.equal(inside, 1)
        await new Promise((resolve) => setImmediate(resolve))
        inside--
        if (number === 2) throw new Error('No luck')
        return number
      }),
    ),
  )
  assert.deepEqual(
    results.map((result) => (result.status === 'fulfilled' ? result.value : String(result.reason))),
    [1, 'Error: No luck', 3, 4],
  )
  assert.deepEqual(readdirSync(folder), [])
})

test('one that is held is waited for, one that a crash left behind is moved away', async (t) => {
  const folder = tempFolder(t)
  const file = path.join(folder, 'lock.json')
  const mutex = path.join(folder, '.lock.json.mutex')
  writeFileSync(mutex, '')
  const order: string[] = []
  const waiting = withFileMutex(file, async () => void order.push('second'))
  await new Promise((resolve) => setImmediate(resolve))
  order.push('first')
  rmSync(mutex)
  await waiting
  assert.deepEqual(order, ['first', 'second'])

  writeFileSync(mutex, '')
  utimesSync(mutex, new Date(0), new Date(0))
  assert.equal(await withFileMutex(file, async () => 'done'), 'done')
  assert.deepEqual(readdirSync(folder), [])
})

test('where it cannot be made, the work is not done', async (t) => {
  const file = path.join(tempFolder(t), 'absent', 'lock.json')
  let worked = false
  const work = async () => {
    worked = true
  }
  await assert.rejects(
    withFileMutex(file, work),
    (error) => isOllamaConfigError(error) && error.code === 'file-not-written',
  )
  assert.equal(worked, false)
  mkdirSync(path.dirname(file))
  await withFileMutex(file, work)
  assert.equal(worked, true)
})

test('waiting for another can be given up', async (t) => {
  const folder = tempFolder(t, { '.lock.json.mutex': '' })
  const stop = new AbortController()
  const waiting = withFileMutex(path.join(folder, 'lock.json'), async () => 'done', { signal: stop.signal })
  stop.abort(new Error('stop'))
  await assert.rejects(waiting, { message: 'stop' })
  assert.deepEqual(readdirSync(folder), ['.lock.json.mutex'])
})
