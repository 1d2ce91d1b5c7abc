/** Whole commands on a store of which something is damaged or gone: what is noticed, and what apply brings back. */
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { filesIn } from '../store/models.ts'
import { makeGguf } from '../support/gguf.ts'
import { openRegistry, runCli, tempFolder } from '../support/run-cli.ts'
import { layer } from '../support/world.ts'

const weights = makeGguf({ name: 'small' })
const served = [layer('model', weights), layer('template', 'T'), layer('license', 'free')]
const rev = { name: 'rev', from: 'small', system: 'Be short.', parameters: { num_ctx: 4096 } }

async function world(t: TestContext, models: readonly unknown[] = ['small', rev]) {
  const remote = await openRegistry(t, { models: [{ name: 'small', layers: served }] })
  const cwd = tempFolder(t)
  const config = (value: readonly unknown[], prune = 'undeclared') =>
    writeFileSync(path.join(cwd, 'ollama.config.json'), JSON.stringify({ models: value, prune }))
  config(models)
  const store = path.join(cwd, 'models')
  const run = async (code: number, ...words: string[]) => {
    const result = await runCli([...words, '--store=models'], { cwd, env: { OLLAMA_HOST: '127.0.0.1:9' } })
    assert.equal(result.code, code, `${words.join(' ')}: ${result.stdout}${result.stderr}`)
    return result.stdout
  }
  await run(0, 'apply', '--yes')
  const manifest = (name: string) => path.join(store, 'manifests/registry.ollama.ai/library', name, 'latest')
  const blob = (name: string, kind: string) => {
    const { layers, config } = JSON.parse(readFileSync(manifest(name), 'utf8'))
    const found = kind === 'config' ? config : layers.find((one: { mediaType: string }) => one.mediaType.endsWith(kind))
    return path.join(store, 'blobs', found.digest.replace(':', '-'))
  }
  const changes = async () => {
    const [target] = JSON.parse(await run(0, 'plan', '--json')).targets
    return target.changes
      .filter(({ action }: { action: string }) => action !== 'no-op')
      .map(({ id, reason }: { id: string; reason: { code: string; text: string } }) => `${id} ${reason.code}`)
  }
  return { cwd, remote, config, store, run, manifest, blob, changes }
}

test('a base whose manifest is gone is pulled again, and what was built of it stays', async (t) => {
  const { remote, run, manifest, changes } = await world(t)
  rmSync(manifest('small'))
  assert.deepEqual(await changes(), ['pull:small:latest missing'])
  const before = remote.blobBytesServed()
  assert.match(await run(0, 'apply', '--yes'), /Done: 1 pulled\n$/)
  assert.equal(remote.blobBytesServed(), before)
  assert.deepEqual(await changes(), [])
  remote.publish({ name: 'small', layers: [layer('model', weights), layer('template', 'newer')] })
  rmSync(manifest('small'))
  assert.deepEqual(await changes(), ['rebuild:rev:latest base-moved', 'pull:small:latest missing'])
})

test('what a truncated blob belongs to is brought again: no more of it, and what was built is whole then', async (t) => {
  const { remote, run, blob, changes } = await world(t, ['small', rev, { name: 'second', aliasOf: 'small' }])
  const file = blob('small', 'model')
  truncateSync(file, 100)
  const damaged = ['derive:rev:latest damaged', 'alias:second:latest damaged', 'pull:small:latest damaged']
  assert.deepEqual(await changes(), damaged)
  await run(1, 'check')
  const plan = await run(0, 'plan')
  assert.match(plan, /\+ small:latest +\d+ B \(\d+ B already in the store\), damaged: weights \(wrong size\)\n/)
  assert.match(plan, /\+ rev:latest +damaged: weights \(wrong size\)\n/)
  assert.match(plan, /\+ second:latest +of small:latest, damaged: weights \(wrong size\)\n/)
  const before = remote.blobBytesServed()
  await run(0, 'apply', '--yes')
  assert.equal(remote.blobBytesServed() - before, weights.length)
  assert.equal(statSync(file).size, weights.length)
  assert.deepEqual(await changes(), [])
  assert.match(await run(0, 'apply', '--yes'), /No changes/)
  await run(0, 'verify')
})

test('what somebody else had brought does not become ours by being mended', async (t) => {
  const { cwd, run, blob, config } = await world(t, ['small'])
  // Without the record nobody knows who brought it.
  rmSync(path.join(cwd, '.home'), { recursive: true })
  truncateSync(blob('small', 'model'), 100)
  assert.match(await run(0, 'apply', '--yes'), /Done: 1 pulled\n/)
  config(['other'], 'managed')
  const [{ changes }] = JSON.parse(await run(0, 'plan', '--json', '--prune')).targets
  assert.deepEqual(
    changes.map(({ id }: { id: string }) => id),
    ['pull:other:latest', 'no-op:small:latest'],
  )
})

