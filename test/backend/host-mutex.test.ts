/** One process at a time changes a server, as far as the file that says so can be kept. */
import assert from 'node:assert/strict'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { holdHost } from '../../src/backend/host-mutex.ts'
import { tempFolder } from '../support/run-cli.ts'

test('whose file is taken by another has lost the server; whose file cannot be kept any longer has not', async (t) => {
  const folder = path.join(tempFolder(t), 'hosts')
  const file = path.join(folder, 'a.mutex')
  const hold = await holdHost(file, 'http://a', {})
  await hold.assertHeld?.()
  rmSync(folder, { recursive: true })
  await hold.assertHeld?.()
  mkdirSync(file, { recursive: true })
  await hold.assertHeld?.()
  rmSync(file, { recursive: true })
  writeFileSync(file, '{"token":"another"}')
  await assert.rejects(async () => hold.assertHeld?.(), { code: 'store-busy', message: /took over http:\/\/a/ })
  await hold.release()
})
