/** `verify` and `collect` as whole commands: damage in a store is told and mended from the registry, leftovers are removed. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { createStyle } from '../../src/cli/views/style.ts'
import { formatVerification } from '../../src/cli/views/verification.ts'
import { collectLeftovers, findLeftovers, isSound, verifyModels } from '../../src/index.ts'
import { layoutOf } from '../../src/store/layout.ts'
import { holdStore } from '../../src/store/mutex.ts'
import { filesIn } from '../store/models.ts'
import { makeGguf } from '../support/gguf.ts'
import { startOllamaServer } from '../support/ollama-server.ts'
import { type CliOptions, openRegistry, runCli, tempFolder, testRegistryUrl } from '../support/run-cli.ts'
import { layer } from '../support/world.ts'

const shared = makeGguf({ name: 'shared' })
const hour = 3_600_000
const isRoot = process.getuid?.() === 0

async function world(t: TestContext) {
  const weights = layer('model', shared)
  const remote = await openRegistry(t, {
    models: [
      { name: 'a', layers: [weights, layer('template', 'one')] },
      { name: 'b', layers: [weights, layer('template', 'two')] },
      { name: 'c', layers: [layer('model', makeGguf({ name: 'c' })), layer('license', 'free')] },
    ],
  })
  const cwd = tempFolder(t)
  const mine = { name: 'mine', from: 'a', system: 'Be short.' }
  const config = (models: readonly unknown[]) =>
    writeFileSync(path.join(cwd, 'ollama.config.json'), JSON.stringify({ models }))
  config(['a', 'b', 'c', mine])
  const store = path.join(cwd, 'models')
  const run = async (code: number, words: readonly string[], options: Partial<CliOptions> = {}) => {
    const result = await runCli(words, { cwd, env: { OLLAMA_HOST: '127.0.0.1:9', OLLAMA_MODELS: store }, ...options })
    assert.equal(result.code, code, `${words.join(' ')}: ${result.stdout}${result.stderr}`)
    return result
  }
  await run(0, ['apply', '--yes', '--store'])
  const blob = (content: string | Uint8Array): string => {
    const wanted = Buffer.from(content)
    const found = filesIn(path.join(store, 'blobs'))
      .map((name) => path.join(store, 'blobs', name))
      .find((file) => wanted.equals(readFileSync(file)))
    assert.ok(found, 'no such blob')
    return found
  }
  const verified = async (code: number, ...words: string[]) => {
    const { stdout } = await run(code, ['verify', '--store', '--json', ...words])
    const { models } = JSON.parse(stdout)
    return Object.fromEntries(
      models.map(({ reference, status, damage }: { reference: string; status: string; damage: { what: string }[] }) => [
        reference,
        [status, ...damage.map(({ what }) => what)].join(' '),
      ]),
    )
  }
  return { remote, cwd, store, config, run, blob, verified, mine }
}

/** The same size, another byte. */
function flip(file: string): void {
  const bytes = readFileSync(file)
  bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1)
  writeFileSync(file, bytes)
}

const sound = { 'a:latest': 'sound', 'b:latest': 'sound', 'c:latest': 'sound', 'mine:latest': 'sound' }

test('what is sound is told as such, and no registry is asked', async (t) => {
  const { remote, store, run, verified } = await world(t)
  const asked = remote.requests.length
  const { stdout, stderr } = await run(0, ['verify', '--store'])
  const lines = stdout.replaceAll(/\d+ B/g, '# B').split('\n')
  const name = (text: string) => `  ok        ${text.padEnd(11)}  # B`
  const models = ['a:latest', 'b:latest', 'c:latest', 'mine:latest'].map(name)
  assert.deepEqual(lines, [`Files  ${store}`, '', ...models, '', '4 models: 4 ok.', ''])
  assert.equal(stderr, '')
  assert.deepEqual(await verified(0), sound)
  assert.deepEqual(await verified(0, 'b'), { 'b:latest': 'sound' })
  assert.equal(remote.requests.length, asked)
})

