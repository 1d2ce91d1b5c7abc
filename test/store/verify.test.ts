/** Whole commands that look after the files of a store: verify, its repair, and collect. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { makeGguf } from '../support/gguf.ts'
import { openRegistry, runCli, tempFolder } from '../support/run-cli.ts'
import { layer } from '../support/world.ts'

async function world(t: TestContext) {
  const weights = layer('model', makeGguf({ name: 'shared' }))
  const models = ['a', 'b'].map((name) => ({ name, layers: [weights, layer('license', name)] }))
  await openRegistry(t, { models })
  const config = { models: ['a', { name: 'own', from: 'a', system: 'Mine.' }] }
  const cwd = tempFolder(t, { 'ollama.config.json': config })
  const store = path.join(cwd, 'models')
  const run = async (code: number, ...words: string[]) => {
    const result = await runCli([...words, '--store=models'], { cwd })
    assert.equal(result.code, code, `${words.join(' ')}: ${result.stdout}${result.stderr}`)
    return result
  }
  await run(0, 'apply', '--yes')
  const blobs = () => readdirSync(path.join(store, 'blobs')).map((name) => path.join(store, 'blobs', name))
  const blobWith = (text: string) => {
    const found = blobs().find((file) => readFileSync(file).includes(text))
    assert.ok(found !== undefined)
    return found
  }
  return { cwd, store, run, blobs, blobWith }
}

test('a flipped byte, a cut and a missing blob are found, told of every model that has them, and mended', async (t) => {
  const { run, blobWith, store } = await world(t)
  assert.match((await run(0, 'verify')).stdout, /2 models are sound/)
  const weights = blobWith('GGUF')
  const bytes = readFileSync(weights)
  const last = bytes.length - 1
  bytes[last] = (bytes[last] ?? 0) ^ 1
  writeFileSync(weights, bytes)
  const { stdout } = await run(1, 'verify')
  assert.equal(stdout.match(/weights [0-9a-f]{12} has wrong bytes/g)?.length, 2, stdout)
  const report = JSON.parse((await run(1, 'verify', '--json', 'a')).stdout)
  assert.equal(report.folder, store)
  assert.deepEqual(
    report.models.map(({ reference, problems }: { reference: string; problems: { problem: string }[] }) => [
      reference,
      ...problems.map(({ problem }) => problem),
    ]),
    [['a:latest', 'wrong-bytes']],
  )
  assert.match((await run(0, 'verify', '--repair')).stdout, /was fetched again/)
  assert.match((await run(0, 'verify')).stdout, /2 models are sound/)
  writeFileSync(weights, bytes.subarray(0, 100))
  assert.match((await run(1, 'verify', '--all')).stdout, /has the wrong size/)
  rmSync(weights)
  assert.match((await run(1, 'verify')).stdout, /is missing/)
  await run(0, 'verify', '--repair')
})

test('what was built here no registry can give back, and that is said', async (t) => {
  const { run, blobWith } = await world(t)
  writeFileSync(blobWith('Mine.'), 'Other')
  const { stdout } = await run(1, 'verify', '--repair')
  assert.match(stdout, /own:latest.*damaged/)
  assert.match(stdout, /not repaired: it belongs to a model that was built here/)
  await run(3, 'verify', 'nothing')
})

test('collect removes what no model needs and is old, with a yes, and nothing else', async (t) => {
  const { run, store, blobs } = await world(t)
  const needed = blobs()
  const files = { orphan: `sha256-${'a'.repeat(64)}`, young: `sha256-${'b'.repeat(64)}`, foreign: 'notes.txt' }
  for (const name of Object.values(files)) writeFileSync(path.join(store, 'blobs', name), 'x')
  const hours = new Date(Date.now() - 2 * 3_600_000)
  for (const name of [files.orphan, files.foreign]) utimesSync(path.join(store, 'blobs', name), hours, hours)
  // The time of the last change of name or mode cannot be set: nothing is old by it here.
  const { stdout } = await run(0, 'collect', '--yes')
  assert.match(stdout, /younger than an hour: stays/)
  assert.match(stdout, /Nothing to collect/)
  for (const file of [...needed, ...Object.values(files).map((name) => path.join(store, 'blobs', name))])
    assert.ok(existsSync(file), file)
})

test('the files of a server on another machine cannot be verified', async (t) => {
  const cwd = tempFolder(t, { 'ollama.config.json': { models: ['a'] } })
  const { code, stderr } = await runCli(['verify', '--host', '127.0.0.1:9'], { cwd })
  assert.equal(code, 1)
  assert.match(stderr, /127\.0\.0\.1:9/)
})
