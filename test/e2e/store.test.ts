/** Whole commands on a model directory, without a server: plan, apply, locked versions, saved plans. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { applyPlan, type Config, createPlan, definePlugin, pullModelsWithValidation } from '../../src/index.ts'
import { createModelManager } from '../../src/runner.ts'
import { makeGguf } from '../support/gguf.ts'
import { makeOllamaKey, type ServedModel } from '../support/registry.ts'
import { openRegistry, runCli, tempFolder, testRegistryUrl } from '../support/run-cli.ts'
import { layer } from '../support/world.ts'

const weights = (name: string) => layer('model', makeGguf({ name }))
const family: ServedModel[] = [
  { name: 'a', layers: [weights('a'), layer('template', 'one')] },
  { name: 'c', layers: [weights('c')] },
]

async function world(t: TestContext, config: object = { models: ['a', 'c'], prune: 'undeclared' }) {
  const remote = await openRegistry(t, { models: family })
  const cwd = tempFolder(t)
  const write = (value: object) => writeFileSync(path.join(cwd, 'ollama.config.json'), JSON.stringify(value))
  write(config)
  const store = path.join(cwd, 'models')
  // Nobody answers at the address of a server.
  const env = { OLLAMA_HOST: '127.0.0.1:9', OLLAMA_MODELS: store }
  const run = async (code: number, ...words: string[]) => {
    const result = await runCli(words, { cwd, env })
    assert.equal(result.code, code, `${words.join(' ')}: ${result.stdout}${result.stderr}`)
    return result
  }
  const installed = async (...words: string[]): Promise<Record<string, string>> => {
    const [target] = JSON.parse((await run(0, 'plan', '--json', ...words)).stdout).targets
    return Object.fromEntries(
      target.changes.flatMap((change: { reference: string; before: { digest: string } | null }) =>
        change.before === null ? [] : [[change.reference, change.before.digest]],
      ),
    )
  }
  const digestOf = (name: string) => remote.content(name).digest
  return { remote, cwd, store, config: write, run, installed, digestOf }
}

test('plan, apply and check work on a folder that is not there yet, without a server', async (t) => {
  const { remote, store, run, installed, digestOf } = await world(t)
  const { stdout, stderr } = await run(0, 'plan', '--store')
  assert.ok(stdout.startsWith(`Config  ollama.config.json\nStore   ${store}\n\nTo pull:\n  + a:latest`), stdout)
  assert.match(stdout, /To do it: ollama-config apply --store\n$/)
  assert.equal(stderr, '')
  await run(1, 'check', '--store')
  const planned = JSON.parse((await run(0, 'plan', '--store', '--json')).stdout)
  const [{ kind, address, serverVersion }] = planned.targets
  assert.deepEqual([kind, address, serverVersion], ['store', store, null])
  assert.equal(existsSync(store), false)
  await run(0, 'apply', '--yes', '--store')
  assert.deepEqual(await installed('--store'), { 'a:latest': digestOf('a'), 'c:latest': digestOf('c') })
  // By whatever path it is named.
  const asked = remote.requests.length
  await run(0, 'check', '--store=models')
  assert.match((await run(0, 'apply', '--yes', '--store', './models')).stdout, /No changes/)
  assert.equal(remote.requests.length, asked)
  assert.deepEqual(remote.problems, [])
})

test('a store is on this machine: it is pruned without a terminal, by the two keys', async (t) => {
  const { config, run, installed } = await world(t)
  await run(0, 'apply', '--yes', '--store')
  config({ models: ['c'], prune: 'undeclared' })
  assert.match((await run(0, 'apply', '--yes', '--prune', '--store')).stdout, /Done: 1 deleted/)
  assert.deepEqual(Object.keys(await installed('--store')), ['c:latest'])
})

test('the locked version comes back byte for byte, though its tag moved on or is gone, and also offline', async (t) => {
  const { remote, run, installed, digestOf } = await world(t, { models: ['a'] })
  const locked = digestOf('a')
  await run(0, 'apply', '--yes', '--store')
  await run(0, 'lock', '--store')
  const moves = [
    () => remote.publish({ name: 'a', layers: [weights('a'), layer('template', 'newer')] }),
    () => remote.unpublish('a'),
  ]
  for (const [index, move] of moves.entries()) {
    move()
    const fresh = `--store=fresh-${index}`
    const asked = remote.count({ kind: 'manifest' })
    for (const words of [[], ['--offline']]) {
      const plan = (await run(0, 'plan', fresh, ...words)).stdout
      assert.match(plan, /\+ a:latest {2}\d+ B\n/)
      if (words.length === 0) assert.doesNotMatch(plan, /!/)
      else assert.match(plan, /! Offline, nothing is fetched into the store, and it does not have all of a:latest/)
    }
    assert.match((await run(0, 'apply', '--yes', '--frozen', fresh)).stdout, /Done: 1 pulled/)
    assert.deepEqual(await installed(fresh), { 'a:latest': locked })
    assert.equal(remote.count({ kind: 'manifest' }), asked)
  }
  // An update is what the tag names, here as on a server.
  remote.publish({ name: 'a', layers: [weights('a'), layer('template', 'newest')] })
  await run(0, 'update', 'a', '--yes', '--store')
  assert.deepEqual(await installed('--store'), { 'a:latest': digestOf('a') })
})

test('offline, nothing is fetched: what is not there fails, and the rest goes on', async (t) => {
  const { remote, store, config, run, installed, digestOf } = await world(t, { models: ['a'] })
  await run(0, 'apply', '--yes', '--store')
  await run(0, 'lock', '--store')
  const asked = remote.requests.length
  config({ models: ['a', 'c', { name: 'second', aliasOf: 'a' }, { name: 'own', from: 'a', system: 'S' }] })
  const { stdout } = await run(1, 'apply', '--yes', '--offline', '--store')
  assert.match(stdout, /x "c:latest" is not in the store, and --offline was given\n {4}leave out --offline/)
  assert.match(stdout, /Failed: 1 built, 1 aliased, 1 failed/)
  assert.deepEqual(Object.keys(await installed('--store', '--offline')).sort(), [
    'a:latest',
    'own:latest',
    'second:latest',
  ])
  // The lock file has the manifest: the blobs are all that is needed.
  config({ models: ['a'] })
  rmSync(path.join(store, 'manifests', 'registry.ollama.ai', 'library', 'a'), { recursive: true })
  await run(0, 'apply', '--yes', '--offline', '--store')
  assert.equal((await installed('--store', '--offline'))['a:latest'], digestOf('a'))
  rmSync(path.join(store, 'manifests', 'registry.ollama.ai', 'library', 'a'), { recursive: true })
  const blob = remote.content('a').layers[0]?.digest ?? ''
  writeFileSync(path.join(store, 'blobs', blob.replace(':', '-')), 'damaged')
  assert.match(
    (await run(1, 'apply', '--yes', '--offline', '--store')).stdout,
    /The part \w+ of "a:latest" is not in the store, and --offline was given/,
  )
  assert.equal(remote.requests.length, asked)
})

test('what goes wrong at a registry is told without a server, with the key file that was looked for', async (t) => {
  const { remote, cwd, config, run } = await world(t)
  remote.publish({ name: 'team/secret', layers: [weights('s')], private: true })
  config({ models: ['team/secret'] })
  const keyFile = path.join(cwd, '.home', '.ollama', 'id_ed25519')
  for (const words of [['plan'], ['apply', '--yes']]) {
    const { stdout } = await run(words[0] === 'plan' ? 0 : 1, ...words, '--store')
    assert.match(stdout, /wants a sign-in with a key, and there is none that can be read: \S+id_ed25519/)
    assert.ok(stdout.includes(`ssh-keygen -t ed25519 -N '' -f ${keyFile} and give ${keyFile}.pub access`), stdout)
    assert.doesNotMatch(stdout, /server|all the same/)
  }
  const folder = path.dirname(keyFile)
  mkdirSync(folder, { recursive: true })
  const key = await makeOllamaKey(folder)
  const refused = (await run(1, 'apply', '--yes', '--store')).stdout
  assert.match(
    refused,
    /does not accept the key \(status \d+\)\n {4}the key that signs is \S+id_ed25519.*settings\/keys/,
  )
  remote.authorize(key.publicKey)
  await run(0, 'apply', '--yes', '--store')
  // Nobody answers there, and no server is said to do better.
  await remote.close()
  config({ models: ['c'] })
  for (const words of [['plan'], ['lock'], ['outdated'], ['apply', '--yes']]) {
    const { stdout } = await runCli([...words, '--store=empty'], { cwd })
    assert.match(stdout, /check the network and HTTP_PROXY of this machine, and try again/, words[0])
    assert.doesNotMatch(stdout, /by itself|all the same/)
  }
})

test('lock says of an entry that is new that it is', async (t) => {
  const { config, run } = await world(t, { models: ['a', { name: 'own', from: 'a', system: 'S' }] })
  const { stdout } = await run(0, 'lock', '--store')
  assert.match(stdout, /^ {2}\+ a:latest {4}\w{12}\n {2}\+ own:latest {2}its declaration and base\n/)
  config({ models: ['a', { name: 'own', from: 'a', system: 'T' }] })
  assert.match((await run(0, 'lock', '--store')).stdout, /^ {2}~ own:latest {2}another declaration or base\n/)
  config({ models: ['a'] })
  const { changes } = JSON.parse((await run(0, 'lock', '--store', '--json')).stdout)
  assert.deepEqual(changes, [{ reference: 'own:latest', kind: 'removed', before: null, after: null }])
})

test('whatever command is named as the next step is one for the same store', async (t) => {
  const { remote, store, config, run } = await world(t, { models: ['a'] })
  const out = async (code: number, ...words: string[]) => {
    const { stdout, stderr } = await run(code, ...words, `--store=${store}`)
    return `${stdout}${stderr}`
  }
  const command = (words: string) => `ollama-config ${words} --store=${store}`
  const outdated = await out(0, 'outdated')
  assert.ok(outdated.endsWith(`1 not installed. To install what is not there: ${command('apply')}\n`), outdated)
  assert.ok((await out(3, 'update', '--lock-only')).includes(`"${command('lock')}"`))
  assert.ok((await out(3, 'plan', '--frozen')).includes(`"${command('lock')}" and commit it`))
  assert.ok((await out(3, 'rollback', 'a', '--yes')).includes(`"${command('update --keep-previous')}"`))
  await out(0, 'apply', '--yes')
  await out(0, 'lock')
  remote.publish({ name: 'a', layers: [weights('a'), layer('template', 'newer')] })
  assert.ok((await out(0, 'outdated')).endsWith(`To update: ${command('update')}\n`))
  // Also below a change that failed, and below a part that cannot be repaired.
  const locked = remote.content('a').layers[0]?.digest ?? ''
  remote.loseBlob(locked)
  writeFileSync(path.join(store, 'blobs', locked.replace(':', '-')), 'damaged')
  assert.ok((await out(1, 'verify', '--repair')).includes(`"${command('update a:latest')}"`))
  rmSync(path.join(store, 'manifests', 'registry.ollama.ai'), { recursive: true })
  const failed = await out(1, 'apply', '--yes')
  assert.equal(failed.split(`"${command('update a:latest')}"`).length, 3, failed)
  config({ models: ['a', 'c'] })
  assert.ok((await out(3, 'plan', '--frozen')).includes(`"${command('lock')}"`))
})

test('a saved plan is for one place', async (t) => {
  const { cwd, store, run } = await world(t)
  await run(0, 'plan', '--store', '--out', 'plan.json')
  assert.match(
    (await run(1, 'apply', 'plan.json', '--store=other')).stderr,
    /The plan was made for the store \S+models, not for the store \S+other\n[\s\S]*--store=\S+models/,
  )
  assert.match((await run(1, 'apply', 'plan.json')).stderr, /for the store \S+models, not for the server http:/)
  const plan = JSON.parse(readFileSync(path.join(cwd, 'plan.json'), 'utf8'))
  Object.assign(plan.targets[0], { kind: 'host', address: 'http://127.0.0.1:9' })
  writeFileSync(path.join(cwd, 'host.json'), JSON.stringify(plan))
  assert.match(
    (await run(1, 'apply', 'host.json', '--store')).stderr,
    /for the server http:\/\/127\.0\.0\.1:9, not for the store \S+models\n[\s\S]*the host it was made for/,
  )
  assert.equal(existsSync(store), false)
  await run(0, 'apply', 'plan.json', '--store', store)
})

test('flags that do not go with a store, or only with one, are refused before anything happens', async (t) => {
  const { store, run } = await world(t)
  const cases: [words: string[], message: RegExp][] = [
    [['--store', '--host', 'h'], /--host and --store were both given/],
    [['--store', '--wait', '1s'], /--wait and --store were both given/],
    [['--owner', '1:1'], /--owner is for a store/],
    [['--connections', '2'], /--connections is for a store/],
    [['--store', '--connections', '65'], /--connections "65" is not a number from 1 to 64/],
    [['--store', '--owner', 'root'], /--owner "root" is not UID:GID/],
  ]
  for (const [words, message] of cases)
    for (const command of [['plan'], ['apply', '--yes'], ['check'], ['outdated'], ['lock'], ['update', '--yes']])
      assert.match((await run(3, ...command, ...words)).stderr, message)
  assert.match((await run(3, 'apply', '--yes', '--store', 'models')).stderr, /no plan file "models"\n.*--store=models/)
  assert.equal(existsSync(store), false)
  await assert.rejects(createPlan({ models: [] }, { store, waitMs: 1, env: {} }), { code: 'usage' })
})

test('models flow into a store together, and one after the other where that is asked for', async (t) => {
  const { store, run } = await world(t)
  const steps = async (...words: string[]) => {
    const { stdout } = await run(0, 'apply', '--yes', '--json', '--store', ...words)
    rmSync(store, { recursive: true })
    return stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
      .flatMap(({ type, id }) => (/^change-(started|finished)$/.test(type) ? [`${type.slice(7)} ${id}`] : []))
  }
  const together = await steps()
  assert.deepEqual(together.slice(0, 2), ['started pull:a:latest', 'started pull:c:latest'])
  const single = await steps('--concurrency', '1')
  assert.deepEqual(single.slice(0, 2), ['started pull:a:latest', 'finished pull:a:latest'])
})

test('what plugins would try on a server is not tried, which is said', async (t) => {
  const { store } = await world(t)
  const tried: string[] = []
  const probe = () => {
    tried.push('probe')
    return []
  }
  const prober = (name: string) => definePlugin({ apiVersion: 1, name, models: ['a'], probe })
  const hosts: unknown[] = []
  const reviewer = definePlugin({
    apiVersion: 1,
    name: 'reviewer',
    review: (_config, _plan, { host: { memoryBytes: _, ...host } }) => {
      hosts.push(host)
      return []
    },
  })
  const config: Config = { models: ['a'], plugins: [prober('smoke')(), reviewer(), prober('taste')()] }
  const options = { store, env: {}, registryUrl: testRegistryUrl }
  const plan = await createPlan(config, options)
  const report = await applyPlan(plan, { ...options, config, approve: { changes: true, deletions: false } }).report
  assert.equal(report.outcome, 'done')
  assert.deepEqual(
    report.targets[0]?.diagnostics.map(({ severity, code, message }) => `${severity} ${code}: ${message}`),
    ['warning probe-skipped: Not tried: smoke, taste need a server, and a store has none'],
  )
  assert.deepEqual(hosts, [{ address: store, loopback: true, serverVersion: null }])
  const manager = await createModelManager({ plugins: [prober('smoke')] })
  const pulls = await pullModelsWithValidation(['a', 'c'], { ...options, config, manager })
  assert.deepEqual(
    [...pulls].map(([name, { pulled, valid, diagnostics }]) => [
      name,
      pulled,
      valid,
      diagnostics.map(({ code }) => code),
    ]),
    [
      ['a:latest', true, null, ['probe-skipped']],
      ['c:latest', true, null, []],
    ],
  )
  assert.deepEqual(tried, [])
})