test('damage is told for each model that has the blob, and what a registry has is fetched again', async (t) => {
  const { remote, store, run, blob, verified } = await world(t)
  flip(blob(shared))
  truncateSync(blob('one'), 1)
  rmSync(blob('free'))
  const broken = {
    'a:latest': 'damaged weights template',
    'b:latest': 'damaged weights',
    'c:latest': 'damaged license',
    'mine:latest': 'damaged weights template',
  }
  assert.deepEqual(await verified(1), broken)
  const { stdout } = await run(1, ['verify', '--store'])
  assert.match(
    stdout,
    / {2}damaged {3}a:latest {5}\d+ B; weights [0-9a-f]{12}: wrong bytes; template [0-9a-f]{12}: wrong size \(it has 1 bytes instead of 3\)\n/,
  )
  assert.match(stdout, /c:latest .*license [0-9a-f]{12}: missing\n/)
  assert.match(stdout, /4 models: 4 damaged\.\nTo fetch again what is damaged: ollama-config verify --repair --store\n/)
  const before = remote.blobBytesServed()
  const repaired = await verified(0, '--repair')
  assert.deepEqual(
    Object.values(repaired).map((text) => String(text).split(' ')[0]),
    ['repaired', 'repaired', 'repaired', 'repaired'],
  )
  // Only what is damaged, and once.
  assert.equal(remote.blobBytesServed() - before, shared.length + 'one'.length + 'free'.length)
  assert.deepEqual(await verified(0), sound)
  assert.deepEqual(
    filesIn(store).filter((name) => name.includes('.ollama-config')),
    [],
  )
  if (isRoot) assert.equal(statSync(blob('one')).uid, statSync(store).uid)
  assert.deepEqual(remote.problems, [])
})

test('a part that was made here is made again from its declaration, after its base', async (t) => {
  const { remote, store, config, run, blob, verified, mine } = await world(t)
  const next = { name: 'next', from: 'mine', parameters: { num_ctx: 2048 } }
  config(['a', mine, next])
  await run(0, ['apply', '--yes', '--store'])
  const before = filesIn(store).map((name) => [name, readFileSync(path.join(store, name), 'utf8')])
  // Both have it.
  const { config: common } = JSON.parse(
    readFileSync(path.join(store, 'manifests/registry.ollama.ai/library/mine/latest'), 'utf8'),
  )
  flip(path.join(store, 'blobs', common.digest.replace(':', '-')))
  flip(blob('{"num_ctx":2048}\n'))
  flip(blob('Be short.'))
  flip(blob('one'))
  assert.deepEqual(await verified(0, '--repair'), {
    'a:latest': 'repaired template',
    'mine:latest': 'repaired template system prompt config',
    'next:latest': 'repaired template system prompt params config',
  })
  assert.deepEqual(
    filesIn(store).map((name) => [name, readFileSync(path.join(store, name), 'utf8')]),
    before,
  )
  // Where its base is sound no registry is asked.
  const asked = remote.requests.length
  rmSync(blob('Be short.'))
  assert.deepEqual(await verified(0, '--repair', 'mine'), { 'mine:latest': 'repaired system prompt' })
  assert.equal(remote.requests.length, asked)
})

test('a part that was made here of another declaration is told, with what mends it, and apply then builds it again', async (t) => {
  const { remote, store, config, run, blob, verified, mine } = await world(t)
  flip(blob('Be short.'))
  config(['a', 'b', 'c'])
  const manifest = path.join(store, 'manifests/registry.ollama.ai/library/mine/latest')
  const remove = `hint: remove "${manifest}"`
  const undeclared = (await run(1, ['verify', '--store', '--repair', '--all', 'mine'])).stdout
  assert.ok(undeclared.includes(`${remove}, since no config here tells how it was built\n`), undeclared)
  config(['a', 'b', 'c', { ...mine, system: 'Be long.' }])
  const asked = remote.requests.length
  const { stdout } = await run(1, ['verify', '--store', '--repair'])
  assert.ok(stdout.includes('"mine:latest" was built here, so that no registry has its part'), stdout)
  assert.ok(stdout.includes(`${remove}, then "ollama-config apply --store" builds it again`), stdout)
  assert.doesNotMatch(stdout, /--repair/)
  // Its base is asked: that is where its weights would come from.
  assert.ok(remote.requests.length > asked)
  rmSync(manifest)
  await run(0, ['apply', '--yes', '--store'])
  assert.deepEqual(await verified(0), sound)
})