test('the locked version is what comes back, though its tag moved on', async (t) => {
  const { remote, run, blob, manifest, changes } = await world(t)
  await run(0, 'lock')
  const locked = readFileSync(manifest('small'), 'utf8')
  remote.publish({ name: 'small', layers: [layer('model', weights), layer('template', 'newer')] })
  rmSync(blob('small', 'license'))
  assert.deepEqual(await changes(), ['derive:rev:latest damaged', 'pull:small:latest damaged'])
  await run(0, 'apply', '--yes', '--frozen')
  assert.equal(readFileSync(manifest('small'), 'utf8'), locked)
  await run(0, 'verify')
})

test('what was built is built again when a blob of its own is gone, also by a saved plan', async (t) => {
  const { remote, run, blob, changes, config } = await world(t)
  const asked = remote.requests.length
  for (const kind of ['params', 'system', 'config']) {
    const file = blob('rev', kind)
    rmSync(file)
    assert.deepEqual(await changes(), [`derive:rev:latest ${kind === 'config' ? 'missing' : 'damaged'}`], kind)
    if (kind === 'system') {
      await run(0, 'plan', '--out', 'plan.json')
      await run(0, 'apply', 'plan.json')
    } else assert.match(await run(0, 'apply', '--yes'), /Done: 1 built\n$/)
    await run(0, 'verify')
  }
  assert.equal(remote.requests.length, asked)
  // One that is not declared is deleted like any other.
  truncateSync(blob('rev', 'params'), 1)
  config(['small'])
  assert.match(await run(0, 'apply', '--yes', '--prune'), /Done: 1 deleted\n$/)
  await run(0, 'verify')
})

test('a manifest that cannot be read is written again where the model is declared, and else left alone', async (t) => {
  const { run, manifest, changes, config, store } = await world(t)
  for (const name of ['small', 'rev']) {
    writeFileSync(manifest(name), '{')
    const plan = await run(0, 'plan')
    const told = `"${name}:latest" is in the store, but its manifest or its config cannot be read: apply writes it again`
    assert.ok(plan.includes(told), plan)
    assert.doesNotMatch(plan, /no valid model name|left alone/)
    assert.deepEqual(await changes(), [name === 'small' ? 'pull:small:latest missing' : 'derive:rev:latest missing'])
    await run(0, 'apply', '--yes')
    await run(0, 'verify')
  }
  writeFileSync(manifest('rev'), '{')
  config(['small'])
  const plan = await run(0, 'plan')
  assert.match(plan, /"rev:latest" is in the store, but its manifest or its config cannot be read: it is left alone\n/)
  assert.match(plan, /No changes/)
  assert.equal(readFileSync(path.join(store, 'manifests/registry.ollama.ai/library/rev/latest'), 'utf8'), '{')
})

test('apply and then verify --repair mend whatever is wrong with the bytes', async (t) => {
  const { run, blob, changes } = await world(t)
  for (const [name, kind] of [
    ['rev', 'params'],
    ['rev', 'config'],
    ['rev', 'model'],
    ['small', 'license'],
  ] as const) {
    for (const damage of [truncate, flip, rmSync]) {
      damage(blob(name, kind))
      await run(0, 'apply', '--yes')
      await run(0, 'verify', '--repair')
      await run(0, 'verify')
      assert.deepEqual(await changes(), [])
    }
  }
})

test('of what a deletion frees nothing is guessed: every manifest can be read', async (t) => {
  const { run, config, blob, store, manifest } = await world(t)
  const sizeOf = (kind: string) => statSync(blob('rev', kind)).size
  const own = sizeOf('system') + sizeOf('params') + sizeOf('config')
  config(['small'])
  const frees = async () => {
    const [target] = JSON.parse(await run(0, 'plan', '--json')).targets
    return target.changes.find(({ action }: { action: string }) => action === 'delete').freedBytes
  }
  assert.equal(await frees(), own)
  assert.match(await run(0, 'plan'), new RegExp(`- rev:latest +frees ${own} B;`))
  const total = () =>
    filesIn(path.join(store, 'blobs')).reduce((sum, name) => sum + statSync(path.join(store, 'blobs', name)).size, 0)
  // One that a server does not list keeps its blobs.
  const hidden = JSON.parse(readFileSync(manifest('rev'), 'utf8'))
  hidden.config.digest = `sha256:${'0'.repeat(64)}`
  hidden.layers = hidden.layers.filter(({ mediaType }: { mediaType: string }) => mediaType.endsWith('system'))
  mkdirSync(path.dirname(manifest('hidden')))
  writeFileSync(manifest('hidden'), JSON.stringify(hidden))
  assert.equal(await frees(), own - sizeOf('system'))
  // What is not there is not freed.
  const params = sizeOf('params')
  rmSync(blob('rev', 'params'))
  assert.equal(await frees(), own - sizeOf('system') - params)
  const [wanted, before] = [await frees(), total()]
  await run(0, 'apply', '--yes', '--prune')
  assert.equal(before - total(), wanted)
  // While a manifest cannot be read, nobody knows.
  config(['small', rev])
  await run(0, 'apply', '--yes')
  config(['small'])
  writeFileSync(manifest('hidden'), '{')
  assert.equal(await frees(), null)
})

const truncate = (file: string) => truncateSync(file, 1)
function flip(file: string): void {
  const bytes = readFileSync(file)
  bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1)
  writeFileSync(file, bytes)
}
