/** What a download that was killed had is used again. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { madeUpBytes, serveBlob } from './blob-server.ts'

const MiB = 1024 * 1024
const script = fileURLToPath(new URL('fetch-once.ts', import.meta.url))
const isNode = process.versions['bun'] === undefined && process.versions['deno'] === undefined

function fetchOnce(words: readonly string[]): ChildProcess {
  return spawn(process.execPath, [...process.execArgv, script, ...words], { stdio: ['ignore', 'pipe', 'inherit'] })
}

test('after kill -9 at most 16 MB per connection are downloaded again', {
  skip: !isNode,
  timeout: 120_000,
}, async (t) => {
  const folder = await mkdtemp(path.join(tmpdir(), 'ollama-config-killed-'))
  const server = await serveBlob(madeUpBytes(96 * MiB))
  t.after(async () => {
    await server.close()
    await rm(folder, { recursive: true, force: true })
  })
  const connections = 3
  const file = path.join(folder, 'blob')
  const words = [server.url, server.digest, String(server.bytes.length), file, String(connections)]
  let had = 0
  for (const killAt of [24, 64]) {
    const child = fetchOnce(words)
    let rest = ''
    child.stdout?.on('data', (text: Buffer) => {
      const lines = (rest + String(text)).split('\n')
      rest = lines.pop() ?? ''
      had = Math.max(had, ...lines.map(Number))
      if (had >= killAt * MiB) child.kill('SIGKILL')
    })
    const [, signal] = await new Promise<readonly unknown[]>((resolve) => child.on('close', (...how) => resolve(how)))
    assert.equal(signal, 'SIGKILL', 'it was over before it was killed')
  }
  const before = server.asked.length
  const child = fetchOnce(words)
  child.stdout?.resume()
  const code = await new Promise((resolve) => child.on('close', resolve))
  assert.equal(code, 0)
  assert.ok(server.bytes.equals(await readFile(file)))
  const again = server.asked.slice(before).reduce((sum, { from, to }) => sum + to - from, 0)
  const missing = server.bytes.length - had
  assert.ok(again <= missing + connections * 16_000_000, `${again} bytes again, of which ${missing} were missing`)
})