test('the weights of what was built here come from its base, though that is not installed', async (t) => {
  const { store, config, blob, verified, mine } = await world(t)
  rmSync(path.join(store, 'manifests/registry.ollama.ai/library/a'), { recursive: true })
  rmSync(path.join(store, 'manifests/registry.ollama.ai/library/b'), { recursive: true })
  config(['c', mine])
  flip(blob(shared))
  assert.deepEqual(await verified(0, '--repair', 'mine'), { 'mine:latest': 'repaired weights' })
})

test('what the registry has no more, or refuses, is told', async (t) => {
  const { remote, run, blob, verified } = await world(t)
  rmSync(blob('free'))
  remote.fail({ name: 'c', kind: 'blob' }, { kind: 'status', status: 404 })
  assert.match(
    (await run(1, ['verify', '--store', '--repair'])).stdout,
    /of c:latest is not in its registry any more\n.*update c:latest/,
  )
  remote.heal()
  assert.deepEqual(await verified(0, '--repair', 'c'), { 'c:latest': 'repaired license' })
})

test('models that are not there, and manifests that cannot be read, are told; --all needs no config', async (t) => {
  const { cwd, store, config, run, verified } = await world(t)
  config(['a', 'never'])
  assert.deepEqual(await verified(1), { 'a:latest': 'sound', 'never:latest': 'missing' })
  assert.match(
    (await run(1, ['verify', '--store'])).stdout,
    /missing {3}never:latest {2}not installed\n[\s\S]*apply --store\n/,
  )
  assert.match((await run(3, ['verify', '--store', 'b'])).stderr, /"b" is not declared/)
  assert.deepEqual(await verified(0, '--all', 'b'), { 'b:latest': 'sound' })
  assert.match((await run(3, ['verify', '--store', '--all', 'zz'])).stderr, /"zz" is neither declared nor installed/)
  assert.match((await run(3, ['verify', '--store', '--all', 'nevr'])).stderr, /did you mean "never"\?/)
  rmSync(path.join(cwd, 'ollama.config.json'))
  assert.match((await run(3, ['verify', '--store'])).stderr, /No ollama\.config/)
  assert.deepEqual(await verified(0, '--all'), sound)
  writeFileSync(path.join(store, 'manifests/registry.ollama.ai/library/b/latest'), '{"layers":[')
  assert.deepEqual(await verified(1, '--all'), { ...sound, 'b:latest': 'damaged manifest' })
  const undeclared = (await run(1, ['verify', '--store', '--all', '--repair'])).stdout
  assert.match(
    undeclared,
    /damaged {3}b:latest {5}manifest: cannot be read\n +The manifest of "b:latest" cannot be read/,
  )
  assert.match(undeclared, /hint: declare the model and apply, or remove "[^"]*b[\\/]latest"\n/)
  assert.doesNotMatch(undeclared, /apply --store/)
  config(['b'])
  assert.match(
    (await run(1, ['verify', '--store', '--repair'])).stdout,
    /hint: "ollama-config apply --store" writes it again\n[\s\S]*\nTo write again what cannot be read: ollama-config apply --store\n/,
  )
  await run(0, ['apply', '--yes', '--store'])
  assert.deepEqual(await verified(0, '--all'), sound)
})

test('a repair waits for another process of ours, and is stopped by Ctrl-C', async (t) => {
  const { store, run, blob, verified } = await world(t)
  flip(blob('one'))
  const hold = await holdStore(layoutOf(store), { command: 'apply' })
  const controller = new AbortController()
  const said: string[] = []
  const options = { store, env: {}, registryUrl: testRegistryUrl, signal: controller.signal, repair: true }
  const waiting = verifyModels(
    { models: ['a'] },
    {
      ...options,
      onBusy: (holder) => {
        said.push(holder)
        controller.abort(new Error('enough'))
      },
    },
  )
  await assert.rejects(waiting, /enough/)
  assert.match(said.join(), /^process \d+ \(apply\)/)
  await hold.release()
  const { stderr, stdout } = await run(130, ['verify', '--store', '--repair'], { signal: AbortSignal.abort() })
  assert.match(stderr, /^Interrupted/)
  assert.equal(stdout, '')
  assert.deepEqual(await verified(1, 'a'), { 'a:latest': 'damaged template' })
})

test('an interrupted repair leaves the store as it was, but for what it had fetched', async (t) => {
  const { remote, store, blob, verified } = await world(t)
  flip(blob(shared))
  remote.fail({ kind: 'cdn' }, { kind: 'stall' })
  const controller = new AbortController()
  const options = { store, env: {}, registryUrl: testRegistryUrl, signal: controller.signal, repair: true }
  const repairing = verifyModels({ models: ['b'] }, options)
  await remote.waitForRequest({ kind: 'cdn' })
  controller.abort(new Error('enough'))
  await assert.rejects(repairing, /enough/)
  assert.equal(existsSync(path.join(store, '.ollama-config-mutex')), false)
  remote.heal()
  assert.deepEqual(await verified(0, '--repair', 'b'), { 'b:latest': 'repaired weights' })
})

test('of a server the files are verified where they are on this machine, and are its own', async (t) => {
  const { store, run, blob } = await world(t)
  const models = ['a', 'b', 'c'].map((name) => {
    const file = path.join(store, 'manifests/registry.ollama.ai/library', name, 'latest')
    const manifest = readFileSync(file, 'utf8')
    const layers = [...JSON.parse(manifest).layers, JSON.parse(manifest).config].map(
      ({ mediaType, digest }: { mediaType: string; digest: string }) => ({
        mediaType,
        digest,
        bytes: readFileSync(path.join(store, 'blobs', digest.replace(':', '-'))),
      }),
    )
    return { name, manifest, layers }
  })
  const server = await startOllamaServer({ models })
  t.after(() => server.close())
  const env = { OLLAMA_HOST: server.url, OLLAMA_MODELS: '' }
  const refused = async (why: RegExp) => {
    for (const words of [['verify'], ['verify', '--repair'], ['collect', '--yes']]) {
      const { stderr } = await run(3, words, { env })
      assert.match(stderr.replaceAll(/\s+/g, ' '), why)
      assert.match(stderr, /--store=DIR/)
    }
  }
  await refused(/cannot be read here: the server does not say in which folder they are/)
  const elsewhere = (folder: string) =>
    server.fail(
      { path: '/api/show' },
      {
        kind: 'edit',
        edit: (body) => ({
          ...Object(body),
          modelfile: String(Object(body).modelfile).replace(/^FROM .*[\\/](?=blobs)/m, `FROM ${folder}${path.sep}`),
        }),
      },
    )
  elsewhere(store)
  const { stdout } = await run(0, ['verify', 'a', 'b'], { env })
  assert.match(stdout, /2 models: 2 ok/)
  flip(blob('two'))
  assert.match(
    (await run(1, ['verify', 'b'], { env })).stdout,
    /damaged[^\n]*template[\s\S]*ollama-config verify b --repair\n/,
  )
  await run(0, ['verify', 'b', '--repair'], { env })
  rmSync(path.join(store, 'manifests/registry.ollama.ai/library/c'), { recursive: true })
  await refused(/that folder of this machine has other models/)
  const { stderr } = await run(3, ['verify', '--host', 'gpu-box.example'], { env })
  assert.match(stderr, /gpu-box\.example:11434 cannot be read here: it is another machine/)
})

test('a model directory that is not there is told, and is not taken for one without damage and leftovers', async (t) => {
  const { cwd, run } = await world(t)
  const store = `--store=${path.join(cwd, 'typo')}`
  for (const words of [['verify'], ['verify', '--all'], ['collect'], ['collect', '--yes']]) {
    const { stdout, stderr } = await run(3, [...words, store])
    assert.equal(stdout, '')
    assert.match(
      stderr,
      /^Error: There is no model directory ".*typo"\nNext: .*"ollama-config apply --store=\S+typo" makes it\n$/,
    )
  }
  assert.equal(existsSync(path.join(cwd, 'typo')), false)
})

test('collect lists, asks, and removes what nobody needs', async (t) => {
  const { cwd, store, run } = await world(t)
  const before = filesIn(store)
  const now = () => Date.now() + 2 * hour
  const collect = (code: number, words: readonly string[], options: Partial<CliOptions> = {}) =>
    run(code, ['collect', '--store', ...words], options)
  assert.match((await collect(0, [], { now })).stdout, /^Files {2}\S+\n\nNothing to remove\.\n$/)
  const digest = `sha256-${'ab'.repeat(32)}`
  const names = [digest, `${digest}-partial`, `${digest}-partial-0`, 'sha256-123', 'notes.txt']
  for (const name of names) writeFileSync(path.join(store, 'blobs', name), 'x'.repeat(5000))
  const isUntouched = () => assert.equal(filesIn(store).length, before.length + names.length)
  // No config is needed.
  rmSync(path.join(cwd, 'ollama.config.json'))
  assert.match(
    (await collect(0, ['--yes'])).stdout,
    /\nNothing to remove\.\nLeft alone: 4 files, [\d.]+ KB: younger than an hour\n$/,
  )
  const refused = await collect(3, [], { now })
  assert.match(refused.stdout, / {2}- abababababab {2}[\d.]+ KB +no model needs it, 2h(?: \d+m)? old\n/)
  assert.match(refused.stdout, / {2}- abababababab {2}[\d.]+ KB +unfinished download, 2 files, 2h(?: \d+m)? old\n/)
  assert.match(refused.stdout, / {2}- sha256-123 {4}[\d.]+ KB +temporary file, 2h(?: \d+m)? old\n/)
  assert.match(refused.stderr, /Nobody can be asked here[\s\S]*--yes/)
  assert.equal(JSON.parse((await collect(3, ['--json'], { now })).stdout).error.code, 'approval-required')
  for (const answer of ['', 'n'])
    assert.match(
      (await collect(3, [], { now, answers: [answer] })).stderr,
      /Remove 4 files, [\d.]+ KB\? \[y\/N\] Nothing was removed\.\n$/,
    )
  isUntouched()
  const manifest = path.join(store, 'manifests/registry.ollama.ai/library/bad/latest')
  mkdirSync(path.dirname(manifest))
  writeFileSync(manifest, '{')
  assert.match(
    (await collect(1, ['--yes'], { now })).stdout,
    /Left alone: 4 files, [\d.]+ KB: a manifest that cannot be read may need it\nNothing is removed while these manifests cannot be read: bad:latest\n$/,
  )
  rmSync(path.dirname(manifest), { recursive: true })
  isUntouched()
  assert.match((await collect(0, [], { now, answers: ['y'] })).stdout, /\nRemoved 4 files, [\d.]+ KB\.\n$/)
  assert.deepEqual(filesIn(store), [...before, 'blobs/notes.txt'].sort())
  await run(0, ['verify', '--store', '--all'])
})

test('verify tells what collect would remove; the programming interface does both', async (t) => {
  const { store, run } = await world(t)
  const file = path.join(store, 'blobs', `sha256-${'ab'.repeat(32)}`)
  writeFileSync(file, 'x')
  const options = { store, env: {}, now: () => Date.now() + 2 * hour }
  const verification = await verifyModels({ models: ['a'] }, options)
  assert.ok(isSound(verification))
  assert.deepEqual(
    verification.leftovers.map((leftover) => [leftover.file, leftover.spared]),
    [[file, 'young']],
  )
  assert.doesNotMatch((await run(0, ['verify', '--store'])).stdout, /Left over/)
  const found = await findLeftovers(undefined, options)
  assert.deepEqual(
    (await collectLeftovers(found)).spared.map(({ reason }) => reason),
    ['young'],
  )
  const { removed, spared } = await collectLeftovers(found, options)
  assert.deepEqual([removed.map((leftover) => leftover.file), spared], [[file], []])
  assert.equal(existsSync(file), false)
})

test('text fits on narrow terminals', async (t) => {
  const { run, blob } = await world(t)
  flip(blob(shared))
  flip(blob('Be short.'))
  const { stdout } = await run(1, ['verify', '--store', '--json'])
  const verification = JSON.parse(stdout)
  for (const columns of [80, 40]) {
    const text = formatVerification(
      { ...verification, folder: '/srv/models' },
      {
        style: createStyle(false),
        columns,
        repairCommand: 'ollama-config verify --repair --store',
        applyCommand: 'ollama-config apply --store',
        collectCommand: 'ollama-config collect --store',
      },
    )
    for (const line of text.split('\n')) assert.ok(line.length <= columns, `${columns}: ${line}`)
  }
})
